import { createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { RefusalReason } from '../../src/mqtt/ports.ts';
import { GatewayError } from '../../src/shared/errors.ts';
import { ControlledAccept } from '../helpers/controlled-accept.ts';
import { eventually } from '../helpers/eventually.ts';
import { startMqttServer, type TestServerOptions } from '../helpers/mqtt-test-server.ts';
import { publishBytes, RawMqttClient } from '../helpers/raw-mqtt-client.ts';

const MIB_BYTES = 1024 ** 2;

async function startCounting(config: TestServerOptions['config'] = {}) {
  const gate = new ControlledAccept({ immediately: true });
  const refused: RefusalReason[] = [];
  const observer = { refused: (reason: RefusalReason) => refused.push(reason) };
  const started = await startMqttServer({ accept: gate.accept, config, observer });
  return { ...started, gate, refused };
}

test('a packet of 100 MB before CONNECT is refused without buffering it', async () => {
  const { port, refused } = await startCounting();
  const attacker = new RawMqttClient(port);
  const chunk = Buffer.alloc(MIB_BYTES);
  const used = () => {
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const beforeBytes = used();
  let mostBytes = beforeBytes;

  attacker.socket.write(Buffer.from([0x10, 0x80, 0x80, 0x80, 0x32])); // CONNECT, 100 MiB to follow
  for (let sent = 0; sent < 100 && !attacker.closed; sent++) {
    await new Promise((resolve) => attacker.socket.write(chunk, resolve));
    mostBytes = Math.max(mostBytes, used());
  }
  await attacker.waitForClose();
  expect(mostBytes - beforeBytes).toBeLessThan(20 * MIB_BYTES);
  expect(refused).toEqual(['frame_too_large']);
});

test('the largest payload passes with the longest topic name, a frame beyond that closes the connection', async () => {
  const { port, gate, refused } = await startCounting({ maxPayloadBytes: 100_000 });
  const device = await RawMqttClient.open(port);
  const topic = 't'.repeat(65_535);
  device.publish(1, topic, { payload: Buffer.alloc(100_000) });
  await device.waitFor('puback');
  device.publish(2, topic, { payload: Buffer.alloc(100_100) });
  await device.waitForClose();
  expect(gate.calls).toHaveLength(1);
  expect(refused).toEqual(['frame_too_large']);
});

test.each([
  ['a first packet that is not CONNECT', [0xc0, 0], 'connect_expected'],
  ['a remaining length of five bytes', [0x10, 0xff, 0xff, 0xff, 0xff, 1], 'malformed_length'],
] as const)('%s closes the connection', async (_what, bytes, reason) => {
  const { port, refused } = await startCounting();
  const peer = new RawMqttClient(port);
  peer.socket.write(Buffer.from(bytes));
  await peer.waitForClose();
  expect(refused).toEqual([reason]);
});

test.each([
  ['QoS 3', [0x36, 5, 0, 1, 0x61, 0, 1]],
  ['a topic longer than the packet', [0x32, 4, 0, 9, 0x61, 0x62]],
  ['packet identifier 0', [0x32, 5, 0, 1, 0x61, 0, 0]],
  ['no packet identifier, another packet behind', [0x32, 3, 0, 1, 0x61, 0x32, 5, 0, 1, 0x61, 0, 7]],
  ['[MQTT-1.5.3-1] a topic that is not UTF-8', [0x32, 6, 0, 2, 0xc0, 0x80, 0, 1]],
  ['[MQTT-1.5.3-2] a topic with NUL', [0x32, 6, 0, 2, 0x61, 0, 0, 1]],
  ['[MQTT-3.3.2-2] a topic with a wildcard', [0x32, 5, 0, 1, 0x23, 0, 1]],
  ['an empty topic', [0x32, 4, 0, 0, 0, 1]],
  ['a reserved packet type', [0xf0, 0]],
  ['a second CONNECT', [0x10, 13, 0, 4, 77, 81, 84, 84, 4, 2, 0, 0, 0, 1, 65]],
])('%s closes that connection and no other', async (_what, bytes) => {
  const { port, gate } = await startCounting();
  const healthy = await RawMqttClient.open(port, { clientId: 'healthy' });
  const broken = await RawMqttClient.open(port, { clientId: 'broken' });
  broken.socket.write(Buffer.from(bytes));
  await broken.waitForClose();
  expect(gate.calls).toEqual([]);
  healthy.publish(1, 't');
  await healthy.waitFor('puback');
});

test('[MQTT-3.1.3-8] an empty client identifier with clean session 0 gets CONNACK 2 and is closed', async () => {
  const { port, refused } = await startCounting();
  const client = new RawMqttClient(port);
  client.socket.write(Buffer.from([0x10, 12, 0, 4, 77, 81, 84, 84, 4, 0, 0, 0, 0, 0]));
  await client.waitForClose();
  expect(client.received).toMatchObject([{ cmd: 'connack', returnCode: 2, sessionPresent: false }]);
  expect(refused).toEqual(['connect_invalid']);
  await RawMqttClient.open(port, { clientId: '', clean: true });
});

test.each([
  ['client identifier with NUL', { clientId: 'a\u0000b' }],
  ['user name with NUL', { username: 'a\u0000b' }],
  ['will topic with a wildcard', { will: { topic: 'a/#', payload: 'x', qos: 0, retain: false } }],
] as const)('a CONNECT with a %s is closed without CONNACK', async (_what, options) => {
  const { port, refused } = await startCounting();
  const client = new RawMqttClient(port);
  client.connect(options as Parameters<RawMqttClient['connect']>[0]);
  await client.waitForClose();
  expect(client.received).toEqual([]);
  expect(refused).toEqual(['connect_invalid']);
});

test('packets behind a CONNECT that is not yet answered are handled in order', async () => {
  const { port, gate } = await startCounting();
  const client = new RawMqttClient(port);
  client.socket.cork();
  client.connect();
  for (let id = 1; id <= 500; id++) client.publish(id, `t/${id}`);
  client.socket.uncork();
  await client.waitFor('puback', 500);
  expect(gate.topics).toEqual(Array.from({ length: 500 }, (_, index) => `t/${index + 1}`));
});

test('a connection above the limit is closed and counted, and there is room again when one leaves', async () => {
  const { server, port, refused } = await startCounting({ maxConnections: 1 });
  const first = await RawMqttClient.open(port);
  const second = new RawMqttClient(port);
  await second.waitForClose();
  expect(refused).toEqual(['max_connections']);
  first.destroy();
  await eventually(() => expect(server.connections).toBe(0), { withinMs: 5000 });
  await RawMqttClient.open(port);
});

test('a connection that does not finish its CONNECT in time is closed', async () => {
  const { port } = await startCounting({ connectTimeoutMs: 100 });
  const slow = new RawMqttClient(port);
  slow.socket.write(Buffer.from([0x10, 13, 0, 4]));
  await slow.waitForClose();
});

test('a port in use is reported in one sentence that says what to do', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => {
    other.close();
  });
  await new Promise((resolve) => other.once('listening', resolve));
  const address = other.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;

  const free = { host: '127.0.0.1', port: 0 };
  const starting = startCounting({ listeners: [free, { host: '127.0.0.1', port }] });
  await expect(starting).rejects.toThrowError(GatewayError);
  await expect(starting).rejects.toMatchObject({
    code: 'LISTENER_FAILED',
    message: `The MQTT listener cannot use 127.0.0.1:${port} because another process has that port: stop it, or set another port (\`mqtt.listeners\` in the config).`,
  });
});

test('frames are followed across any cut of the byte stream', async () => {
  const { port, gate } = await startCounting();
  const device = await RawMqttClient.open(port);
  const bytes = Buffer.concat([
    publishBytes(1, 'a', { payload: Buffer.alloc(200) }),
    publishBytes(2, 'b'),
  ]);
  for (const byte of bytes) {
    await new Promise((resolve) => device.socket.write(Buffer.of(byte), resolve));
  }
  await device.waitFor('puback', 2);
  expect(gate.topics).toEqual(['a', 'b']);
});
