import { expect, test } from 'vitest';
import { MemoryBound } from './memory-bound.ts';

test('all forget when one of them would go beyond the bound', () => {
  const bound = new MemoryBound(100);
  const [one, other] = [new Map<number, string>(), new Map<number, string>()];
  bound.remember(one, 1, 'a', 50);
  bound.remember(other, 1, 'b', 50);
  expect([one.size, other.size]).toEqual([1, 1]);
  bound.remember(one, 2, 'c', 1);
  expect([...one]).toEqual([[2, 'c']]);
  expect([...other]).toEqual([]);
});

test('an entry counts each time it is put, as what it was may be in use still', () => {
  const bound = new MemoryBound(100);
  const [one, other] = [new Map<number, string>(), new Map<number, string>()];
  bound.remember(other, 1, 'b', 10);
  for (let n = 0; n < 10; n += 1) bound.remember(one, 1, 'a', 10);
  expect([one.size, other.size]).toEqual([1, 0]);
});
