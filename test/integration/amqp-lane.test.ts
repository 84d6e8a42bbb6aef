import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Topology } from '../../src/amqp/topology.ts';
import {
  operator,
  startConnection,
  startLane,
  take,
  uniqueTopology,
} from '../helpers/amqp-test-lane.ts';
import { eventually } from '../helpers/eventually.ts';
import { laneMessage } from '../helpers/publisher-recorder.ts';
import { type RabbitNode, startRabbitNode } from '../helpers/rabbitmq-node.ts';

const PATIENCE = { withinMs: 30_000 };
const RUN = '6f1e0b8a92c4d7e5';
let node: RabbitNode;

beforeAll(async () => {
  node = await startRabbitNode();
});

afterAll(() => node?.stop());

test('a message carries its payload byte for byte, its identity and where it came from', async () => {
  const { connection } = startConnection({ urls: [node.url] });
  const { publisher, recorder, queue, exchange } = startLane(connection);
  await recorder.told('open');
  const payload = Buffer.from([0, 255, 10, 13, 128]);
  recorder.publish(publisher, laneMessage(7, 'routed', { payload, run: RUN, dup: true }));
  await recorder.answered(7);

  const { content, fields, properties } = await take(await operator(node.url), queue);
  expect(content).toEqual(payload);
  expect(fields).toMatchObject({ exchange, routingKey: 'routed' });
  expect(properties).toMatchObject({
    deliveryMode: 2,
    messageId: `site-a/telemetry/3-${RUN}.7`,
    timestamp: 1_700_000_000,
    appId: 'tidegate',
  });
  expect(properties.headers).toEqual({
    'x-mqtt-topic': 'devices/d1/routed',
    'x-mqtt-publish-qos': 1,
    'x-mqtt-dup': true,
    'x-mqtt-retain': false,
    'x-client-id': 'd1',
    'x-gateway-id': 'site-a',
    'x-lane': 'telemetry',
    'x-epoch': 3,
    'x-run': RUN,
    'x-seq': 7,
    'x-received-at': 1_700_000_000_123,
    'x-backlog': false,
  });
});

test('messages reach the queue in the order of the publishes, those from the store marked', async () => {
  const { connection } = startConnection({ urls: [node.url] });
  const { publisher, recorder, queue } = startLane(connection);
  await recorder.told('open');
  for (let seq = 1; seq <= 500; seq++) {
    const payload = Buffer.alloc(seq % 7 === 0 ? 200_000 : 10); // also larger than a frame
    recorder.publish(publisher, laneMessage(seq, 'routed', { payload, fromStore: seq > 250 }));
  }
  await recorder.answered(500);
  const channel = await operator(node.url);
  for (let seq = 1; seq <= 500; seq++) {
    const { properties } = await take(channel, queue);
    expect(properties.headers).toMatchObject({ 'x-seq': seq, 'x-backlog': seq > 250 });
  }
});

test('an exchange that is deleted closes that lane only, and is declared again', async () => {
  const { connection } = startConnection({ urls: [node.url] });
  const broken = startLane(connection);
  const healthy = startLane(connection);
  await Promise.all([broken.recorder.told('open'), healthy.recorder.told('open')]);
  await (await operator(node.url)).deleteExchange(broken.exchange);

  broken.recorder.publish(broken.publisher, laneMessage(1, 'routed'));
  await broken.recorder.told('open', 'closed', 'open');
  expect(broken.recorder.closed).toMatchObject([
    { scope: 'channel', replyCode: 404, text: expect.stringContaining(broken.exchange) },
  ]);
  broken.recorder.publish(broken.publisher, laneMessage(2, 'routed'));
  expect(await broken.recorder.answered(2)).toEqual({ kind: 'confirmed' });
  expect(broken.recorder.outcome(1)).toBeUndefined();

  healthy.recorder.publish(healthy.publisher, laneMessage(1, 'routed'));
  expect(await healthy.recorder.answered(1)).toEqual({ kind: 'confirmed' });
  expect(healthy.recorder.closed).toEqual([]);
  expect(healthy.recorder.events).toEqual(['open']);
});

