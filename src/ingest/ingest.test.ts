import { expect, test } from 'vitest';
import type { ParkRequest } from '../delivery/lane.ts';
import type { Route } from '../mapping/route-table.ts';
import type { Checked } from '../payload/check-queue.ts';
import type { PayloadCheck } from '../payload/payload-checks.ts';
import type { DeviceMessage, MappedMessage } from '../shared/message.ts';
import { promised, type Receipt } from '../shared/receipt.ts';
import { Ingest, type IngestLane } from './ingest.ts';

/** A lane whose messages become safe when the test says so. */
class HeldLane implements IngestLane {
  readonly keys: string[] = [];
  readonly messages: MappedMessage[] = [];
  readonly parked: string[] = [];
  readonly parkedWith: object[] = [];
  readonly makeSafe: (() => void)[] = [];
  readonly makeUnsafe: (() => void)[] = [];

  accept(message: MappedMessage, routingKey: string, receipt: Receipt): void {
    this.messages.push(message);
    this.keys.push(routingKey);
    this.makeSafe.push(() => receipt.safe());
    this.makeUnsafe.push(() => receipt.unsafe(new Error('refused')));
  }

  async park(message: MappedMessage, { reason, detail, routingKey }: ParkRequest): Promise<void> {
    this.parked.push(`${reason} ${detail}`);
    this.parkedWith.push({ routingKey, amqp: message.amqp });
  }
}

function accept(ingest: Ingest, sent: DeviceMessage): Promise<void> {
  return promised((receipt) => ingest.accept(sent, receipt));
}

function message(payloadBytes: number): DeviceMessage {
  const payload = Buffer.alloc(payloadBytes);
  const rest = { qos: 1, dup: false, retain: false, clientId: 'c', receivedAtMs: 1 } as const;
  return { topic: 'a/b', payload, ...rest };
}

const to = (lane: string): Route => ({ lane, key: { ok: true, routingKey: `key.${lane}` } });

/** A check whose outcomes the test tells. */
class HeldCheck implements PayloadCheck {
  isFull = false;
  readonly settle: Checked[] = [];

  check(_message: DeviceMessage, checked: Checked): void {
    this.settle.push(checked);
  }
}

function create(
  routes: readonly Route[],
  maxPendingBytes = 10_000,
  checks: Readonly<Record<string, PayloadCheck>> = {},
) {
  const lanes = { one: new HeldLane(), two: new HeldLane() };
  const ingest = new Ingest({
    route: () => routes,
    lanes: new Map(Object.entries(lanes)),
    checks: new Map(Object.entries(checks)),
    maxPayloadBytes: 100,
    maxPendingBytes,
  });
  return { ingest, lanes };
}

test('a message for several lanes is safe only when it is safe in each', async () => {
  const { ingest, lanes } = create([to('one'), to('two')]);
  let isSafe = false;
  const accepted = accept(ingest, message(1)).then(() => {
    isSafe = true;
  });
  lanes.one.makeSafe[0]?.();
  await new Promise(setImmediate);
  expect(isSafe).toBe(false);
  expect(ingest.stats().pendingBytes).toBeGreaterThan(0);
  lanes.two.makeSafe[0]?.();
  await accepted;
  expect(ingest.stats().pendingBytes).toBe(0);
  expect([lanes.one.keys, lanes.two.keys]).toEqual([['key.one'], ['key.two']]);
});

test('a message that no mapping matches is acknowledged and counted', async () => {
  const { ingest } = create([]);
  await accept(ingest, message(1));
  expect(ingest.stats().unmatchedTotal).toBe(1);
});

test('a payload over the limit is acknowledged, counted and not passed on', async () => {
  const { ingest, lanes } = create([to('one')]);
  await accept(ingest, message(101));
  expect(ingest.stats().refusedTotal).toMatchObject({ payload_too_large: 1 });
  expect(lanes.one.keys).toEqual([]);
});

test('what cannot be published as its mapping says is parked with the reason', async () => {
  const tooLong = { ok: false, reason: 'routing_key_too_long', detail: '300 bytes' } as const;
  const failed = { ok: false, reason: 'template_failed', detail: 'no field' } as const;
  const { ingest, lanes } = create([
    { lane: 'one', key: tooLong },
    { lane: 'two', key: failed },
  ]);
  await accept(ingest, message(1));
  expect(lanes.one.parked).toEqual(['routing_key_too_long 300 bytes']);
  expect(lanes.two.parked).toEqual(['template_failed no field']);
});

test('what is parked keeps the routing key and the properties that could be rendered', async () => {
  const properties = { type: 'reading' };
  const invalid = { ok: false, reason: 'property_invalid', detail: 'priority' } as const;
  const { ingest, lanes } = create([
    { lane: 'one', key: { ...invalid, routingKey: 'a.b', properties } },
    { lane: 'two', key: { ok: false, reason: 'template_failed', detail: 'no field' } },
  ]);
  await accept(ingest, message(1));
  expect(lanes.one.parkedWith).toEqual([{ routingKey: 'a.b', amqp: properties }]);
  expect(lanes.two.parkedWith).toEqual([{}]);
});

