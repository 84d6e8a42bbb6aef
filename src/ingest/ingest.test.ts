import { expect, test } from 'vitest';
import type { Route } from '../mapping/route-table.ts';
import type { DeviceMessage } from '../shared/message.ts';
import { Ingest, type IngestLane } from './ingest.ts';

/** A lane whose messages become safe when the test says so. */
class HeldLane implements IngestLane {
  readonly keys: string[] = [];
  readonly parked: string[] = [];
  readonly makeSafe: (() => void)[] = [];

  accept(_message: DeviceMessage, routingKey: string): Promise<void> {
    this.keys.push(routingKey);
    return new Promise((resolve) => this.makeSafe.push(resolve));
  }

  async park(_message: DeviceMessage, reason: string): Promise<void> {
    this.parked.push(reason);
  }
}

function message(payloadBytes: number): DeviceMessage {
  const payload = Buffer.alloc(payloadBytes);
  const rest = { qos: 1, dup: false, retain: false, clientId: 'c', receivedAtMs: 1 } as const;
  return { topic: 'a/b', payload, ...rest };
}

const to = (lane: string): Route => ({ lane, key: { ok: true, routingKey: `key.${lane}` } });

function create(routes: readonly Route[], maxPendingBytes = 10_000) {
  const lanes = { one: new HeldLane(), two: new HeldLane() };
  const ingest = new Ingest({
    route: () => routes,
    lanes: new Map(Object.entries(lanes)),
    maxPayloadBytes: 100,
    maxPendingBytes,
  });
  return { ingest, lanes };
}

test('a message for several lanes is safe only when it is safe in each', async () => {
  const { ingest, lanes } = create([to('one'), to('two')]);
  let isSafe = false;
  const accepted = ingest.accept(message(1)).then(() => {
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
  await ingest.accept(message(1));
  expect(ingest.stats().unmatchedTotal).toBe(1);
});

test('a payload over the limit is acknowledged, counted and not passed on', async () => {
  const { ingest, lanes } = create([to('one')]);
  await ingest.accept(message(101));
  expect(ingest.stats().refusedTotal).toMatchObject({ payload_too_large: 1 });
  expect(lanes.one.keys).toEqual([]);
});

test('a routing key that AMQP cannot carry is parked, a template that cannot be rendered is counted', async () => {
  const tooLong = { ok: false, reason: 'routing_key_too_long', detail: '300 bytes' } as const;
  const failed = { ok: false, reason: 'template_failed', detail: 'no field' } as const;
  const { ingest, lanes } = create([
    { lane: 'one', key: tooLong },
    { lane: 'two', key: failed },
  ]);
  await ingest.accept(message(1));
  expect(lanes.one.parked).toEqual(['routing_key_too_long']);
  expect(ingest.stats().refusedTotal).toMatchObject({ template_failed: 1 });
});

test('what would be too much in memory is refused without being acknowledged', async () => {
  const { ingest, lanes } = create([to('one')], 1_000);
  const first = ingest.accept(message(100));
  const second = ingest.accept(message(100));
  await expect(ingest.accept(message(100))).rejects.toMatchObject({ code: 'INGEST_OVERLOADED' });
  for (const makeSafe of lanes.one.makeSafe) makeSafe();
  await Promise.all([first, second]);
  expect(ingest.stats()).toMatchObject({ pendingBytes: 0, refusedTotal: { overloaded: 1 } });
});
