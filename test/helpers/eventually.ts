import { setTimeout as delay } from 'node:timers/promises';

/** Often enough to cost a test little, seldom enough to leave a small machine its time. */
const DEFAULT_EVERY_MS = 25;

export interface EventuallyOptions {
  /** How long the assertion may go on failing, in ms. */
  readonly withinMs: number;
  /** Pause between two tries, in ms. Default 25. */
  readonly everyMs?: number;
}

/**
 * Tries the assertion until it does not throw, and resolves with what it returned.
 * @throws {Error} after `withinMs`, with the last failure as its cause and in its text.
 */
export async function eventually<T>(
  assertion: () => T | Promise<T>,
  options: EventuallyOptions,
): Promise<T> {
  const { withinMs, everyMs = DEFAULT_EVERY_MS } = options;
  const deadlineMs = performance.now() + withinMs;
  for (let tries = 1; ; tries++) {
    try {
      return await assertion();
    } catch (error) {
      if (performance.now() + everyMs > deadlineMs) {
        const text = error instanceof Error ? error.message : String(error);
        throw new Error(`still failing after ${withinMs} ms and ${tries} tries: ${text}`, {
          cause: error,
        });
      }
    }
    await delay(everyMs);
  }
}
