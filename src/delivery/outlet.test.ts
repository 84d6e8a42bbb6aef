import { expect, test } from 'vitest';
import { LaneHarness } from '../../test/helpers/lane-harness.ts';
import { MemoryLaneLog } from '../../test/helpers/memory-store.ts';
import type { BackfillConfig } from '../config/types.ts';
import { NO_RECEIPT } from '../shared/receipt.ts';
import { BackfillGovernor } from './backfill.ts';

/** Seqs from the first to the last. */
function from(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, n) => first + n);
}

/** A lane with a window of 8 and 20 stored messages, whose mark is recorded only by `durable`. */
async function storedTwenty(): Promise<{ log: MemoryLaneLog; harness: LaneHarness }> {
  const log = new MemoryLaneLog({ manual: true, manualMarks: true });
  const harness = new LaneHarness({ mode: 'disk-first', maxMessages: 8, log });
  harness.publisher.open();
  await harness.accept(20);
  await harness.durable();
  return { log, harness };
}

/** A lane whose backlog goes out as the config says. */
function governed(config: Partial<BackfillConfig>, random: number = 0): LaneHarness {
  const unhurried = {
    maxInFlightMessages: 1_000,
    targetConfirmMs: 60_000,
    maxStartDelayMs: 60_000,
  };
  const governor = new BackfillGovernor({ ...unhurried, ...config }, () => random);
  return new LaneHarness({ room: { backfill: governor.lane(100) } });
}

/** So many messages are stored and are no news any more. */
async function storeOld(harness: LaneHarness, count: number): Promise<void> {
  await harness.accept(count);
  await harness.durable();
  await harness.advance(2_000);
}

test('a backlog goes out at the rate that is set, whatever the window', async () => {
  const harness = governed({ maxMessagesPerSecond: 10 });
  await storeOld(harness, 50);
  harness.publisher.open();
  for (let seconds = 0; seconds < 3; seconds += 1) {
    await harness.advance(1_000);
    harness.publisher.confirm();
  }
  expect(harness.published.length).toBeGreaterThanOrEqual(29);
  expect(harness.published.length).toBeLessThanOrEqual(32);
  expect(harness.published).toEqual(harness.published.toSorted((a, b) => a - b));
});

test('a backlog has no more in flight than the lanes share, and goes on with each confirm', async () => {
  const harness = governed({ maxInFlightMessages: 3 });
  await storeOld(harness, 5);
  harness.publisher.open();
  await harness.advance(10_000);
  expect(harness.inFlight).toEqual([1, 2, 3]);
  harness.publisher.confirm(1);
  await harness.advance(0);
  expect(harness.inFlight).toEqual([2, 3, 4]);
});

test('after an outage a backlog waits a part of it, and then goes out', async () => {
  const harness = governed({}, 1);
  harness.publisher.open();
  harness.publisher.close({ scope: 'connection', text: 'lost' });
  await harness.accept(2);
  await harness.durable();
  await harness.advance(20_000);
  harness.publisher.open();
  await harness.advance(1_990);
  expect(harness.published).toEqual([]);
  await harness.advance(20);
  expect(harness.published).toEqual([1, 2]);
});

test('what an earlier run has stored is backlog, however little time the gateway has counted since', async () => {
  const log = new MemoryLaneLog();
  const earlier = new LaneHarness({ mode: 'disk-first', log });
  await earlier.accept(5);
  void earlier.lane.stop(AbortSignal.abort());
  const governor = new BackfillGovernor(
    { maxInFlightMessages: 3, targetConfirmMs: 60_000, maxStartDelayMs: 0 },
    () => 0,
  );
  const room = { backfill: governor.lane(100) };
  const harness = new LaneHarness({ epoch: 2, log: log.killed(), room });
  harness.publisher.open();
  await harness.advance(0);
  expect(harness.inFlight).toEqual([1, 2, 3]);
});

test('a link lost during the wait for the rate publishes nothing while it is away', async () => {
  const harness = governed({ maxMessagesPerSecond: 1 });
  await storeOld(harness, 3);
  harness.publisher.open();
  await harness.advance(500);
  const before = harness.published.length;
  expect(before).toBeLessThan(3);
  harness.publisher.close();
  await harness.advance(10_000); // a publish would throw
  expect(harness.published).toHaveLength(before);
});

