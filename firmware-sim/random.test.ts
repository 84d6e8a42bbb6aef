import { expect, test } from 'vitest';
import { Random, seedFor } from './random.ts';

test('the same seed gives the same sequence', () => {
  const one = new Random(7);
  const two = new Random(7);
  for (let i = 0; i < 100; i++) expect(one.next()).toBe(two.next());
  expect(new Random(8).next()).not.toBe(new Random(7).next());
});

test('numbers are spread over [0, 1)', () => {
  const random = new Random(1);
  const counts = new Array<number>(10).fill(0);
  for (let i = 0; i < 10_000; i++) {
    const slot = Math.floor(random.next() * 10);
    counts[slot] = (counts[slot] ?? 0) + 1;
  }
  expect(counts).toHaveLength(10);
  for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
});

test('waiting times have the mean asked for', () => {
  const random = new Random(3);
  let sum = 0;
  for (let i = 0; i < 10_000; i++) sum += random.waitingTime(50);
  expect(Math.abs(sum / 10_000 - 50)).toBeLessThan(3);
});

test('labels give seeds of their own', () => {
  const labels = Array.from({ length: 200 }, (_, index) => `device-${index}`);
  expect(new Set(labels.map((label) => seedFor(1, label))).size).toBe(200);
  expect(seedFor(1, 'a')).not.toBe(seedFor(2, 'a'));
});
