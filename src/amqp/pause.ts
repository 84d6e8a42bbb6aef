import { setTimeout as delay } from 'node:timers/promises';

/** Resolves after `ms`, or at once when the signal is or becomes aborted. Never rejects. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {});
}

/** Resolves when the promise has ended either way, but after `limitMs` at the latest. Never rejects. */
export async function settledWithin(promise: Promise<unknown>, limitMs: number): Promise<void> {
  const ended = new AbortController();
  const end = (): void => ended.abort();
  promise.then(end, end);
  await pause(limitMs, ended.signal);
}

/** Resolves when the signal is aborted. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) =>
    signal.addEventListener('abort', () => resolve(), { once: true }),
  );
}