test('a lane gets the properties that its mapping sets, and no other does', async () => {
  const amqp = { type: 'reading', headers: { kind: 1 } };
  const { ingest, lanes } = create([{ ...to('one'), properties: amqp }, to('two')]);
  const sent = message(1);
  const accepted = accept(ingest, sent);
  expect(lanes.one.messages).toEqual([{ ...sent, amqp }]);
  expect(lanes.two.messages).toEqual([sent]);
  for (const lane of [lanes.one, lanes.two]) lane.makeSafe[0]?.();
  await accepted;
});

test('what would be too much in memory is refused without being acknowledged', async () => {
  const { ingest, lanes } = create([to('one')], 1_000);
  const first = accept(ingest, message(100));
  const second = accept(ingest, message(100));
  await expect(accept(ingest, message(100))).rejects.toMatchObject({ code: 'INGEST_OVERLOADED' });
  for (const makeSafe of lanes.one.makeSafe) makeSafe();
  await Promise.all([first, second]);
  expect(ingest.stats()).toMatchObject({ pendingBytes: 0, refusedTotal: { overloaded: 1 } });
});

test('each lane of a message counts, and a payload that was made for one of them', async () => {
  const check = new HeldCheck();
  const { ingest, lanes } = create([to('one'), to('two')], 10_000, { two: check });
  const accepted = accept(ingest, message(1));
  const forTwoLanes = ingest.stats().pendingBytes;
  check.settle[0]?.({ kind: 'passed', body: 'x'.repeat(5_000) });
  expect(ingest.stats().pendingBytes).toBe(forTwoLanes + 5_000);
  for (const lane of [lanes.one, lanes.two]) lane.makeSafe[0]?.();
  await accepted;
  const single = create([to('one')]);
  void accept(single.ingest, message(1));
  expect(forTwoLanes - 1).toBe(2 * (single.ingest.stats().pendingBytes - 1));
});

test('a message that one lane refuses counts for as long as another lane has it', async () => {
  const { ingest, lanes } = create([to('one'), to('two')]);
  const accepted = accept(ingest, message(100));
  lanes.one.makeUnsafe[0]?.();
  await expect(accepted).rejects.toThrow('refused');
  expect(ingest.stats().pendingBytes).toBeGreaterThan(100);
  lanes.two.makeSafe[0]?.();
  expect(ingest.stats().pendingBytes).toBe(0);
});

test('a lane whose payloads are checked gets them when they are, in order, and others at once', async () => {
  const check = new HeldCheck();
  const { ingest, lanes } = create([to('one'), to('two')], 10_000, { one: check });
  void accept(ingest, message(1));
  void accept(ingest, message(2));
  expect([lanes.one.messages.length, lanes.two.messages.length]).toEqual([0, 2]);
  for (const settle of check.settle) settle({ kind: 'passed' });
  expect(lanes.one.messages.map(({ payload }) => payload.length)).toEqual([1, 2]);
});

test('a message is handed on with the body that its check made', () => {
  const check = new HeldCheck();
  const { ingest, lanes } = create([to('one')], 10_000, { one: check });
  void accept(ingest, message(1));
  check.settle[0]?.({ kind: 'passed', body: 'é' });
  expect(lanes.one.messages[0]?.payload).toEqual(Buffer.from('é'));
});

test('what its check refuses is parked and counted, and what is not for the lane is counted', async () => {
  const check = new HeldCheck();
  const { ingest, lanes } = create([to('one')], 10_000, { one: check });
  const accepted = [accept(ingest, message(1)), accept(ingest, message(1))];
  expect(ingest.stats().pendingBytes).toBeGreaterThan(0);
  check.settle[0]?.({ kind: 'failed', reason: 'payload_invalid', detail: 'not JSON' });
  check.settle[1]?.({ kind: 'filtered' });
  await Promise.all(accepted);
  expect(lanes.one.parked).toEqual(['payload_invalid not JSON']);
  expect(lanes.one.messages).toEqual([]);
  expect(ingest.stats()).toMatchObject({
    pendingBytes: 0,
    refusedTotal: { payload_invalid: 1, filtered: 1 },
  });
});

test('what cannot be checked any more is not acknowledged', async () => {
  const check = new HeldCheck();
  const { ingest } = create([to('one')], 10_000, { one: check });
  const accepted = accept(ingest, message(1));
  check.settle[0]?.({ kind: 'closed' });
  await expect(accepted).rejects.toMatchObject({ code: 'LANE_CLOSED' });
  check.isFull = true;
  await expect(accept(ingest, message(1))).rejects.toMatchObject({ code: 'INGEST_OVERLOADED' });
});
