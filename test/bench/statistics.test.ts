import { expect, test } from 'vitest';
import { median, quantile, spread } from './statistics.ts';

test('the median is the value in the middle, whatever the order', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([7])).toBe(7);
});

test('the median of an even number of values is the mean of the two in the middle', () => {
  expect(median([10, 1, 4, 2])).toBe(3);
});

test('a quantile is a value that was measured', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
  expect(quantile(hundred, 0.5)).toBe(50);
  expect(quantile(hundred, 0.99)).toBe(99);
  expect(quantile(hundred, 1)).toBe(100);
  expect(quantile([3], 0)).toBe(3);
});

test('the spread of nothing is nothing, and the median of nothing an error', () => {
  expect(spread([])).toBeUndefined();
  expect(() => median([])).toThrow(RangeError);
});

test('a spread has the smallest, the largest and how many there were', () => {
  expect(spread([5, 2, 9])).toEqual({ median: 5, min: 2, max: 9, count: 3 });
});
