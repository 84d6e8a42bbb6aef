import { expect, onTestFinished, test, vi } from 'vitest';
import { LaneHarness, type LaneHarnessOptions } from '../../test/helpers/lane-harness.ts';
import { UNENCODABLE } from './ports.ts';

const BAD_MESSAGE = { scope: 'channel', replyCode: 406, text: 'PRECONDITION_FAILED' } as const;

function opened(options: LaneHarnessOptions = {}): LaneHarness {
  const harness = new LaneHarness(options);
  harness.publisher.open();
  return harness;
}

/** Makes the pauses between attempts half of their upper bound: 100, 200, 400 … ms. */
function fixPauses(): void {
  const random = vi.spyOn(Math, 'random').mockReturnValue(0.5);
  onTestFinished(() => random.mockRestore());
}

test('an unroutable message is parked, safe when that is durable, and the others flow on', async () => {
  const harness = opened();
  await harness.accept(3);
  harness.publisher.return(1);
  harness.publisher.confirm();
  await harness.advance(0);
  expect(harness.safe).toEqual([1, 3]);
  await harness.durable();
  expect(harness.safe).toEqual([1, 3, 2]);
  expect(harness.parked).toEqual(['2 unroutable']);
  expect(harness.lane.parkedMessages).toBe(1);
  expect(harness.log.appendsTotal).toBe(0);
});

test('a message that fits into no AMQP frame is parked as rejected, whatever is set for unroutable ones', async () => {
  const harness = opened({ onUnroutable: 'drop' });
  await harness.accept();
  harness.publisher.return(0, UNENCODABLE, 'SYNTAX_ERROR');
  await harness.durable();
  expect(harness.parked).toEqual(['1 rejected']);
  expect(harness.lane.counters.dropped).toEqual({});
});

test('what is dropped on purpose is acknowledged and counted with its reason', async () => {
  const harness = opened({ onUnroutable: 'drop', onReject: 'drop' });
  await harness.accept(3);
  harness.publisher.return(0);
  harness.publisher.nack(0);
  harness.publisher.nack(0);
  await harness.advance(0);
  expect(harness.safe).toEqual([1, 2, 3]);
  expect(harness.lane.counters.dropped).toEqual({ unroutable: 1, rejected: 2 });
  expect(harness.log.appendsTotal + harness.parked.length).toBe(0);
});

test('a message that is stored already and returned is parked once and published no second time', async () => {
  const harness = opened();
  await harness.accept(2);
  await harness.advance(1_000); // spilled, not durable
  harness.publisher.return(0);
  await harness.durable(2); // the log has it before the park is durable
  harness.publisher.confirm();
  await harness.durable();
  expect(harness.published).toEqual([1, 2]);
  expect(harness.parked).toEqual(['1 unroutable']);
  expect(harness.lane.parkedMessages).toBe(1);
  expect(harness.log.unsettled()).toEqual([]);
});

test('a link lost while a message is being parked does not publish that message again', async () => {
  const harness = opened({ mode: 'disk-first' });
  await harness.accept(3);
  await harness.durable();
  harness.publisher.return(1);
  harness.publisher.close({ scope: 'connection', text: 'reset' });
  harness.publisher.open();
  await harness.advance(0);
  expect(harness.published).toEqual([1, 2, 3, 1, 3]);
  harness.publisher.confirm();
  await harness.durable();
  expect(harness.lane.parkedMessages).toBe(1);
  expect(harness.log.unsettled()).toEqual([]);
});

test('a refused message is stored, and goes out again before what came later', async () => {
  fixPauses();
  const harness = opened();
  await harness.accept(3);
  harness.publisher.nack(1);
  await harness.accept();
  await harness.durable();
  expect(harness.safe).toEqual([1, 2, 3, 4]);
  await harness.advance(10_000); // two answers are missing still: the order would be lost
  expect(harness.published).toEqual([1, 2, 3]);
  harness.publisher.confirm();
  await harness.advance(99);
  expect(harness.published).toEqual([1, 2, 3]);
  await harness.advance(1);
  expect(harness.published).toEqual([1, 2, 3, 2]);
  harness.publisher.confirm();
  expect(harness.published).toEqual([1, 2, 3, 2, 4]);
  harness.publisher.confirm();
  expect(harness.log.unsettled()).toEqual([]);
});

