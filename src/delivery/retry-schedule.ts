/** Bounds of a retry schedule. */
export interface RetryScheduleOptions {
  /** Upper bound of the first delay, in ms. */
  readonly minMs: number;
  /** Upper bound of every delay, in ms. */
  readonly maxMs: number;
  /** Uniform in [0, 1). Default `Math.random`. */
  readonly random?: () => number;
}

/**
 * Delays between attempts, in whole ms, without end: exponential back-off with full jitter, so that many
 * gateways that lost the same broker do not come back in step.
 *
 *     delay(n) = random() × min(maxMs, minMs × 2ⁿ)     n = 0, 1, 2 …
 *
 * A schedule only goes up: after a success, make a new one.
 */
export function* retryDelays(options: RetryScheduleOptions): Generator<number, never, void> {
  const random = options.random ?? Math.random;
  let ceilingMs = Math.min(options.minMs, options.maxMs);
  for (;;) {
    yield Math.floor(random() * ceilingMs);
    ceilingMs = Math.min(options.maxMs, ceilingMs * 2);
  }
}
