import { expect, test } from 'vitest';
import type { RunNote } from '../delivery/ports.ts';
import { MessageAges } from './message-ages.ts';

const DAY_MS = 86_400_000;
/** Time of the gateway at the start of this run, and now. */
const START_MS = 10 * DAY_MS;
const NOW_MS = START_MS + 5_000;
const OFFSET_MS = 1_780_000_000_000;

function ages(before: Partial<RunNote> = {}, trueOffsetMs?: number): MessageAges {
  const runs = new Map<number, RunNote>([
    [1, { epoch: 1, run: 'one', ...before }],
    [2, { epoch: 2, run: 'two' }],
  ]);
  const store = { epoch: 2, run: 'two', runs };
  return new MessageAges({
    store,
    startMs: START_MS,
    elapsedMs: () => NOW_MS,
    trueOffsetMs: () => trueOffsetMs,
  });
}

function before(change: object = {}): Partial<RunNote> {
  const clock = { bootId: 'b', startMs: 0, uptimeMs: 0, seenMs: START_MS };
  return { clock: { ...clock, trueOffsetMs: OFFSET_MS, ...change } };
}

const EARLIER = { epoch: 1, run: 'one', elapsedMs: 9 * DAY_MS };

test('a message of this run is as old as the gateway has counted since', () => {
  expect(ages().of({ epoch: 2, run: 'two', elapsedMs: NOW_MS - 300 })).toBe(300);
});

test('how long the gateway was off counts when the true time was known then and is known now', () => {
  const off = 3 * DAY_MS;
  const counted = NOW_MS - EARLIER.elapsedMs;
  expect(ages(before(), OFFSET_MS + off).of(EARLIER)).toBe(counted + off);
  expect(ages(before()).of(EARLIER)).toBe(counted);
  expect(ages({}, OFFSET_MS + off).of(EARLIER)).toBe(counted);
  expect(ages(before({ sureUntilMs: EARLIER.elapsedMs }), OFFSET_MS + off).of(EARLIER)).toBe(
    counted,
  );
  expect(ages(before({ sureUntilMs: START_MS }), OFFSET_MS + off).of(EARLIER)).toBe(counted + off);
});

test('a true time that has gone back makes no message younger', () => {
  expect(ages(before(), OFFSET_MS - 20 * DAY_MS).of(EARLIER)).toBe(NOW_MS - EARLIER.elapsedMs);
});

test('a message of another run that had the same epoch does not go by the note of that epoch', () => {
  const copied = { ...EARLIER, run: 'other' };
  expect(ages(before(), OFFSET_MS + DAY_MS).of(copied)).toBe(NOW_MS - EARLIER.elapsedMs);
  const sameEpoch = { epoch: 2, run: 'other', elapsedMs: NOW_MS - 300 };
  expect(ages().of(sameEpoch)).toBe(5_000);
});

test('a message of a time that a power cut has taken ages from the start of this run on', () => {
  expect(ages().of({ ...EARLIER, elapsedMs: 20 * DAY_MS })).toBe(5_000);
});

test('what bears no time came before this time began', () => {
  expect(ages(before(), OFFSET_MS + DAY_MS).of({ epoch: 1 })).toBe(NOW_MS);
});
