import { expect, test } from 'vitest';
import type { ClockNote, RunNote } from '../delivery/ports.ts';
import { startOfTime } from './time-start.ts';

const HOUR_MS = 3_600_000;
const HERE = { bootId: 'here', sinceBootMs: 5 * HOUR_MS };

function run(epoch: number, clock?: Partial<ClockNote>): RunNote {
  if (clock === undefined) return { epoch };
  const all = { bootId: 'here', startMs: 1_000, uptimeMs: HOUR_MS, seenMs: 2_000, ...clock };
  return { epoch, clock: all };
}

test('time begins at 0 in a store that knows of none', () => {
  expect(startOfTime([], HERE)).toEqual({ startMs: 0 });
  expect(startOfTime([run(1), run(2)], HERE)).toEqual({ startMs: 0 });
});

test('within one boot all that has passed counts, and a known true time stays known', () => {
  const runs = [run(1, { bootId: 'before', startMs: 0 }), run(2, { trueOffsetMs: 77 }), run(3)];
  expect(startOfTime(runs, HERE)).toEqual({ startMs: 1_000 + 4 * HOUR_MS, trueOffsetMs: 77 });
});

test.each<[string, Partial<ClockNote>, string]>([
  ['another boot', { bootId: 'before' }, 'here'],
  ['a boot that is not known', { bootId: '' }, ''],
  ['a monotonic clock that has gone back', { uptimeMs: 6 * HOUR_MS }, 'here'],
])('after %s time stands where it was last noted', (_what, clock, bootId) => {
  const runs = [run(1, { ...clock, seenMs: 9_000, trueOffsetMs: 77 }), run(2, clock)];
  expect(startOfTime(runs, { ...HERE, bootId })).toEqual({ startMs: 9_000 });
});

test('a note without sense is none', () => {
  expect(startOfTime([run(1, { seenMs: Number.NaN })], HERE)).toEqual({ startMs: 0 });
});
