import { describe, expect, onTestFinished, test, vi } from 'vitest';
import {
  DIRECT_AFTER_MS,
  LaneHarness,
  type LaneHarnessOptions,
} from '../../test/helpers/lane-harness.ts';
import type { LimitsConfig, WhenFull } from '../config/types.ts';
import type { QoS } from '../shared/message.ts';
import { promised } from '../shared/receipt.ts';
import type { Gap } from './gap-manifest.ts';

const LOOK_MS = 250;

/** A lane whose link is down, so that everything has to be stored. */
function full(
  whenFull: WhenFull,
  limits: LimitsConfig,
  rest: LaneHarnessOptions = {},
): LaneHarness {
  return new LaneHarness({ ...rest, room: { whenFull, limits, ...rest.room } });
}

/** Accepts one message outside of the harness's count; resolves with what became of it. */
function acceptOne(
  harness: LaneHarness,
  message: { qos?: QoS; receivedAtMs?: number; payloadBytes?: number },
): Promise<string> {
  const { qos = 1, receivedAtMs = 1, payloadBytes = 1 } = message;
  const rest = { qos, receivedAtMs, dup: false, retain: false, clientId: 'c' };
  const sent = { topic: 'a/b', payload: Buffer.alloc(payloadBytes), ...rest };
  return promised((receipt) => harness.lane.accept(sent, 'a.b', receipt)).then(
    () => 'safe',
    () => 'refused',
  );
}

function named(gaps: readonly Gap[]): string[] {
  return gaps.map(({ fromSeq, reason }) => `${fromSeq} ${reason}`);
}

describe('block', () => {
  test('a PUBACK is held back until there is room, and order is kept', async () => {
    const harness = full('block', { maxMessages: 2 });
    await harness.accept(4);
    await harness.durable();
    expect(harness.safe).toEqual([1, 2]);
    expect(harness.lane.waitingMessages).toBe(2);

    harness.publisher.open();
    await harness.advance(0);
    harness.publisher.confirm(1); // room for one
    await harness.advance(0);
    await harness.durable();
    expect(harness.safe).toEqual([1, 2, 3]);
    expect(harness.lane.waitingMessages).toBe(1);
    harness.publisher.confirm();
    await harness.durable();
    harness.publisher.confirm();
    await harness.advance(0);
    expect(harness.safe).toEqual([1, 2, 3, 4]);
    expect(harness.published).toEqual([1, 2, 3, 4]);
    expect(harness.gaps).toEqual([]);
  });

  test('nothing overtakes what waits, though it would fit', async () => {
    const harness = full('block', { maxBytes: 300 });
    await harness.accept(1, 100);
    await harness.accept(1, 200);
    await harness.accept(1, 1);
    await harness.durable();
    expect(harness.safe).toEqual([1]);
    expect(harness.lane.waitingMessages).toBe(2);
    harness.publisher.open();
    await harness.advance(0);
    harness.publisher.confirm();
    await harness.durable();
    harness.publisher.confirm();
    await harness.durable();
    expect(harness.published).toEqual([1, 2, 3]);
  });

  test('nothing overtakes what waits on the write-free path either', async () => {
    const harness = full('block', { maxMessages: 2 });
    await harness.accept(3);
    await harness.durable();
    harness.publisher.open();
    await harness.advance(DIRECT_AFTER_MS);
    await harness.accept();
    expect(harness.published).toEqual([1, 2]); // they are in flight, and in the log until they are confirmed
    expect(harness.lane.waitingMessages).toBe(2);
  });

  test('a store that gets room again is noticed without any event', async () => {
    let storeFullness = 2;
    const harness = full('block', {}, { room: { storeFullness: () => storeFullness } });
    await harness.accept(2);
    await harness.advance(10 * LOOK_MS);
    await harness.durable();
    expect(harness.safe).toEqual([]);
    storeFullness = 0.5;
    await harness.advance(LOOK_MS);
    await harness.durable();
    expect(harness.safe).toEqual([1, 2]);
  });

  test('a waiting message of QoS 0 is shed rather than that those behind it wait', async () => {
    let storeFullness = 0;
    const room = { storeFullness: () => storeFullness };
    const harness = full('block', { maxBytes: 1_000 }, { room });
    await harness.accept(1, 100);
    await harness.accept(1, 900);
    const shed = acceptOne(harness, { qos: 0 });
    await harness.accept(1);
    expect(harness.lane.waitingMessages).toBe(3);
    storeFullness = 0.95;
    harness.publisher.open();
    await harness.durable();
    harness.publisher.confirm();
    await harness.durable();
    harness.publisher.confirm();
    await harness.durable();
    expect(harness.lane.waitingMessages).toBe(0);
    expect(named(harness.gaps)).toEqual(['3 full']);
    expect(await shed).toBe('safe');
  });

  test('when the lane stops, what waits is refused, and lastSeq is the last before it', async () => {
    const harness = full('block', { maxMessages: 2 });
    await harness.accept(4);
    await harness.durable();
    await harness.lane.stop(AbortSignal.abort());
    await harness.advance(0);
    expect(harness.safe).toEqual([1, 2]);
    expect(harness.refused).toMatchObject([{ code: 'LANE_CLOSED' }, { code: 'LANE_CLOSED' }]);
    expect(harness.lane.isAllSafe).toBe(true);
    expect(harness.lane.lastSeq).toBe(2);
  });
});

