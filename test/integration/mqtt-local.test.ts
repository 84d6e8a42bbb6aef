import mqtt from 'mqtt';
import { expect, onTestFinished, test } from 'vitest';
import { ControlledAccept } from '../helpers/controlled-accept.ts';
import { eventually } from '../helpers/eventually.ts';
import { startMqttServer } from '../helpers/mqtt-test-server.ts';
import { RawMqttClient } from '../helpers/raw-mqtt-client.ts';

const WITHIN = { withinMs: 5000, everyMs: 5 };

/** MQTT.js as an application on the gateway would use it, and what it received. */
async function openSubscriber(
  port: number,
  topicFilter: string,
  options: mqtt.IClientOptions = {},
) {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, {
    reconnectPeriod: 0,
    ...options,
  });
  onTestFinished(() => client.endAsync(true));
  const received: string[] = [];
  client.on('message', (topic, payload) => received.push(`${topic}=${payload}`));
  await client.subscribeAsync(topicFilter, { qos: 1 });
  return { client, received };
}

test('a local subscriber gets a message once, after it is safe', async () => {
  const gate = new ControlledAccept();
  const { port } = await startMqttServer(gate);
  const { client, received } = await openSubscriber(port, 't/#');
  const device = await RawMqttClient.open(port);
  const cases = [0, 1, 2] as const;
  for (const qos of cases) device.publish(qos + 1, `t/${qos}`, { qos });
  await gate.call(3);
  await device.settled();
  expect(received).toEqual([]);

  for (const call of gate.calls) call.safe();
  await eventually(() => expect(received).toHaveLength(3), WITHIN);
  await client.unsubscribeAsync('t/#'); // a round trip: a second copy would have come before
  expect(received.sort()).toEqual(['t/0=x', 't/1=x', 't/2=x']);
});

test('a QoS 0 message is delivered locally although its device left before it was safe', async () => {
  const gate = new ControlledAccept();
  const { port } = await startMqttServer(gate);
  const { received } = await openSubscriber(port, 't');
  const device = await RawMqttClient.open(port);
  device.publish(0, 't', { qos: 0 });
  device.send({ cmd: 'disconnect' });
  await device.waitForClose();
  (await gate.call(1)).safe();
  await eventually(() => expect(received).toEqual(['t=x']), WITHIN);
});

test('a retained message reaches a subscriber that comes later', async () => {
  const gate = new ControlledAccept({ immediately: true });
  const { port } = await startMqttServer(gate);
  const device = await RawMqttClient.open(port);
  device.publish(1, 'state', { retain: true, payload: 'on' });
  await device.waitFor('puback');
  await device.settled();
  const { received } = await openSubscriber(port, 'state');
  await eventually(() => expect(received).toEqual(['state=on']), WITHIN);
});

test('a persistent session gets on its return what came while it was away, and nothing is queued after it unsubscribes', async () => {
  const gate = new ControlledAccept({ immediately: true });
  const { port } = await startMqttServer(gate);
  const session = { clientId: 'application', clean: false };
  const { client } = await openSubscriber(port, 't', session);
  await client.endAsync();
  const device = await RawMqttClient.open(port);
  device.publish(1, 't', { payload: 'missed' });
  await device.waitFor('puback');

  const back = await RawMqttClient.open(port, session);
  const missed = await back.waitFor('publish');
  expect(missed).toMatchObject({ topic: 't', payload: Buffer.from('missed') });
  back.send({ cmd: 'puback', messageId: missed.messageId ?? 0 });
  back.send({ cmd: 'unsubscribe', messageId: 4, unsubscriptions: ['t'] });
  await back.waitFor('unsuback');
  device.publish(2, 't');
  await device.waitFor('puback', 2);
  await back.settled();
  expect(back.received.filter(({ cmd }) => cmd === 'publish')).toHaveLength(1);
});

test('a session that stays away has 1000 messages queued at most, the rest is counted', async () => {
  const gate = new ControlledAccept({ immediately: true });
  let full = 0;
  const observer = { limited: () => full++ };
  const { port } = await startMqttServer({ accept: gate.accept, observer });
  const { client } = await openSubscriber(port, 't', { clientId: 'application', clean: false });
  await client.endAsync();
  const device = await RawMqttClient.open(port);
  for (let id = 1; id <= 1010; id++) device.publish(id, 't');
  await device.waitFor('puback', 1010);
  await eventually(() => expect(full).toBe(10), WITHIN);
});

test.each([0, 1, 2] as const)(
  'a will of QoS %i is accepted once and delivered locally once',
  async (qos) => {
    const gate = new ControlledAccept({ immediately: true });
    const { server, port } = await startMqttServer(gate);
    const { client, received } = await openSubscriber(port, 'will');
    const device = await RawMqttClient.open(port, {
      username: 'plant',
      will: { topic: 'will', payload: Buffer.from('gone'), qos, retain: false },
    });
    device.destroy();
    await eventually(() => expect(received).toEqual(['will=gone']), WITHIN);
    await eventually(() => expect(server.connections).toBe(1), WITHIN);
    await client.unsubscribeAsync('will');
    expect(received).toHaveLength(1);
    expect(gate.calls.map(({ message }) => message)).toMatchObject([
      { topic: 'will', qos, dup: false, clientId: 'device-1', username: 'plant' },
    ]);
  },
);

test('[MQTT-3.14.4-3] DISCONNECT discards the will', async () => {
  const gate = new ControlledAccept({ immediately: true });
  const { server, port } = await startMqttServer(gate);
  const device = await RawMqttClient.open(port, {
    will: { topic: 'will', payload: Buffer.from('gone'), qos: 1, retain: false },
  });
  device.send({ cmd: 'disconnect' });
  await device.waitForClose();
  await eventually(() => expect(server.connections).toBe(0), WITHIN);
  expect(gate.calls).toEqual([]);
});

test('closing the server accepts the wills of its clients and waits for them', async () => {
  const gate = new ControlledAccept();
  const { server, port } = await startMqttServer(gate);
  await RawMqttClient.open(port, {
    will: { topic: 'will', payload: Buffer.from('gone'), qos: 1, retain: false },
  });
  let closed = false;
  const closing = server.close().then(() => {
    closed = true;
  });
  const call = await gate.call(1);
  expect(closed).toBe(false);
  call.safe();
  await closing;
  expect(server.connections).toBe(0);
  await server.close();
});

test('a PUBLISH to $SYS/ closes its connection and is not accepted, one to another $ topic is', async () => {
  const gate = new ControlledAccept({ immediately: true });
  const { port } = await startMqttServer(gate);
  const device = await RawMqttClient.open(port);
  device.publish(1, '$site/a');
  await device.waitFor('puback');
  device.publish(2, '$SYS/a');
  await device.waitForClose();
  expect(gate.topics).toEqual(['$site/a']);
  expect(device.ids('puback')).toEqual([1]);
});
