import { expect, test } from 'vitest';
import {
  LaneHarness,
  type LaneHarnessOptions,
  SPILL_AFTER_MS,
} from '../../test/helpers/lane-harness.ts';

const CONFIRM_TIMEOUT_MS = 1_000;
/** The timeout and the time until it is looked at. */
const NOTICED_MS = CONFIRM_TIMEOUT_MS + 250;

function opened(options: LaneHarnessOptions = {}): LaneHarness {
  const harness = new LaneHarness({ confirmTimeoutMs: CONFIRM_TIMEOUT_MS, ...options });
  harness.publisher.open();
  return harness;
}

test('what was in flight when the broker blocked is stored after spillAfterMs', async () => {
  const harness = opened();
  await harness.accept();
  harness.publisher.block();
  await harness.advance(SPILL_AFTER_MS);
  await harness.durable();
  expect(harness.safe).toEqual([1]);
});

test('a blocked broker is not taken for a dead one', async () => {
  const harness = opened();
  await harness.accept();
  harness.publisher.block();
  await harness.advance(NOTICED_MS * 3);
  expect(harness.publisher.recycled).toEqual([]);
});

test('an unblock that comes while the link is closed publishes nothing', async () => {
  const harness = opened();
  harness.publisher.block();
  harness.publisher.close();
  harness.publisher.unblock();
  await harness.accept();
  await harness.durable();
  expect(harness.published).toEqual([]);
  harness.publisher.open();
  expect(harness.published).toEqual([1]);
});

test('without confirms the channel is given up first, then the connection, and all is published again', async () => {
  const harness = opened();
  await harness.accept(2);
  await harness.durable();
  await harness.advance(NOTICED_MS);
  expect(harness.publisher.recycled.map(({ scope }) => scope)).toEqual(['channel']);
  await harness.durable();
  harness.publisher.open();
  await harness.durable();
  await harness.advance(NOTICED_MS);
  expect(harness.publisher.recycled.map(({ scope }) => scope)).toEqual(['channel', 'connection']);
  harness.publisher.open();
  await harness.advance(0);
  harness.publisher.confirm();
  harness.publisher.confirm();
  expect(harness.log.unsettled()).toEqual([]);
});

test('an answer between two stalls makes the second begin with the channel again', async () => {
  const harness = opened();
  for (let stall = 0; stall < 2; stall += 1) {
    await harness.accept();
    await harness.durable();
    await harness.advance(NOTICED_MS);
    await harness.durable();
    harness.publisher.open();
    await harness.advance(0);
    harness.publisher.confirm();
  }
  expect(harness.publisher.recycled.map(({ scope }) => scope)).toEqual(['channel', 'channel']);
});

test('a slow broker that goes on confirming keeps its channel', async () => {
  const harness = opened();
  await harness.accept(10);
  await harness.durable();
  for (let n = 0; n < 10; n += 1) {
    await harness.advance(CONFIRM_TIMEOUT_MS - 1);
    harness.publisher.confirm(1);
  }
  expect(harness.publisher.recycled).toEqual([]);
});

test('a confirm that never comes is noticed while others come: the channel first, then the connection', async () => {
  const harness = opened({ mode: 'disk-first' });
  await harness.accept(2);
  await harness.durable();
  const scopes = (): string[] => harness.publisher.recycled.map(({ scope }) => scope);
  // Only the first has no answer, after each new opening too.
  for (let stall = 1; stall <= 3; stall += 1) {
    for (let waitedMs = 0; waitedMs <= NOTICED_MS && scopes().length < stall; waitedMs += 100) {
      expect(harness.inFlight[0]).toBe(1);
      while (harness.inFlight.length > 1) harness.publisher.confirmAt(1);
      await harness.accept();
      await harness.durable();
      await harness.advance(100);
    }
    harness.publisher.open();
    await harness.advance(0);
  }
  expect(scopes()).toEqual(['channel', 'connection', 'connection']);
  // One by one at first, as what was in flight on a lost channel is suspect.
  while (harness.inFlight.length > 0) harness.publisher.confirm();
  expect(harness.log.unsettled()).toEqual([]);
  await harness.accept();
  await harness.durable();
  await harness.advance(NOTICED_MS);
  expect(scopes().slice(3)).toEqual(['channel']);
});

test('confirms in any order keep the channel as long as each comes in time', async () => {
  const harness = opened();
  for (let n = 0; n < 20; n += 1) {
    await harness.accept(2);
    await harness.durable();
    if (n > 0) harness.publisher.confirmAt(n % 2);
    await harness.advance(CONFIRM_TIMEOUT_MS / 4);
    harness.publisher.confirm(1);
  }
  expect(harness.publisher.recycled).toEqual([]);
});

test('a lane with nothing in flight is not stalled, however long nothing comes', async () => {
  const harness = opened();
  await harness.advance(NOTICED_MS * 10);
  await harness.accept();
  await harness.advance(CONFIRM_TIMEOUT_MS / 2);
  expect(harness.publisher.recycled).toEqual([]);
});

test('a stop makes what is in flight safe at once and waits for its confirm', async () => {
  const harness = opened();
  await harness.accept(2);
  let stopped = false;
  const stop = harness.lane.stop(new AbortController().signal).then(() => {
    stopped = true;
  });
  await harness.durable();
  expect(harness.safe).toEqual([1, 2]);
  harness.publisher.confirm(1);
  await harness.advance(100);
  expect(stopped).toBe(false);
  harness.publisher.confirm(1);
  await harness.advance(100);
  await stop;
  expect(harness.publisher.stopped).toBe(true);
  expect(harness.log.unsettled()).toEqual([]);
});

test('a stop that is out of time leaves the unconfirmed in the store for the next start', async () => {
  const harness = opened();
  await harness.accept(2);
  const limit = new AbortController();
  const stop = harness.lane.stop(limit.signal);
  await harness.durable();
  harness.publisher.confirm(1);
  limit.abort();
  await harness.advance(10);
  await stop;
  expect(harness.log.unsettled().map(({ seq }) => seq)).toEqual([2]);
  const next = new LaneHarness({ log: harness.log.reopened(), epoch: 2 });
  next.publisher.open();
  await next.advance(0);
  expect(next.publisher.inFlight.map(({ epoch, seq }) => [epoch, seq])).toEqual([[1, 2]]);
});

test('a lane that stops takes nothing new', async () => {
  const harness = opened();
  const stop = harness.lane.stop(AbortSignal.abort());
  await harness.accept();
  await stop;
  expect(harness.refused).toEqual([expect.objectContaining({ code: 'LANE_CLOSED' })]);
  expect(harness.published).toEqual([]);
});