test('the pause doubles with each refusal, and a confirm makes it short again', async () => {
  fixPauses();
  const harness = opened();
  await harness.accept(2);
  harness.publisher.confirmAt(1);
  harness.publisher.nack();
  await harness.durable();
  for (const pauseMs of [100, 200, 400]) {
    await harness.advance(pauseMs - 1);
    expect(harness.inFlight).toEqual([]);
    await harness.advance(1);
    expect(harness.inFlight).toEqual([1]);
    harness.publisher.nack();
  }
  await harness.advance(800);
  harness.publisher.confirm();
  await harness.accept();
  harness.publisher.nack();
  await harness.durable();
  await harness.advance(100);
  expect(harness.inFlight).toEqual([3]);
});

test('answers that never come behind a refusal do not hold the lane up for ever', async () => {
  const harness = opened({ confirmTimeoutMs: 1_000 });
  await harness.accept(2);
  harness.publisher.nack();
  await harness.durable();
  await harness.advance(1_500);
  expect(harness.publisher.recycled).toHaveLength(1);
  harness.publisher.open();
  await harness.advance(0);
  harness.publisher.confirm();
  harness.publisher.confirm();
  expect(harness.log.unsettled()).toEqual([]);
});

test('a message alone on the channel each of three times that it is closed for it is parked; the others flow', async () => {
  const harness = opened();
  await harness.accept(4);
  harness.publisher.close(BAD_MESSAGE);
  await harness.durable();
  harness.publisher.open();
  expect(harness.inFlight).toEqual([1]);
  harness.publisher.confirm();
  for (let refusals = 0; refusals < 3; refusals += 1) {
    expect(harness.parked).toEqual([]);
    expect(harness.inFlight).toEqual([2]);
    harness.publisher.close(BAD_MESSAGE);
    await harness.durable();
    harness.publisher.open();
    await harness.advance(0);
  }
  expect(harness.parked).toEqual(['2 rejected']);
  expect(harness.inFlight).toEqual([3]);
  harness.publisher.confirm();
  harness.publisher.confirm();
  expect(harness.log.unsettled()).toEqual([]);
});

test('only what was in flight is suspect when the channel closes, not the backlog behind it', async () => {
  const harness = new LaneHarness({ mode: 'disk-first', maxMessages: 2 });
  harness.publisher.open();
  await harness.accept(6);
  await harness.durable();
  expect(harness.inFlight).toEqual([1, 2]);
  harness.publisher.close(BAD_MESSAGE);
  harness.publisher.open();
  await harness.advance(0);
  expect(harness.inFlight).toEqual([1]);
  harness.publisher.confirm();
  expect(harness.inFlight).toEqual([2]);
  harness.publisher.confirm();
  await harness.advance(0);
  expect(harness.inFlight).toEqual([3, 4]);
});

test('no message is parked for a channel that is closed for another reason', async () => {
  const harness = opened();
  await harness.accept();
  await harness.durable();
  for (let losses = 0; losses < 5; losses += 1) {
    harness.publisher.close({ scope: 'channel', replyCode: 404, text: 'NOT_FOUND' });
    await harness.durable();
    harness.publisher.open();
    await harness.advance(0);
    expect(harness.inFlight).toEqual([1]);
  }
  expect(harness.parked).toEqual([]);
});

test('a message that cannot be published at all is parked with its identity', async () => {
  const harness = opened();
  await harness.accept();
  const payload = Buffer.from('x');
  const rest = { qos: 1, dup: false, retain: false, clientId: 'c', receivedAtMs: 1 } as const;
  const request = { reason: 'property_invalid', detail: 'priority', routingKey: 'a.b' } as const;
  const amqp = { type: 'reading' };
  const parked = harness.lane.park({ topic: 't', payload, ...rest, amqp }, request);
  await harness.durable();
  await parked;
  expect(harness.parked).toEqual(['2 property_invalid']);
  void harness.lane.releaseParked(1);
  await harness.advance(0);
  expect(harness.publisher.published.at(-1)).toMatchObject({ routingKey: 'a.b', amqp });
});

test('released messages go to the end of the lane with the identity they had', async () => {
  const harness = opened();
  await harness.accept(2);
  harness.publisher.return(0);
  harness.publisher.confirm();
  await harness.durable();
  expect(await harness.lane.releaseParked(10)).toBe(1);
  expect(harness.lane.parkedMessages).toBe(0);
  await harness.advance(0);
  expect(harness.inFlight).toEqual([1]);
});
