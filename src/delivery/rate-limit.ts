const MS_PER_SECOND = 1_000;
/** What was not used adds up to this much time: long enough to use a rate whatever the timers do. */
const BURST_MS = 100;

/** A rate that must not be exceeded for long: a token bucket of 100 ms that may go into debt by one take. */
export class RateLimit {
  readonly #perMs: number | undefined;
  #tokens = 0;
  #atMs = 0;

  /** Without a number there is no limit. */
  constructor(perSecond: number | undefined) {
    this.#perMs = perSecond === undefined ? undefined : perSecond / MS_PER_SECOND;
  }

  /** How long until something may be taken again, in ms. */
  waitMs(nowMs: number): number {
    if (this.#perMs === undefined) return 0;
    this.#refill(nowMs, this.#perMs);
    return this.#tokens > 0 ? 0 : (1 - this.#tokens) / this.#perMs;
  }

  /** Takes it, also when there is not so much: what follows waits for it. */
  take(amount: number, nowMs: number): void {
    if (this.#perMs === undefined) return;
    this.#refill(nowMs, this.#perMs);
    this.#tokens -= amount;
  }

  #refill(nowMs: number, perMs: number): void {
    const most = Math.max(1, perMs * BURST_MS);
    this.#tokens = Math.min(most, this.#tokens + Math.max(0, nowMs - this.#atMs) * perMs);
    this.#atMs = nowMs;
  }
}
