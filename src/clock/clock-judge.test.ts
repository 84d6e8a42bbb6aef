import { expect, test } from 'vitest';
import { ClockJudge, type ClockReading } from './clock-judge.ts';

const DAY_MS = 86_400_000;
/** Some day in 2026: true time minus time of the gateway. */
const OFFSET_MS = 1_780_000_000_000;

function at(elapsedMs: number, wallErrorMs: number = 0): ClockReading {
  return { wallMs: OFFSET_MS + elapsedMs + wallErrorMs, elapsedMs };
}

test('a clock that nobody confirms is unsynced; confirmed, it is synced', () => {
  const judge = new ClockJudge(at(0));
  expect(judge.quality(at(0))).toBe('unsynced');
  expect(judge.trueOffsetMs).toBeUndefined();
  judge.confirm(at(5_000));
  expect(judge.quality(at(5_000))).toBe('synced');
  expect(judge.trueOffsetMs).toBe(OFFSET_MS);
});

test.each([-3_650 * DAY_MS, 3_650 * DAY_MS])(
  'a clock that is set by %i ms is unsynced, and corrected once it is confirmed again',
  (byMs) => {
    const judge = new ClockJudge(at(0));
    judge.confirm(at(0));
    judge.look(at(1_000));
    expect(judge.look(at(2_000, byMs))).toBe(byMs);
    expect(judge.quality(at(2_000, byMs))).toBe('unsynced');
    expect(judge.trueOffsetMs).toBe(OFFSET_MS);
    expect(judge.sureUntilMs).toBe(1_000);
    expect(judge.look(at(3_000))).toBe(-byMs);
    expect(judge.sureUntilMs).toBe(1_000);
    judge.confirm(at(4_000));
    expect(judge.quality(at(4_000))).toBe('corrected');
    expect(judge.sureUntilMs).toBeUndefined();
    expect(judge.steps).toBe(2);
  },
);

test('a clock that is adjusted by less than a second at a time is not set, but is told when it has gone far', () => {
  const judge = new ClockJudge(at(0));
  judge.confirm(at(0));
  expect(judge.look(at(1_000, 600))).toBe(0);
  expect(judge.quality(at(1_000, 600))).toBe('synced');
  expect(judge.look(at(2_000, 1_200))).toBe(1_200);
});

test('the offset of an earlier run of the same boot holds, whatever the wall clock says', () => {
  const right = new ClockJudge(at(0, 1_500), OFFSET_MS);
  expect(right.quality(at(1_000, 1_500))).toBe('synced');
  expect(right.sureUntilMs).toBeUndefined();
  const wrong = new ClockJudge(at(0, DAY_MS), OFFSET_MS);
  expect(wrong.quality(at(1_000, DAY_MS))).toBe('unsynced');
  expect(wrong.trueOffsetMs).toBe(OFFSET_MS);
  expect(wrong.sureUntilMs).toBe(0);
});

test('a time before 2024 is wrong, whoever confirms it', () => {
  const judge = new ClockJudge({ wallMs: 5_000, elapsedMs: 0 });
  judge.confirm({ wallMs: 6_000, elapsedMs: 1_000 });
  expect(judge.trueOffsetMs).toBeUndefined();
  expect(judge.quality({ wallMs: 7_000, elapsedMs: 2_000 })).toBe('unsynced');
});
