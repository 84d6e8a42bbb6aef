import type { Checked } from './payload/check-queue.ts';
import type { PayloadCheck } from './payload/payload-checks.ts';
import type { DeviceMessage } from './shared/message.ts';

/**
 * The payload check of one lane, which can be replaced between two messages. Those behind wait until those ahead of them
 * are through the old one, so that the order of the lane stays.
 */
export class ReplaceableCheck implements PayloadCheck {
  /** Absent: payloads pass as they are. */
  #current: PayloadCheck | undefined;
  #underWay = 0;
  #next: { readonly check: PayloadCheck | undefined; readonly replaced: () => void } | undefined;
  #held: { readonly message: DeviceMessage; readonly checked: Checked }[] = [];

  constructor(first: PayloadCheck | undefined) {
    this.#current = first;
  }

  get isFull(): boolean {
    return this.#current?.isFull === true;
  }

  /** Payloads pass as they are, and will. */
  get isPlain(): boolean {
    return this.#current === undefined && this.#next === undefined;
  }

  /** No message of the lane is on its way through. */
  get isIdle(): boolean {
    return this.#underWay === 0 && this.#held.length === 0;
  }

  check(message: DeviceMessage, checked: Checked): void {
    if (this.#next === undefined) this.#hand(message, checked);
    else this.#held.push({ message, checked });
  }

  /** From this call on messages go to `next`. Resolves when the old one is not needed any more. */
  replace(next: PayloadCheck | undefined): Promise<void> {
    return new Promise((resolve) => {
      const before = this.#next;
      const replaced = (): void => {
        before?.replaced();
        resolve();
      };
      this.#next = { check: next, replaced };
      if (this.#underWay === 0) this.#turn();
    });
  }

  #hand(message: DeviceMessage, checked: Checked): void {
    if (this.#current === undefined) {
      checked({ kind: 'passed' });
      return;
    }
    this.#underWay += 1;
    this.#current.check(message, (outcome) => {
      this.#underWay -= 1;
      checked(outcome);
      if (this.#underWay === 0) this.#turn();
    });
  }

  #turn(): void {
    const next = this.#next;
    if (next === undefined) return;
    this.#next = undefined;
    this.#current = next.check;
    for (const { message, checked } of this.#held.splice(0)) this.#hand(message, checked);
    next.replaced();
  }
}
