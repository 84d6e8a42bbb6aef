import { retryDelays } from './retry-schedule.ts';

/** From a queue that is full for a moment to one that stays full for days. */
const DELAYS = { minMs: 200, maxMs: 30_000 };

/** The pause of a lane between a refused message and its next attempt; longer each time until one succeeds. */
export class RetryPause {
  /** Undefined from a success to the next refusal. */
  #delays: ReturnType<typeof retryDelays> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isPending = false;

  /** True from `request` until the pause is over: nothing may be published. */
  get isPending(): boolean {
    return this.#isPending;
  }

  /** A message was refused and must be tried again. */
  request(): void {
    this.#isPending = true;
  }

  /** Starts the pause if one is requested and not running. */
  begin(onOver: () => void): void {
    if (!this.#isPending || this.#timer !== undefined) return;
    this.#delays ??= retryDelays(DELAYS);
    this.#timer = setTimeout(() => {
      this.cancel();
      onOver();
    }, this.#delays.next().value);
  }

  cancel(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isPending = false;
  }

  /** A message went through: the next refusal starts with the shortest pause. */
  succeeded(): void {
    this.#delays = undefined;
  }
}
