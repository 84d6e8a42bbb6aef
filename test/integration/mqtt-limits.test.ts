import type { Packet } from 'mqtt-packet';
import { expect, test } from 'vitest';
import type { LimitReason, RefusalReason } from '../../src/mqtt/ports.ts';
import { ControlledAccept } from '../helpers/controlled-accept.ts';
import { eventually } from '../helpers/eventually.ts';
import { startMqttServer, type TestServerOptions } from '../helpers/mqtt-test-server.ts';
import { RawMqttClient } from '../helpers/raw-mqtt-client.ts';

const WITHIN = { withinMs: 5000, everyMs: 5 };
const PERSISTENT = { clean: false } as const;

async function startCounting(options: Omit<TestServerOptions, 'accept' | 'observer'>) {
  const gate = new ControlledAccept({ immediately: true });
  const limited: LimitReason[] = [];
  const refused: RefusalReason[] = [];
  const observer = {
    limited: (reason: LimitReason) => limited.push(reason),
    refused: (reason: RefusalReason) => refused.push(reason),
  };
  const started = await startMqttServer({ ...options, accept: gate.accept, observer });
  return { ...started, gate, limited, refused };
}

let nextId = 1;

/** Subscribes with QoS 1 and returns what SUBACK granted. */
async function subscribe(client: RawMqttClient, filters: readonly string[]): Promise<unknown> {
  const count = client.ids('suback').length + 1;
  const messageId = nextId++;
  const subscriptions = filters.map((topic) => ({ topic, qos: 1 as const }));
  client.send({ cmd: 'subscribe', messageId, subscriptions });
  await client.waitFor('suback', count);
  const suback = client.received.find((one) => one.cmd === 'suback' && one.messageId === messageId);
  return suback?.cmd === 'suback' ? suback.granted : undefined;
}

/** Payloads of the PUBLISHes that came. */
function payloads(client: RawMqttClient): string[] {
  const isPublish = (one: Packet) => one.cmd === 'publish';
  return client.received.filter(isPublish).map((one) => ('payload' in one ? `${one.payload}` : ''));
}

async function publishAll(
  client: RawMqttClient,
  topics: readonly string[],
  options: { retain?: boolean; payload?: string | Buffer } = {},
): Promise<void> {
  const before = client.ids('puback').length;
  for (const topic of topics) client.publish(nextId++, topic, options);
  await client.waitFor('puback', before + topics.length);
}

test('retained messages above the count are forwarded and not retained, and there is room again', async () => {
  const { port, gate, limited } = await startCounting({ limits: { maxRetainedMessages: 2 } });
  const device = await RawMqttClient.open(port);
  await publishAll(device, ['a', 'b', 'c', 'b'], { retain: true });
  await device.settled();
  expect(gate.topics).toEqual(['a', 'b', 'c', 'b']);
  expect(limited).toEqual(['retained_limit']);

  await publishAll(device, ['a'], { retain: true, payload: '' });
  await publishAll(device, ['c'], { retain: true, payload: 'now' });
  const subscriber = await RawMqttClient.open(port, { clientId: 'subscriber' });
  await subscribe(subscriber, ['#']);
  await eventually(() => expect(payloads(subscriber).sort()).toEqual(['now', 'x']), WITHIN);
  expect(limited).toHaveLength(1);
});

test('a retained message above the bytes takes the older one of its topic name with it', async () => {
  const { port, limited } = await startCounting({ limits: { maxRetainedBytes: 4000 } });
  const device = await RawMqttClient.open(port);
  await publishAll(device, ['a', 'b'], { retain: true });
  await publishAll(device, ['a'], { retain: true, payload: Buffer.alloc(4000) });
  await device.settled();
  expect(limited).toEqual(['retained_limit']);
  const subscriber = await RawMqttClient.open(port, { clientId: 'subscriber' });
  await subscribe(subscriber, ['#']);
  await eventually(() => expect(payloads(subscriber)).toEqual(['x']), WITHIN);
});

