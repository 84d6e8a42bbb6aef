import { expect, test } from 'vitest';
import { ControlledAccept } from '../helpers/controlled-accept.ts';
import { eventually } from '../helpers/eventually.ts';
import { startMqttServer } from '../helpers/mqtt-test-server.ts';
import { publishBytes, RawMqttClient } from '../helpers/raw-mqtt-client.ts';

const QOS2 = { qos: 2 } as const;
const DUP = { qos: 2, dup: true } as const;

test('[MQTT-4.3.3-2] PUBREC leaves only after the message is safe', async () => {
  const gate = new ControlledAccept();
  const { port } = await startMqttServer(gate);
  const device = await RawMqttClient.open(port);

  device.publish(9, 'a', QOS2);
  const call = await gate.call(1);
  await device.settled();
  expect(device.ids('pubrec')).toEqual([]);

  call.safe();
  await device.waitFor('pubrec');
  device.send({ cmd: 'pubrel', messageId: 9 });
  await device.waitFor('pubcomp');
});

test('a repeat is accepted once, whether it comes before or after PUBREC', async () => {
  const gate = new ControlledAccept();
  const { port } = await startMqttServer(gate);
  const device = await RawMqttClient.open(port);

  device.socket.write(Buffer.concat([publishBytes(9, 'a', QOS2), publishBytes(9, 'a', DUP)]));
  const call = await gate.call(1);
  device.publish(9, 'a', DUP);
  await device.settled();
  expect(device.ids('pubrec')).toEqual([]);

  call.safe();
  await device.waitFor('pubrec', 3);
  device.publish(9, 'a', DUP);
  await device.waitFor('pubrec', 4);
  expect(gate.topics).toEqual(['a']);
});

test('a packet identifier is free for another message after PUBREL', async () => {
  const gate = new ControlledAccept({ immediately: true });
  const { port } = await startMqttServer(gate);
  const device = await RawMqttClient.open(port);

  for (const topic of ['first', 'second']) {
    const count = gate.calls.length + 1;
    device.publish(9, topic, QOS2);
    await device.waitFor('pubrec', count);
    device.send({ cmd: 'pubrel', messageId: 9 });
    await device.waitFor('pubcomp', count);
  }
  expect(gate.topics).toEqual(['first', 'second']);
});

test('a repeat on a new connection of the session waits for the message that is still pending', async () => {
  const gate = new ControlledAccept();
  const { port } = await startMqttServer(gate);
  const before = await RawMqttClient.open(port, { clean: false });
  before.publish(9, 'a', QOS2);
  const call = await gate.call(1);
  before.destroy();

  const after = await RawMqttClient.open(port, { clean: false });
  after.publish(9, 'a', DUP);
  await after.settled();
  expect(after.ids('pubrec')).toEqual([]);

  call.safe();
  await after.waitFor('pubrec');
  expect(gate.topics).toEqual(['a']);
});

test('a repeat on a new connection of the session is not accepted again after PUBREC', async () => {
  const gate = new ControlledAccept({ immediately: true });
  const { port } = await startMqttServer(gate);
  const before = await RawMqttClient.open(port, { clean: false });
  before.publish(9, 'a', QOS2);
  await before.waitFor('pubrec');
  before.destroy();

  const after = await RawMqttClient.open(port, { clean: false });
  after.publish(9, 'a', DUP);
  await after.waitFor('pubrec');
  expect(gate.topics).toEqual(['a']);
});

test('a message that became safe while its client was away gets PUBREC and local delivery on the repeat', async () => {
  const gate = new ControlledAccept();
  const { server, port } = await startMqttServer(gate);
  const subscriber = await RawMqttClient.open(port, { clientId: 'subscriber' });
  subscriber.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a', qos: 0 }] });
  await subscriber.waitFor('suback');
  const before = await RawMqttClient.open(port, { clean: false });
  before.publish(9, 'a', QOS2);
  const call = await gate.call(1);
  before.destroy();
  await eventually(() => expect(server.connections).toBe(1), { withinMs: 5000 });
  call.safe();

  const after = await RawMqttClient.open(port, { clean: false });
  after.socket.write(Buffer.concat([publishBytes(9, 'a', DUP), publishBytes(9, 'a', DUP)]));
  await after.waitFor('pubrec', 2);
  await subscriber.waitFor('publish');
  await subscriber.settled();
  expect(subscriber.received.filter(({ cmd }) => cmd === 'publish')).toHaveLength(1);
  expect(gate.topics).toEqual(['a']);
});

test('a message that could not be made safe is forgotten, so that its resend is accepted anew', async () => {
  const gate = new ControlledAccept();
  const { port } = await startMqttServer(gate);
  const before = await RawMqttClient.open(port, { clean: false });
  before.publish(9, 'a', QOS2);
  const call = await gate.call(1);
  call.refuse();
  await before.waitForClose();
  expect(before.ids('pubrec')).toEqual([]);

  const after = await RawMqttClient.open(port, { clean: false });
  after.publish(9, 'a', DUP);
  const again = await gate.call(2);
  await after.settled();
  expect(after.ids('pubrec')).toEqual([]);
  again.safe();
  await after.waitFor('pubrec');
});

test('[MQTT-3.1.2-6] a clean session starts without the packet identifiers of the one before', async () => {
  const gate = new ControlledAccept({ immediately: true });
  const { port } = await startMqttServer(gate);
  const before = await RawMqttClient.open(port, { clean: false });
  before.publish(9, 'old', QOS2);
  await before.waitFor('pubrec');
  before.destroy();

  const after = await RawMqttClient.open(port, { clean: true });
  after.publish(9, 'new', QOS2);
  await after.waitFor('pubrec');
  expect(gate.topics).toEqual(['old', 'new']);
});

test('[MQTT-4.6.0-3] PUBRECs leave in the order of the PUBLISHes', async () => {
  const gate = new ControlledAccept();
  const { port } = await startMqttServer(gate);
  const device = await RawMqttClient.open(port);
  for (const id of [1, 2, 3]) device.publish(id, `t/${id}`, QOS2);
  const calls = [await gate.call(1), await gate.call(2), await gate.call(3)];
  for (const call of calls.reverse()) call.safe();
  await device.waitFor('pubrec', 3);
  expect(device.ids('pubrec')).toEqual([1, 2, 3]);
});

test('a client with too many messages before PUBREL is disconnected before one more is accepted', async () => {
  const gate = new ControlledAccept({ immediately: true });
  const { port } = await startMqttServer({ accept: gate.accept, config: { maxInflightQos2: 2 } });
  const device = await RawMqttClient.open(port);
  for (const id of [1, 2, 3]) device.publish(id, `t/${id}`, QOS2);
  await device.waitForClose();
  expect(gate.topics).toEqual(['t/1', 't/2']);
});