test('messages that arrived just now go out at once, whatever the wall clock and what holds a backlog back', async () => {
  const harness = governed({ maxMessagesPerSecond: 1, maxInFlightMessages: 1 }, 1);
  harness.publisher.open();
  harness.publisher.block(); // so that they have to be stored
  for (let n = 0; n < 20; n += 1) {
    const rest = { qos: 1, dup: false, retain: false, clientId: 'c' } as const;
    const message = { topic: 'a', payload: Buffer.alloc(1), receivedAtMs: 1, ...rest };
    harness.lane.accept(message, 'a', NO_RECEIPT);
  }
  await harness.durable();
  expect(harness.published).toEqual([]);
  harness.publisher.unblock();
  await harness.advance(0);
  expect(harness.inFlight).toHaveLength(20);
});

test('a full window of messages on their way out holds publishing back, and lets it go on', async () => {
  const named: (() => void)[] = [];
  const gaps = { record: () => new Promise<void>((resolve) => void named.push(resolve)) };
  const harness = new LaneHarness({ onUnroutable: 'drop', maxMessages: 2, room: { gaps } });
  await harness.accept(6);
  await harness.durable();
  harness.publisher.open();
  await harness.advance(0);
  harness.publisher.return();
  harness.publisher.return();
  await harness.advance(0);
  expect(harness.published).toEqual([1, 2]); // a kill would repeat both
  for (const resolve of named.splice(0)) resolve();
  await harness.advance(0);
  expect(harness.published).toEqual([1, 2, 3, 4]);
});

test('what is settled and not recorded takes its part of the window, as a kill would repeat it', async () => {
  const { log, harness } = await storedTwenty();
  expect(harness.inFlight).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  harness.publisher.confirm(3); // the mark is asked to be recorded behind the second
  await harness.advance(0);
  expect(harness.inFlight).toEqual([4, 5, 6, 7, 8]);
  await harness.durable();
  expect(log.recordedMark).toBe(2);
  expect(harness.inFlight).toEqual([4, 5, 6, 7, 8, 9, 10]);
  const next = new LaneHarness({ log: log.killed(), epoch: 2 });
  next.publisher.open();
  await next.advance(0);
  expect(next.publisher.published.map(({ seq }) => seq)).toEqual(from(3, 20));
});

test('a kill before a mark was ever recorded repeats one window and no more', async () => {
  const { harness } = await storedTwenty();
  while (harness.inFlight.length > 0) {
    harness.publisher.confirm(1);
    await harness.advance(0);
  }
  expect(harness.published).toEqual(from(1, 8));
});

test('what a blocking broker holds up does not keep in the log what is given up behind it', async () => {
  const room = { whenFull: 'drop-oldest', limits: { maxMessages: 4 } } as const;
  const harness = new LaneHarness({ maxMessages: 2, room });
  await harness.accept(4);
  await harness.durable();
  harness.publisher.open();
  await harness.advance(0);
  harness.publisher.block();
  for (let n = 0; n < 20; n += 1) {
    await harness.accept(1);
    await harness.durable();
  }
  expect(harness.inFlight).toEqual([1, 2]);
  expect(harness.gaps.length).toBe(20);
  expect(harness.log.unsettled().length).toBeLessThanOrEqual(4 + 2);

  harness.publisher.confirm(); // too late: they are given up
  harness.publisher.unblock();
  await harness.advance(0);
  harness.publisher.confirm();
  await harness.advance(0);
  expect(harness.published).toEqual([1, 2, 21, 22, 23, 24]);
  harness.publisher.confirm();
  await harness.advance(0);
  expect(harness.lane.backlogMessages).toBe(0);
});

test('behind a message whose parking waits for the disk only some windows go out, and all when it is done', async () => {
  const harness = new LaneHarness({ maxMessages: 2 });
  await harness.accept(40);
  await harness.durable();
  harness.publisher.open();
  harness.publisher.return(); // to be parked, which the disk does not do
  const confirmAll = async (): Promise<void> => {
    while (harness.inFlight.length > 0) {
      harness.publisher.confirm();
      await harness.advance(0);
    }
  };
  await confirmAll();
  expect(harness.published.length).toBeLessThanOrEqual(1 + 4 * 2 + 2);
  await harness.durable();
  await confirmAll();
  expect(harness.published).toEqual(Array.from({ length: 40 }, (_, n) => n + 1));
  expect(harness.lane.backlogMessages).toBe(0);
});
