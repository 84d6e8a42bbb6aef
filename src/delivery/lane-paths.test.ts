import { expect, test } from 'vitest';
import {
  DIRECT_AFTER_MS,
  LaneHarness,
  type LaneHarnessOptions,
  SPILL_AFTER_MS,
} from '../../test/helpers/lane-harness.ts';

function opened(options: LaneHarnessOptions = {}): LaneHarness {
  const harness = new LaneHarness(options);
  harness.publisher.open();
  return harness;
}

test('without a confirm after spillAfterMs all in flight is stored in order, and the late confirm settles it', async () => {
  const harness = opened();
  await harness.accept(3);
  await harness.advance(SPILL_AFTER_MS - 1);
  expect(harness.log.appendsTotal).toBe(0);
  await harness.advance(1);
  expect(harness.log.appendsTotal).toBe(3);
  expect(harness.safe).toEqual([]);
  await harness.durable(2);
  expect(harness.safe).toEqual([1, 2]);
  await harness.durable();
  expect(harness.log.unsettled().map(({ seq }) => seq)).toEqual([1, 2, 3]);
  harness.publisher.confirm();
  await harness.advance(0);
  expect(harness.log.unsettled()).toEqual([]);
  expect(harness.published).toEqual([1, 2, 3]);
  expect(harness.lane.backlogMessages).toBe(0);
});

test('a confirm that comes before the append is durable makes the message safe and is not forgotten', async () => {
  const harness = opened();
  await harness.accept(2);
  await harness.advance(SPILL_AFTER_MS);
  harness.publisher.confirmAt(0);
  await harness.advance(0);
  expect(harness.safe).toEqual([1]);
  await harness.durable();
  expect(harness.log.unsettled().map(({ seq }) => seq)).toEqual([2]);
  expect(harness.published).toEqual([1, 2]);
});

test('each message has its own time: a younger one is not stored for an older one that was confirmed', async () => {
  const harness = opened();
  await harness.accept();
  await harness.advance(SPILL_AFTER_MS - 10);
  await harness.accept();
  harness.publisher.confirm(1);
  await harness.advance(SPILL_AFTER_MS - 1);
  expect(harness.log.appendsTotal).toBe(0);
  await harness.advance(1);
  expect(harness.log.appendsTotal).toBe(1);
});

test('a full window stores what is in flight and what comes, and publishes on as confirms make room', async () => {
  const harness = opened({ maxMessages: 2 });
  await harness.accept(4);
  expect(harness.published).toEqual([1, 2]);
  await harness.durable();
  expect(harness.safe).toEqual([1, 2, 3, 4]);
  expect(harness.published).toEqual([1, 2]);
  harness.publisher.confirm(1);
  await harness.advance(0);
  expect(harness.inFlight).toEqual([2, 3]);
  harness.publisher.confirm(2);
  await harness.advance(0);
  expect(harness.published).toEqual([1, 2, 3, 4]);
});

test('the window is bounded by bytes too, and a message larger than it goes alone', async () => {
  const harness = opened({ maxBytes: 2_000 });
  await harness.accept(1, 5_000);
  await harness.accept(1, 10);
  await harness.durable();
  expect(harness.inFlight).toEqual([1]);
  harness.publisher.confirm();
  expect(harness.inFlight).toEqual([2]);
});

test('what was in flight on a lost link is stored, and published again with the same identity', async () => {
  const harness = opened({ epoch: 7 });
  await harness.accept(3);
  harness.publisher.confirmAt(1);
  harness.publisher.close({ scope: 'connection', text: 'reset' });
  await harness.accept();
  expect(harness.safe).toEqual([2]);
  await harness.durable();
  expect(harness.safe).toEqual([2, 1, 3, 4]);
  harness.publisher.open();
  expect(harness.published).toEqual([1, 2, 3, 1, 3, 4]);
  expect(harness.publisher.inFlight.map(({ epoch }) => epoch)).toEqual([7, 7, 7]);
  expect(harness.publisher.inFlight.map(({ fromStore }) => fromStore)).toEqual([true, true, true]);
  harness.publisher.confirm();
  expect(harness.log.unsettled()).toEqual([]);
});

test('a link that is back before the appends are durable changes nothing in the order', async () => {
  const harness = opened();
  await harness.accept(2);
  harness.publisher.close({ scope: 'connection', text: 'reset' });
  harness.publisher.open();
  await harness.accept();
  await harness.durable(1);
  await harness.accept();
  await harness.durable();
  expect(harness.published.slice(2)).toEqual([1, 2, 3, 4]);
});

test('a new message goes behind the backlog, also when the window has room', async () => {
  const harness = new LaneHarness({ maxMessages: 2 });
  await harness.accept(4);
  await harness.durable();
  harness.publisher.open();
  await harness.advance(DIRECT_AFTER_MS * 2);
  harness.publisher.confirm(1);
  await harness.accept();
  await harness.durable();
  while (harness.inFlight.length > 0) {
    harness.publisher.confirm(1);
    await harness.advance(0);
  }
  expect(harness.published).toEqual([1, 2, 3, 4, 5]);
});

