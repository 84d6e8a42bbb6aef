import type { Random } from './random.ts';

export interface BackoffOptions {
  /** Longest wait before the first retry, in ms. */
  readonly firstMs: number;
  /** Longest wait ever, in ms. */
  readonly maxMs: number;
}

/** Quick enough for a simulation, slow enough that a fleet does not hammer a gateway that starts. */
export const DEFAULT_BACKOFF: BackoffOptions = { firstMs: 500, maxMs: 8_000 };

/**
 * Wait before reconnecting after the given number of failures in a row (from 0), in ms: between half and
 * all of `firstMs * 2^failures`, at most `maxMs`. The jitter keeps a fleet from coming back in one step.
 */
export function reconnectDelayMs(
  failures: number,
  random: Random,
  options: BackoffOptions = DEFAULT_BACKOFF,
): number {
  const longestMs = Math.min(options.maxMs, options.firstMs * 2 ** failures);
  return Math.round(random.between(longestMs / 2, longestMs));
}
