import { expect, test } from 'vitest';
import { RateLimit } from './rate-limit.ts';

/** Takes whenever it may, for so long; returns how much it got. */
function takeFor(limit: RateLimit, lastsMs: number, amount: number = 1): number {
  let taken = 0;
  for (let nowMs = 1_000_000; nowMs < 1_000_000 + lastsMs; ) {
    const waitMs = limit.waitMs(nowMs);
    nowMs += waitMs;
    if (waitMs > 0) continue;
    limit.take(amount, nowMs);
    taken += amount;
  }
  return taken;
}

test('without a number there is no limit', () => {
  const limit = new RateLimit(undefined);
  limit.take(1_000_000, 0);
  expect(limit.waitMs(0)).toBe(0);
});

test.each([1, 7, 200, 30_000])('%i a second are kept, with a tenth of a second ahead', (rate) => {
  const taken = takeFor(new RateLimit(rate), 10_000);
  expect(taken).toBeGreaterThanOrEqual(10 * rate);
  expect(taken).toBeLessThanOrEqual(10.1 * rate + 2);
});

test('a take larger than all that adds up goes through, and what follows waits for it', () => {
  const limit = new RateLimit(1_000);
  expect(limit.waitMs(5_000)).toBe(0);
  limit.take(4_000, 5_000);
  expect(limit.waitMs(5_000)).toBeGreaterThan(3_800);
  expect(limit.waitMs(8_800)).toBeGreaterThan(0);
  expect(limit.waitMs(9_000)).toBe(0);
});

test('a long pause adds up to a tenth of a second and no more', () => {
  const limit = new RateLimit(1_000);
  limit.take(1, 0);
  let taken = 0;
  for (; limit.waitMs(3_600_000) === 0; taken += 1) limit.take(1, 3_600_000);
  expect(taken).toBe(100);
});

test('a wait is long enough: afterwards something may be taken', () => {
  const limit = new RateLimit(3);
  limit.take(1, 0);
  limit.take(1, 0);
  const waitMs = limit.waitMs(0);
  expect(limit.waitMs(waitMs)).toBe(0);
});
