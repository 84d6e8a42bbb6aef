import { expect, test } from 'vitest';
import { LaneHarness } from '../../test/helpers/lane-harness.ts';
import { GatewayError } from '../shared/errors.ts';
import type { Gap } from './gap-manifest.ts';

/** A gap manifest whose disk is in the hands of the test. */
class HeldGaps {
  readonly gaps: Gap[] = [];
  #waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];

  record(gap: Gap): Promise<void> {
    this.gaps.push(gap);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  durable(): void {
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  closed(): void {
    const error = new GatewayError('STORE_CLOSED', 'The store is closed.');
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}

function lane(
  gaps: HeldGaps,
  whenFull: 'drop-oldest' | 'drop-newest',
  maxMessages: number = 2,
): LaneHarness {
  return new LaneHarness({ maxMessages: 2, room: { gaps, whenFull, limits: { maxMessages } } });
}

test('a message that finds no room is acknowledged only when the gap manifest has it', async () => {
  const gaps = new HeldGaps();
  const harness = lane(gaps, 'drop-newest');
  await harness.accept(3);
  await harness.durable();
  expect(gaps.gaps).toMatchObject([{ fromSeq: 3, toSeq: 3, count: 1, bytes: 1 }]);
  expect(harness.safe).toEqual([1, 2]);
  expect(harness.lane.counters.dropped).toEqual({});
  gaps.durable();
  await harness.advance(0);
  expect(harness.safe).toEqual([1, 2, 3]);
  expect(harness.lane.counters.dropped).toEqual({ full: 1 });
});

test('a message that cannot be named is not given up: it is refused', async () => {
  const gaps = new HeldGaps();
  const harness = lane(gaps, 'drop-newest');
  await harness.accept(3);
  await harness.durable();
  gaps.closed();
  await harness.advance(0);
  expect(harness.safe).toEqual([1, 2]);
  expect(harness.refused).toMatchObject([{ code: 'STORE_CLOSED' }]);
  expect(harness.lane.counters.dropped).toEqual({});
});

test('the record of the oldest stays until the gap manifest has it, and for ever when that fails', async () => {
  const gaps = new HeldGaps();
  const harness = lane(gaps, 'drop-oldest');
  await harness.accept(3);
  await harness.durable();
  expect(gaps.gaps).toMatchObject([{ fromSeq: 1, reason: 'full' }]);
  expect(harness.log.unsettled().map(({ seq }) => seq)).toEqual([1, 2, 3]);
  gaps.closed();
  await harness.advance(0);
  expect(harness.log.unsettled().map(({ seq }) => seq)).toEqual([1, 2, 3]);
  expect(harness.lane.counters.dropped).toEqual({});
});

/** Two are in flight, and the third was chosen to make room for the fourth. */
async function thirdOnItsWayOut(gaps: HeldGaps): Promise<LaneHarness> {
  const harness = lane(gaps, 'drop-oldest', 3);
  await harness.accept(3);
  await harness.durable();
  harness.publisher.open();
  await harness.accept(1);
  await harness.durable();
  expect(harness.inFlight).toEqual([1, 2]);
  expect(gaps.gaps).toMatchObject([{ fromSeq: 3 }]);
  return harness;
}

async function linkLost(harness: LaneHarness): Promise<void> {
  harness.publisher.close({ scope: 'connection', text: 'lost' });
  harness.publisher.open();
  await harness.advance(0);
  harness.publisher.confirm();
  await harness.advance(0);
}

test('a lost link does not bring back what is being given up', async () => {
  const gaps = new HeldGaps();
  const harness = await thirdOnItsWayOut(gaps);
  await linkLost(harness);
  expect(harness.published).toEqual([1, 2, 1, 2, 4]);
  gaps.durable();
  harness.publisher.confirm();
  await harness.advance(0);
  expect(harness.published).toEqual([1, 2, 1, 2, 4]);
  expect(harness.lane.backlogMessages).toBe(0);
  expect(harness.log.lowWaterMark).toBe(4);
});

test('a lost link brings nothing back that was given up behind what was in flight', async () => {
  const gaps = new HeldGaps();
  const harness = await thirdOnItsWayOut(gaps);
  gaps.durable();
  await harness.advance(0);
  expect(harness.log.lowWaterMark).toBe(0); // those in flight are not confirmed
  await linkLost(harness);
  expect(harness.published).toEqual([1, 2, 1, 2, 4]);
});

test('what the disk has lost stays unsettled until the gap manifest has it, and for ever when that fails', async () => {
  const before = new LaneHarness();
  await before.accept(3);
  await before.durable();
  for (const isNamed of [false, true]) {
    const log = before.log.reopened();
    log.damage(1);
    const gaps = new HeldGaps();
    const harness = new LaneHarness({ log, room: { gaps } });
    harness.publisher.open();
    await harness.advance(0);
    expect(gaps.gaps).toMatchObject([{ reason: 'damaged', count: 1 }]);
    harness.publisher.confirm();
    await harness.advance(0);
    expect(log.lowWaterMark).toBe(1);
    if (isNamed) gaps.durable();
    else gaps.closed();
    await harness.advance(0);
    expect(log.lowWaterMark).toBe(isNamed ? 3 : 1);
  }
});

test('parked messages are discarded only when the gap manifest has them', async () => {
  const gaps = new HeldGaps();
  const harness = new LaneHarness({ room: { gaps } });
  harness.publisher.open();
  await harness.accept(2);
  harness.publisher.return();
  harness.publisher.return();
  await harness.durable();
  expect(harness.lane.parkedMessages).toBe(2);

  const failed = harness.lane.discardParked(10).catch((error: GatewayError) => error.code);
  await harness.advance(0);
  gaps.closed();
  expect(await failed).toBe('STORE_CLOSED');
  expect(harness.parked).toEqual(['1 unroutable', '2 unroutable']);

  const discarding = harness.lane.discardParked(10);
  await harness.advance(0);
  gaps.durable();
  expect(await discarding).toBe(2);
  expect(harness.parked).toEqual([]);
  expect(gaps.gaps.slice(2)).toMatchObject([
    { fromSeq: 1, reason: 'discarded' },
    { fromSeq: 2, reason: 'discarded' },
  ]);
  expect(harness.lane.counters.dropped).toEqual({ discarded: 2 });
});

/** A lane whose three messages are parked. */
async function threeParked(gaps: HeldGaps): Promise<LaneHarness> {
  const harness = new LaneHarness({ room: { gaps } });
  harness.publisher.open();
  await harness.accept(3);
  for (let n = 0; n < 3; n += 1) harness.publisher.return();
  await harness.durable();
  return harness;
}

test('two releases at the same time release each message once', async () => {
  const harness = await threeParked(new HeldGaps());
  const both = [harness.lane.releaseParked(10), harness.lane.releaseParked(10)];
  await harness.advance(0);
  expect(await Promise.all(both)).toEqual([3, 0]);
  expect(harness.log.endOffset).toBe(3);
  expect(harness.lane.parkedMessages).toBe(0);
  expect(harness.inFlight).toEqual([1, 2, 3]);
});

test('what is being discarded is not released meanwhile, nor the other way round', async () => {
  const gaps = new HeldGaps();
  const harness = await threeParked(gaps);
  const discarding = harness.lane.discardParked(2);
  const releasing = harness.lane.releaseParked(10);
  const late = harness.lane.discardParked(10);
  await harness.advance(0);
  gaps.durable();
  await harness.advance(0);
  expect(await Promise.all([discarding, releasing, late])).toEqual([2, 1, 0]);
  expect(gaps.gaps.map(({ fromSeq }) => fromSeq)).toEqual([1, 2]);
  expect(harness.inFlight).toEqual([3]);
});

test('what is released counts towards the limits of the lane again, until it is settled', async () => {
  const harness = await threeParked(new HeldGaps());
  expect(harness.lane.backlogBytes).toBe(0);
  const releasing = harness.lane.releaseParked(10);
  await harness.advance(0);
  expect(await releasing).toBe(3);
  const released = harness.lane.backlogBytes;
  harness.publisher.confirm(2);
  await harness.advance(0);
  expect(harness.lane.backlogBytes * 3).toBe(released);
  expect(released).toBeGreaterThan(0);
  await harness.accept(1);
  harness.publisher.confirm();
  await harness.advance(0);
  expect(harness.lane.backlogBytes).toBe(0);
});

test('a message that was parked before a crash and is parked again counts once', async () => {
  const before = new LaneHarness();
  await before.accept(1);
  await before.durable();
  before.publisher.open();
  before.publisher.return();
  await before.durable();
  const log = before.log.killed(); // the mark was not recorded
  const harness = new LaneHarness({ log, epoch: 2, parkedBefore: 1 });
  harness.publisher.open();
  await harness.advance(0);
  harness.publisher.return();
  await harness.durable();
  expect(harness.parked).toEqual(['1 unroutable']);
  expect(harness.lane.parkedMessages).toBe(1);
});

test('a lane that stops waits for what is being given up, also with the link away', async () => {
  const gaps = new HeldGaps();
  const harness = lane(gaps, 'drop-oldest');
  await harness.accept(3);
  await harness.durable();
  let stopped = false;
  const stopping = harness.lane.stop(new AbortController().signal).then(() => {
    stopped = true;
  });
  await harness.advance(100);
  expect(stopped).toBe(false);
  gaps.durable();
  await harness.advance(100);
  await stopping;
  expect(harness.lane.isAllSafe).toBe(true);
  expect(harness.lane.lastSeq).toBe(3);
});
