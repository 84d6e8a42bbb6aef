import { expect, test } from 'vitest';
import { retryDelays } from './retry-schedule.ts';

function take(count: number, delays: Generator<number, never, void>): number[] {
  return Array.from({ length: count }, () => delays.next().value);
}

test('the upper bound doubles from minMs and stays at maxMs', () => {
  const delays = retryDelays({ minMs: 100, maxMs: 1000, random: () => 0.5 });
  expect(take(6, delays)).toEqual([50, 100, 200, 400, 500, 500]);
});

test('full jitter reaches down to no delay at all', () => {
  expect(take(3, retryDelays({ minMs: 100, maxMs: 1000, random: () => 0 }))).toEqual([0, 0, 0]);
});

test('no delay is longer than maxMs, also when minMs is, and a long outage does not overflow', () => {
  const almostOne = (): number => 1 - Number.EPSILON;
  expect(take(2, retryDelays({ minMs: 5000, maxMs: 1000, random: almostOne }))).toEqual([999, 999]);
  const last = take(5000, retryDelays({ minMs: 100, maxMs: 30_000, random: almostOne })).at(-1);
  expect(last).toBe(29_999);
});

test('a new schedule starts from minMs again', () => {
  const options = { minMs: 100, maxMs: 1000, random: () => 0.99 };
  take(5, retryDelays(options));
  expect(take(1, retryDelays(options))).toEqual([99]);
});

test('delays are spread over the whole interval', () => {
  const delays = take(1000, retryDelays({ minMs: 1000, maxMs: 1000 }));
  expect(Math.min(...delays)).toBeLessThan(100);
  expect(Math.max(...delays)).toBeGreaterThan(900);
});