test.each([true, false])(
  '[MQTT-3.9.3-2] subscriptions above the limits get SUBACK 0x80 and no messages, clean session %s',
  async (clean) => {
    const limits = { maxSubscriptionsPerClient: 2, maxFilterBytes: 10 };
    const { port, limited } = await startCounting({ limits });
    const client = await RawMqttClient.open(port, { clientId: 'application', clean });
    expect(await subscribe(client, ['a', 'a/much/too/long', 'b', 'c'])).toEqual([1, 128, 1, 128]);
    expect(await subscribe(client, ['a'])).toEqual([1]);
    expect(limited).toEqual(['subscription_limit', 'subscription_limit']);
    const device = await RawMqttClient.open(port);
    await publishAll(device, ['c', 'a/much/too/long', 'b']);
    await client.waitFor('publish');
    await client.settled();
    expect(client.received.filter(({ cmd }) => cmd === 'publish')).toMatchObject([{ topic: 'b' }]);

    client.send({ cmd: 'unsubscribe', messageId: nextId++, unsubscriptions: ['a'] });
    await client.waitFor('unsuback');
    expect(await subscribe(client, ['c'])).toEqual([1]);
  },
);

test('a subscription that got SUBACK 0x80 is not stored with the session', async () => {
  const { server, port } = await startCounting({ limits: { maxSubscriptionsPerClient: 1 } });
  const client = await RawMqttClient.open(port, { clientId: 'application', clean: false });
  expect(await subscribe(client, ['a', 'b'])).toEqual([1, 128]);
  client.destroy();
  await eventually(() => expect(server.connections).toBe(0), WITHIN);
  const device = await RawMqttClient.open(port);
  await publishAll(device, ['b', 'a']);
  await device.settled();
  const back = await RawMqttClient.open(port, { clientId: 'application', clean: false });
  await back.waitFor('publish');
  await back.settled();
  expect(back.received.filter(({ cmd }) => cmd === 'publish')).toMatchObject([{ topic: 'a' }]);
});

test('the subscriptions of a session count while it is away, those of a clean one do not', async () => {
  const { port } = await startCounting({ limits: { maxSubscriptionBytes: 5000 } });
  const clean = await RawMqttClient.open(port, { clientId: 'clean' });
  expect(await subscribe(clean, ['a', 'b', 'c', 'd'])).toEqual([1, 1, 1, 128]);
  clean.destroy();
  const kept = await RawMqttClient.open(port, { clientId: 'kept', clean: false });
  await eventually(async () => expect(await subscribe(kept, ['a'])).toEqual([1]), WITHIN);
  kept.destroy();
  const third = await RawMqttClient.open(port, { clientId: 'third' });
  expect(await subscribe(third, ['d', 'e', 'f'])).toEqual([1, 1, 128]);
});

test('the session that is away the longest ends when there are too many, with all that is kept of it', async () => {
  const { server, port, gate, limited } = await startCounting({ limits: { maxSessions: 2 } });
  for (const clientId of ['one', 'two', 'three']) {
    const client = await RawMqttClient.open(port, { clientId, clean: false });
    await subscribe(client, ['t']);
    client.publish(1, 'q', { qos: 2 });
    await client.waitFor('pubrec');
    client.destroy();
    await eventually(() => expect(server.connections).toBe(0), WITHIN);
  }
  expect(limited).toEqual(['session_limit']);
  const present: Record<string, unknown> = {};
  for (const clientId of ['two', 'three', 'one']) {
    const client = await RawMqttClient.open(port, { clientId, clean: false });
    present[clientId] = await client.waitFor('connack');
    client.publish(1, 'q', { qos: 2, dup: true });
    await client.waitFor('pubrec');
    if (clientId === 'one') expect(await subscribe(client, ['t'])).toEqual([1]);
  }
  expect(present).toMatchObject({
    one: { sessionPresent: false },
    two: { sessionPresent: true },
    three: { sessionPresent: true },
  });
  expect(gate.calls).toHaveLength(4); // the packet identifier of the one that ended is forgotten
});

test('a session that was away longer than its expiry has ended', async () => {
  const { server, port, limited } = await startCounting({ limits: { sessionExpiryMs: 0 } });
  const client = await RawMqttClient.open(port, PERSISTENT);
  await subscribe(client, ['t']);
  client.destroy();
  await eventually(() => expect(server.connections).toBe(0), WITHIN);
  expect(limited).toEqual(['session_limit']);
  const back = await RawMqttClient.open(port, PERSISTENT);
  expect(await back.waitFor('connack')).toMatchObject({ sessionPresent: false });
});

