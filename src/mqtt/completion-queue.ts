import type { Receipt } from '../shared/receipt.ts';

/** Told once that all before it are complete: with no error when it is safe itself. */
export type Release = (error: Error | undefined) => void;

/**
 * Completes one client's PUBLISHes in the order in which they arrived [MQTT-4.6.0-2] [MQTT-4.6.0-3], in whatever
 * order they become safe. One that never settles holds back all behind it.
 */
export class CompletionQueue {
  #first: Slot | undefined;
  #last: Slot | undefined;
  #pendingBytes = 0;
  #isReleasing = false;
  #hasFailed = false;

  /** True as soon as one of them is told that it is not safe, though those before it be incomplete still. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Payload bytes of what is not complete. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /**
   * Puts one PUBLISH at the end and returns its receipt; `release` runs after that of all before it. That is always
   * later, never within a call of the receipt: whoever tells that a message is safe is in the middle of something, and
   * a PUBACK may bring in the next message. What becomes safe in one turn is released together.
   */
  enter(payloadBytes: number, release: Release): Receipt {
    const slot = new Slot(payloadBytes, release, this.#onSettled);
    if (this.#last === undefined) this.#first = slot;
    else this.#last.next = slot;
    this.#last = slot;
    this.#pendingBytes += payloadBytes;
    return slot;
  }

  readonly #onSettled = (isSafe: boolean): void => {
    if (!isSafe) this.#hasFailed = true;
    if (this.#isReleasing) return;
    this.#isReleasing = true;
    queueMicrotask(this.#releaseSettled);
  };

  readonly #releaseSettled = (): void => {
    this.#isReleasing = false;
    while (this.#first?.isSettled) {
      const head = this.#first;
      this.#first = head.next;
      if (head.next === undefined) this.#last = undefined;
      this.#pendingBytes -= head.payloadBytes;
      head.release(head.error);
    }
  };
}

/** The place of one PUBLISH in the order, and the receipt of its message. */
class Slot implements Receipt {
  readonly payloadBytes: number;
  readonly release: Release;
  readonly #onSettled: (isSafe: boolean) => void;
  isSettled = false;
  error: Error | undefined;
  next: Slot | undefined;

  constructor(payloadBytes: number, release: Release, onSettled: (isSafe: boolean) => void) {
    this.payloadBytes = payloadBytes;
    this.release = release;
    this.#onSettled = onSettled;
  }

  safe(): void {
    this.isSettled = true;
    this.#onSettled(true);
  }

  unsafe(error: unknown): void {
    this.error = error instanceof Error ? error : new Error(String(error));
    this.isSettled = true;
    this.#onSettled(false);
  }
}
