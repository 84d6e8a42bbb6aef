import { expect, test } from 'vitest';
import { LaneHarness, type LaneHarnessOptions } from '../../test/helpers/lane-harness.ts';
import { LaneBudgets } from './lane-budgets.ts';

const BYTES = { inFlightBytes: 1_000, readAheadBytes: 1_000_000, leavingBytes: 1_000 };

/** A lane that shares small budgets with others, which the test plays. */
function sharing(options: LaneHarnessOptions = {}): { budgets: LaneBudgets; harness: LaneHarness } {
  const { inFlightBytes, ...others } = BYTES;
  const budgets = new LaneBudgets(inFlightBytes, others);
  const harness = new LaneHarness({ ...options, room: { ...options.room, budgets } });
  return { budgets, harness };
}

test('what finds no room in flight beside other lanes is stored, and published when there is room', async () => {
  const { budgets, harness } = sharing();
  harness.publisher.open();
  const other = budgets.inFlight.share({ onRoom: () => undefined });
  other.force(BYTES.inFlightBytes);
  await harness.accept(2);
  expect(harness.published).toEqual([]);
  await harness.durable();
  expect(harness.safe).toEqual([1, 2]);
  other.give(BYTES.inFlightBytes);
  await harness.advance(0);
  expect(harness.inFlight).toEqual([1, 2]);
});

test('a payload in flight counts twice, and its room is there again when the link is lost', async () => {
  const { budgets, harness } = sharing();
  harness.publisher.open();
  await harness.accept(1, 300);
  expect(budgets.inFlight.usedBytes).toBeGreaterThanOrEqual(600);
  await harness.accept(1, 300);
  expect(harness.inFlight).toEqual([1]);
  harness.publisher.close();
  expect(budgets.inFlight.usedBytes).toBe(0);
});

test('while other lanes have much on its way out, a lane gives up and publishes nothing from its log', async () => {
  const limits = { maxMessages: 2 };
  const { budgets, harness } = sharing({ room: { whenFull: 'drop-oldest', limits } });
  const other = budgets.leaving.share({ onRoom: () => undefined });
  other.force(BYTES.leavingBytes);
  await harness.accept(3);
  await harness.durable();
  harness.publisher.open();
  await harness.advance(1_000);
  expect([harness.gaps, harness.published]).toEqual([[], []]);
  other.give(1);
  await harness.advance(0);
  expect(harness.gaps).toMatchObject([{ fromSeq: 1 }]);
  expect(harness.published).toEqual([2, 3]);
});

test('a lane that cannot publish gives up what it has loaded for those that can, and loads it again later', async () => {
  const { budgets, harness } = sharing();
  await harness.accept(5, 1_000);
  await harness.durable();
  expect(budgets.readAhead.usedBytes).toBeGreaterThan(5_000);
  let isGiven = false;
  const other = budgets.readAhead.share({
    onRoom: () => {
      isGiven = other.take(BYTES.readAheadBytes - 1_000);
    },
  });
  await harness.advance(1_000);
  expect(other.take(BYTES.readAheadBytes - 1_000)).toBe(false);
  await harness.advance(500);
  expect(isGiven).toBe(true);
  harness.publisher.open();
  await harness.advance(1_000);
  expect(harness.published).toEqual([]); // there is no room to read
  other.give(BYTES.readAheadBytes);
  await harness.advance(0);
  while (harness.inFlight.length > 0) {
    harness.publisher.confirm();
    await harness.advance(0);
  }
  expect(harness.published).toEqual([1, 2, 3, 4, 5]);
});
