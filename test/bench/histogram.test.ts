import { expect, test } from 'vitest';
import { Histogram } from './histogram.ts';

function filled(durationsMs: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const durationMs of durationsMs) histogram.add(durationMs);
  return histogram;
}

const thousand: readonly number[] = Array.from({ length: 1000 }, (_, index) => index + 1);

test('percentiles are at most 1 % above the truth and never below it, and the longest is exact', () => {
  const { p50, p90, p99, p999, max } = filled(thousand).summary();
  for (const [measured, truth] of [
    [p50, 500],
    [p90, 900],
    [p99, 990],
    [p999, 999],
  ] as const) {
    expect(measured).toBeGreaterThanOrEqual(truth);
    expect(measured).toBeLessThanOrEqual(truth * 1.01);
  }
  expect(max).toBe(1000);
});

test('the order in which durations come does not matter', () => {
  expect(filled(thousand.toReversed()).summary()).toEqual(filled(thousand).summary());
});

test('one slow PUBACK of a thousand is seen by the maximum alone', () => {
  const { p50, p999, max } = filled([...Array.from({ length: 999 }, () => 0.2), 750]).summary();
  expect(p50).toBeCloseTo(0.2, 2);
  expect(p999).toBeCloseTo(0.2, 2);
  expect(max).toBe(750);
});

test('nothing has percentiles of 0, and what is too long for the last bucket is kept', () => {
  expect(new Histogram().summary()).toEqual({ p50: 0, p90: 0, p99: 0, p999: 0, max: 0 });
  const monthMs = 30 * 24 * 3_600_000;
  expect(filled([monthMs]).quantile(0.5)).toBe(monthMs);
});