describe('reject', () => {
  test('a message is refused with LANE_FULL and uses no seq up', async () => {
    const harness = full('reject', { maxMessages: 2 });
    await harness.accept(4);
    await harness.durable();
    expect(harness.safe).toEqual([1, 2]);
    expect(harness.refused).toMatchObject([{ code: 'LANE_FULL' }, { code: 'LANE_FULL' }]);
    expect(harness.lane.counters).toMatchObject({ accepted: 2, refusedFull: 2 });
    expect(harness.lane.lastSeq).toBe(2);

    harness.publisher.open();
    await harness.advance(0);
    harness.publisher.confirm();
    await harness.accept(1);
    await harness.durable();
    expect(harness.published).toEqual([1, 2, 3]); // the numbers go on without a gap
    expect(harness.gaps).toEqual([]);
  });
});

describe('drop-newest', () => {
  test('what finds no room is named, acknowledged and given up', async () => {
    const harness = full('drop-newest', { maxMessages: 2 });
    await harness.accept(4);
    await harness.durable();
    expect(named(harness.gaps)).toEqual(['3 full', '4 full']);
    expect(harness.safe.toSorted()).toEqual([1, 2, 3, 4]);
    expect(harness.lane.counters.dropped).toEqual({ full: 2 });
    harness.publisher.open();
    await harness.advance(0);
    harness.publisher.confirm();
    await harness.accept(1);
    await harness.durable();
    expect(harness.published).toEqual([1, 2, 5]);
  });
});

describe('drop-oldest', () => {
  test('the oldest go, as many as have come', async () => {
    const harness = full('drop-oldest', { maxMessages: 3 });
    await harness.accept(3);
    await harness.durable();
    await harness.accept(2);
    await harness.durable();
    expect(named(harness.gaps)).toEqual(['1 full', '2 full']);
    expect(harness.safe).toEqual([1, 2, 3, 4, 5]);
    expect(harness.log.lowWaterMark).toBe(2);
    harness.publisher.open();
    await harness.advance(0);
    expect(harness.published).toEqual([3, 4, 5]);
  });

  test('what is in flight is not given up, the oldest behind it is', async () => {
    const harness = full('drop-oldest', { maxMessages: 4 }, { maxMessages: 2 });
    await harness.accept(4);
    await harness.durable();
    harness.publisher.open();
    await harness.advance(0);
    expect(harness.inFlight).toEqual([1, 2]);
    await harness.accept(1);
    await harness.durable();
    expect(named(harness.gaps)).toEqual(['3 full']);
    harness.publisher.confirm();
    await harness.advance(0);
    expect(harness.published).toEqual([1, 2, 4, 5]);
    harness.publisher.confirm();
    await harness.advance(0);
    expect(harness.lane.backlogMessages).toBe(0);
  });

  test('a backlog of an earlier run counts, and its oldest go first', async () => {
    const before = full('drop-oldest', {});
    await before.accept(3);
    await before.durable();
    const log = before.log.reopened();
    const harness = full('drop-oldest', { maxMessages: 3 }, { log, epoch: 2 });
    await harness.accept(1);
    await harness.durable();
    expect(harness.gaps).toMatchObject([{ epoch: 1, fromSeq: 1, toSeq: 1, reason: 'full' }]);
  });

  test('in a full store one goes for each that comes', async () => {
    let storeFullness = 0;
    const room = { storeFullness: () => storeFullness };
    const harness = full('drop-oldest', {}, { room });
    await harness.accept(5);
    await harness.durable();
    storeFullness = 1.2;
    await harness.accept(2);
    await harness.durable();
    await harness.advance(10 * LOOK_MS);
    expect(named(harness.gaps)).toEqual(['1 full', '2 full']);
  });
});

test('expired messages go while the link is away, younger ones stay, whatever stamps they bear', async () => {
  const harness = full('block', { maxAgeMs: 1_000 });
  const nowMs = Date.now();
  void acceptOne(harness, { receivedAtMs: nowMs + 600_000 });
  await harness.advance(1_000);
  for (const receivedAtMs of [nowMs - 60_000, 5_000]) void acceptOne(harness, { receivedAtMs });
  await harness.durable();
  await harness.advance(2 * LOOK_MS);
  expect(named(harness.gaps)).toEqual(['1 expired']);
  expect(harness.lane.counters.dropped).toEqual({ expired: 1 });
  harness.publisher.open();
  await harness.advance(0);
  expect(harness.published).toEqual([2, 3]);
});

test('a clock that is set when the uplink returns expires nothing that was just received', async () => {
  let nowMs = Date.now();
  vi.spyOn(Date, 'now').mockImplementation(() => nowMs);
  onTestFinished(() => void vi.restoreAllMocks());
  const harness = full('block', { maxAgeMs: 60_000 });
  void acceptOne(harness, { receivedAtMs: nowMs });
  nowMs += 10 * 86_400_000;
  void acceptOne(harness, { receivedAtMs: nowMs });
  await harness.durable();
  await harness.advance(2 * LOOK_MS);
  expect(harness.gaps).toEqual([]);
  await harness.advance(60_000);
  expect(named(harness.gaps)).toEqual(['1 expired', '2 expired']);
});

test('a message that is released does not expire, however old it is', async () => {
  const harness = full('block', { maxAgeMs: 60_000 });
  harness.publisher.open();
  void acceptOne(harness, {});
  await harness.advance(0);
  harness.publisher.return();
  await harness.durable();
  harness.publisher.close();
  await harness.advance(61_000);
  void harness.lane.releaseParked(1);
  await harness.advance(2 * LOOK_MS);
  expect(harness.gaps).toEqual([]);
  harness.publisher.open();
  await harness.advance(0);
  expect(harness.inFlight).toEqual([1]);
});