test('a slow confirm puts the write-free path off again', async () => {
  const harness = opened();
  await harness.accept();
  await harness.advance(SPILL_AFTER_MS);
  await harness.durable();
  harness.publisher.confirm();
  await harness.advance(DIRECT_AFTER_MS - SPILL_AFTER_MS - 1);
  await harness.accept();
  await harness.durable();
  await harness.advance(SPILL_AFTER_MS + 1); // directAfterMs since the spill, and the confirm is late
  harness.publisher.confirm();
  await harness.accept();
  expect(harness.log.appendsTotal).toBe(3);
});

test('while the disk writes nothing, a lane goes on without the store, however often it spilled', async () => {
  const harness = opened({ maxMessages: 8 });
  const confirmAll = () => harness.publisher.confirm(harness.inFlight.length);
  for (let round = 1; round <= 12; round += 1) {
    await harness.accept(2);
    await harness.advance(SPILL_AFTER_MS + 10);
    confirmAll();
    await harness.advance(DIRECT_AFTER_MS + SPILL_AFTER_MS);
    await harness.accept(3);
    confirmAll();
    expect(harness.safe).toHaveLength(round * 5);
  }
  expect(harness.log.appendsTotal).toBeGreaterThan(8);
  expect(harness.lane.state).toBe('direct');
});

test('what an earlier run left is published first, in order, in reads of any number', async () => {
  const before = new LaneHarness();
  await before.accept(2_500);
  await before.durable();
  const harness = new LaneHarness({ log: before.log.reopened(), epoch: 2 });
  harness.publisher.open();
  await harness.accept();
  await harness.durable();
  for (let round = 0; round < 3_000 && harness.lane.backlogMessages > 0; round += 1) {
    harness.publisher.confirm(1);
    await harness.advance(0);
  }
  const all = harness.publisher.published.map(({ epoch, seq }) => `${epoch}.${seq}`);
  const expected = Array.from({ length: 2_500 }, (_, index) => `1.${index + 1}`);
  expect(all).toEqual([...expected, '2.1']);
});

test('what the disk has lost is passed over and does not hold up what lies behind it', async () => {
  const before = new LaneHarness();
  await before.accept(5);
  await before.durable();
  const log = before.log.reopened();
  log.damage(2);
  log.damage(4);
  const harness = new LaneHarness({ log });
  harness.publisher.open();
  await harness.advance(0);
  expect(harness.published).toEqual([1, 2, 4]);
  harness.publisher.confirm();
  expect(log.lowWaterMark).toBe(5);
  expect(harness.lane.backlogMessages).toBe(0);
});

test('a message is told to be safe once, however often it becomes so', async () => {
  const harness = opened();
  await harness.accept(2);
  await harness.advance(SPILL_AFTER_MS);
  harness.publisher.confirm(1); // before its append is durable
  await harness.durable();
  harness.publisher.confirm(); // after it
  await harness.advance(0);
  expect(harness.log.unsettled()).toEqual([]);
  expect(harness.safe).toEqual([1, 2]);
});

test('what the log handed out and the link lost is handed out again, oldest first', async () => {
  const harness = opened({ mode: 'disk-first' });
  await harness.accept(3);
  await harness.durable();
  harness.publisher.confirmAt(1);
  await harness.advance(0);
  harness.publisher.close({ scope: 'connection', text: 'lost' });
  harness.publisher.open();
  await harness.advance(0);
  expect(harness.published).toEqual([1, 2, 3, 1, 3]);
});

test('a lane that goes back to write-free publishes first what is still on its way into the log', async () => {
  const harness = opened({ maxMessages: 2 });
  await harness.accept(4); // the window has room for two
  harness.publisher.confirm();
  await harness.advance(DIRECT_AFTER_MS);
  expect(harness.published).toEqual([1, 2]);
  harness.publisher.close();
  harness.publisher.open();
  await harness.advance(DIRECT_AFTER_MS);
  await harness.accept();
  expect(harness.published).toEqual([1, 2, 3, 4]);
  await harness.durable();
  harness.publisher.confirm();
  await harness.advance(0);
  expect(harness.published).toEqual([1, 2, 3, 4, 5]);
});

test('an answer gives the bytes of its message back to the window', async () => {
  const harness = opened({ mode: 'disk-first', maxBytes: 1_100 }); // two of them, with what each costs
  await harness.accept(3, 300);
  await harness.durable();
  expect(harness.inFlight).toEqual([1, 2]);
  harness.publisher.confirm(1);
  await harness.advance(0);
  expect(harness.inFlight).toEqual([2, 3]);
});