test('a refused declaration names the queue and tells why, and the lane opens once it is mended', async () => {
  const { connection } = startConnection({ urls: [node.url] });
  const topology = uniqueTopology();
  const channel = await operator(node.url);
  const name = topology.queues[0]?.name ?? '';
  await channel.assertQueue(name, { arguments: { 'x-queue-type': 'quorum' } });

  const { recorder, troubles } = startLane(connection, topology);
  await eventually(() => expect(troubles.length).toBeGreaterThan(1), PATIENCE);
  expect(troubles[0]).toMatchObject({ code: 'AMQP_TOPOLOGY_REFUSED' });
  expect(troubles[0]?.message).toMatch(
    new RegExp(`lane telemetry: queue "${name}" refused: .*PRECONDITION_FAILED.*x-queue-type`),
  );
  expect(recorder.events).toEqual([]);
  await channel.deleteQueue(name);
  await recorder.told('open');
});

test('what is not ours to declare is looked for, and all that is missing is named at once', async () => {
  const { connection } = startConnection({ urls: [node.url] });
  const declared = uniqueTopology({
    name: `b-${crypto.randomUUID()}`,
    type: 'classic',
    bindingKey: '#',
  });
  const topology: Topology = { ...declared, exchange: { ...declared.exchange, declare: false } };
  const { recorder, troubles } = startLane(connection, topology);
  await eventually(() => expect(troubles).not.toEqual([]), PATIENCE);
  expect(troubles[0]).toMatchObject({ code: 'AMQP_TOPOLOGY_REFUSED' });
  for (const { name } of [topology.exchange, ...topology.queues]) {
    expect(troubles[0]?.message).toContain(`"${name}" is not usable`);
  }
  expect(recorder.events).toEqual([]);

  await startLane(connection, declared).recorder.told('open');
  await recorder.told('open');
});

test.each(['quorum', 'stream', 'classic'] as const)('a declared %s queue is one', async (type) => {
  const { connection } = startConnection({ urls: [node.url] });
  const topology = uniqueTopology({ name: crypto.randomUUID(), type, bindingKey: 'more' });
  const { publisher, recorder } = startLane(connection, topology);
  await recorder.told('open');
  recorder.publish(publisher, laneMessage(1, 'more'));
  expect(await recorder.answered(1)).toEqual({ kind: 'confirmed' });
  const name = topology.queues[1]?.name ?? '';
  const channel = await operator(node.url);
  await channel.assertQueue(name, { durable: true, arguments: { 'x-queue-type': type } }); // else 406
});

test('the default exchange is not declared, and routes by the name of the queue', async () => {
  const { connection } = startConnection({ urls: [node.url] });
  const own = uniqueTopology();
  const topology: Topology = { ...own, exchange: { name: '', type: 'direct', declare: true } };
  const { publisher, recorder, queue } = startLane(connection, topology);
  await recorder.told('open');
  recorder.publish(publisher, laneMessage(1, queue));
  expect(await recorder.answered(1)).toEqual({ kind: 'confirmed' });
});

test('a message that does not fit into AMQP frames is returned, and the lane flows on', async () => {
  const { connection } = startConnection({ urls: [node.url] });
  const { publisher, recorder } = startLane(connection);
  await recorder.told('open');
  recorder.publish(publisher, laneMessage(1, 'x'.repeat(256)));
  recorder.publish(publisher, laneMessage(2, 'routed', { topic: 't'.repeat(65_535) }));
  recorder.publish(publisher, laneMessage(3, 'routed'));
  expect(await recorder.answered(1)).toMatchObject({ kind: 'returned', replyCode: 502 });
  expect(await recorder.answered(2)).toMatchObject({ kind: 'returned', replyCode: 502 });
  expect(await recorder.answered(3)).toEqual({ kind: 'confirmed' });
});

test('a lane that may not write is closed with 403, and opens again', async () => {
  await node.ctl('add_user', 'reader', 'secret');
  await node.ctl('set_permissions', 'reader', '.*', '', '.*');
  const { connection } = startConnection({
    urls: [node.url.replace('guest:guest', 'reader:secret')],
  });
  await eventually(() => expect(connection.state().connected).toBe(true), PATIENCE);
  const topology = uniqueTopology();
  const { publisher, recorder } = startLane(connection, { ...topology, queues: [] });
  await recorder.told('open');
  recorder.publish(publisher, laneMessage(1, 'routed'));
  await recorder.told('open', 'closed', 'open');
  expect(recorder.closed).toMatchObject([{ scope: 'channel', replyCode: 403 }]);
});
