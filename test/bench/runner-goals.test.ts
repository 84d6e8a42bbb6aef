import { expect, test } from 'vitest';
import { judge } from './runner-goals.ts';
import type { Round } from './runner-result.ts';
import type { Goal } from './scenario.ts';

const TIMES: Goal = {
  what: 'five times as many',
  metric: 'messagesPerSecond',
  of: 'ours',
  against: 'theirs',
  as: 'ratio',
  isGood: 'high',
  atLeast: 5,
  aim: 8,
  unit: '×',
};

const VALUE: Goal = { ...TIMES, as: 'value', isGood: 'low', atLeast: 250, aim: 100, unit: 'ms' };

function round(number: number, subject: string, messagesPerSecond?: number): Round {
  const measured = messagesPerSecond === undefined ? {} : { measured: { messagesPerSecond } };
  return { round: number, subject, seconds: 1, ...measured };
}

test('a ratio is taken in each round and then the median of them', () => {
  const rounds = [
    round(1, 'ours', 60),
    round(1, 'theirs', 10),
    round(2, 'ours', 100),
    round(2, 'theirs', 10),
    round(3, 'ours', 14),
    round(3, 'theirs', 2),
  ];
  const { compared, outcome } = judge(TIMES, { rounds });
  expect(compared).toEqual({ median: 7, min: 6, max: 10, count: 3 });
  expect(outcome).toBe('at least');
});

test('a round in which one side failed does not count', () => {
  const rounds = [
    round(1, 'ours', 90),
    round(1, 'theirs', 10),
    round(2, 'ours', 10),
    round(2, 'theirs'),
  ];
  expect(judge(TIMES, { rounds })).toMatchObject({ compared: { median: 9, count: 1 } });
});

test('a goal without any full round is not measured, and so is a ratio to zero', () => {
  expect(judge(TIMES, { rounds: [round(1, 'ours', 90)] }).outcome).toBe('not measured');
  const zero = [round(1, 'ours', 90), round(1, 'theirs', 0)];
  expect(judge(TIMES, { rounds: zero }).outcome).toBe('not measured');
});

test('the inverse is how many times less, the difference how much more', () => {
  const rounds = [round(1, 'ours', 2), round(1, 'theirs', 10)];
  expect(judge({ ...TIMES, as: 'inverse' }, { rounds }).compared?.median).toBe(5);
  expect(judge({ ...TIMES, as: 'difference' }, { rounds }).compared?.median).toBe(-8);
});

test.each([
  [251, 'missed'],
  [250, 'at least'],
  [100.1, 'at least'],
  [100, 'aim'],
])('where little is good, %d comes out as %s', (value, outcome) => {
  expect(judge(VALUE, { rounds: [round(1, 'ours', value)] }).outcome).toBe(outcome);
});

test('where much is good, what lies under the least is missed', () => {
  const rounds = [round(1, 'ours', 49.9), round(1, 'theirs', 10)];
  expect(judge(TIMES, { rounds }).outcome).toBe('missed');
});