test('[MQTT-3.2.2-2] a session is present although it has no subscription, until a clean one replaces it', async () => {
  const { port } = await startCounting({});
  const present: unknown[] = [];
  for (const clean of [false, false, true, false]) {
    const client = await RawMqttClient.open(port, { clean });
    const connack = await client.waitFor('connack');
    present.push(connack.cmd === 'connack' && connack.sessionPresent);
    client.send({ cmd: 'disconnect' });
    await client.waitForClose();
  }
  expect(present).toEqual([false, true, false, false]);
});

test('what waits for sessions that are away is bounded over all of them', async () => {
  const limits = { maxQueuedBytes: 100_000, maxQueuedBytesPerClient: 60_000 };
  const { server, port, limited } = await startCounting({ limits });
  for (const clientId of ['one', 'two']) {
    const client = await RawMqttClient.open(port, { clientId, clean: false });
    await subscribe(client, ['t']);
    client.destroy();
  }
  await eventually(() => expect(server.connections).toBe(0), WITHIN);
  const device = await RawMqttClient.open(port);
  for (let sent = 0; sent < 20; sent++) {
    await publishAll(device, ['t'], { payload: Buffer.alloc(10_000) });
    await device.settled();
  }
  expect(server.stats().queuedBytes).toBeLessThanOrEqual(100_000);
  expect(server.stats().queuedBytes).toBeGreaterThan(60_000);
  expect(new Set(limited)).toEqual(new Set(['subscriber_queue_limit']));

  const back = await RawMqttClient.open(port, { clientId: 'one', clean: true });
  const other = await RawMqttClient.open(port, { clientId: 'two', clean: true });
  await Promise.all([back.settled(), other.settled()]);
  await eventually(() => expect(server.stats().queuedBytes).toBe(0), WITHIN);
});

test('a subscriber that stops reading costs a bounded amount of memory and holds up nobody', async () => {
  const { server, port, limited } = await startCounting({
    config: { drainTimeoutMs: 2000 },
    limits: { maxQueuedBytes: 4_000_000, maxQueuedBytesPerClient: 500_000 },
  });
  const stuck = await RawMqttClient.open(port, { clientId: 'stuck' });
  await subscribe(stuck, ['t']);
  stuck.socket.pause();
  const device = await RawMqttClient.open(port);
  const batch: string[] = Array(50).fill('t');
  for (let sent = 0; !limited.includes('subscriber_queue_limit') && sent < 1000; sent++) {
    await publishAll(device, batch, { payload: Buffer.alloc(2000) });
    expect(server.stats().queuedBytes).toBeLessThanOrEqual(4_000_000);
  }
  expect(limited).toContain('subscriber_queue_limit');
  const healthy = await RawMqttClient.open(port, { clientId: 'healthy' });
  await subscribe(healthy, ['t']);
  await publishAll(device, batch, { payload: 'x' });
  await eventually(() => expect(payloads(healthy)).toHaveLength(50), WITHIN);
  expect(server.connections).toBe(3);
  await eventually(() => expect(server.connections).toBe(2), WITHIN);
  await eventually(() => expect(server.stats().queuedBytes).toBe(0), WITHIN);
});

test('wills are bounded over all connections, and room comes back with each', async () => {
  const { port, refused } = await startCounting({ limits: { maxWillBytes: 100_000 } });
  const will = { topic: 'w', payload: Buffer.alloc(60_000), qos: 0 as const, retain: false };
  const first = await RawMqttClient.open(port, { clientId: 'first', will });
  const second = new RawMqttClient(port);
  second.connect({ clientId: 'second', will });
  await second.waitForClose();
  expect(second.received).toMatchObject([{ cmd: 'connack', returnCode: 3 }]);
  expect(refused).toEqual(['will_limit']);
  first.send({ cmd: 'disconnect' });
  await first.waitForClose();
  await eventually(async () => {
    const third = new RawMqttClient(port);
    third.connect({ clientId: 'third', will });
    expect(await third.waitFor('connack')).toMatchObject({ returnCode: 0 });
  }, WITHIN);
});
