import { expect, test } from 'vitest';
import { ControlledAccept } from '../helpers/controlled-accept.ts';
import { eventually } from '../helpers/eventually.ts';
import { startMqttServer } from '../helpers/mqtt-test-server.ts';
import { publishBytes, RawMqttClient } from '../helpers/raw-mqtt-client.ts';

test('[MQTT-4.3.2-2] PUBACK leaves only after the message is safe', async () => {
  const gate = new ControlledAccept();
  const { port } = await startMqttServer(gate);
  const device = await RawMqttClient.open(port);

  device.publish(7, 'a/b');
  const call = await gate.call(1);
  await device.settled();
  expect(device.ids('puback')).toEqual([]);

  call.safe();
  await device.waitFor('puback');
  expect(device.ids('puback')).toEqual([7]);
});

test('a message arrives with everything that its PUBLISH and CONNECT said', async () => {
  const gate = new ControlledAccept({ immediately: true });
  const { port } = await startMqttServer(gate);
  const device = await RawMqttClient.open(port, { clientId: 'pump', username: 'plant' });
  const beforeMs = Date.now();

  const payload = Buffer.from([0, 255, 10]);
  device.publish(1, 'a/b', { qos: 1, dup: true, retain: true, payload });
  device.publish(0, 'a/c', { qos: 0 });
  const [first, second] = [await gate.call(1), await gate.call(2)];

  const { receivedAtMs, ...rest } = first.message;
  expect(rest).toEqual({
    topic: 'a/b',
    payload,
    qos: 1,
    dup: true,
    retain: true,
    clientId: 'pump',
    username: 'plant',
  });
  expect(receivedAtMs).toBeGreaterThanOrEqual(beforeMs);
  expect(second.message).toMatchObject({ topic: 'a/c', qos: 0, dup: false, retain: false });
});

test('[MQTT-4.6.0-2] PUBACKs leave in the order of the PUBLISHes when messages become safe in another', async () => {
  const gate = new ControlledAccept();
  const { port } = await startMqttServer(gate);
  const device = await RawMqttClient.open(port);

  for (const id of [1, 2, 3]) device.publish(id, `t/${id}`);
  const [one, two, three] = [await gate.call(1), await gate.call(2), await gate.call(3)];
  three.safe();
  two.safe();
  await device.settled();
  expect(device.ids('puback')).toEqual([]);

  one.safe();
  await device.waitFor('puback', 3);
  expect(device.ids('puback')).toEqual([1, 2, 3]);
});

test('messages of all QoS are accepted in the order of arrival within one read', async () => {
  const gate = new ControlledAccept({ immediately: true });
  const { port } = await startMqttServer(gate);
  const device = await RawMqttClient.open(port);

  device.socket.write(
    Buffer.concat([
      publishBytes(1, 'first', { qos: 2 }),
      publishBytes(2, 'second', { qos: 1 }),
      publishBytes(0, 'third', { qos: 0 }),
      publishBytes(3, 'fourth', { qos: 2 }),
    ]),
  );
  await gate.call(4);
  expect(gate.topics).toEqual(['first', 'second', 'third', 'fourth']);
});

test('a refused message closes the connection, those before it are acknowledged and those behind it are not', async () => {
  const gate = new ControlledAccept();
  const { port } = await startMqttServer(gate);
  const device = await RawMqttClient.open(port);

  for (const id of [1, 2, 3]) device.publish(id, `t/${id}`);
  const [one, two, three] = [await gate.call(1), await gate.call(2), await gate.call(3)];
  three.safe();
  two.refuse();
  await device.settled();
  expect(device.closed).toBe(false);

  one.safe();
  await device.waitForClose();
  expect(device.ids('puback')).toEqual([1]);
});

test.each([1, 2] as const)(
  'nothing behind a refused message is accepted, so that the device sends all again in order: QoS %i',
  async (qos) => {
    const gate = new ControlledAccept();
    const { port } = await startMqttServer(gate);
    const device = await RawMqttClient.open(port);

    for (const id of [1, 2]) device.publish(id, `t/${id}`);
    const [one, two] = [await gate.call(1), await gate.call(2)];
    two.refuse(); // the connection is closed when the one before it is complete
    device.socket.write(
      Buffer.concat([publishBytes(3, 't/3', { qos }), publishBytes(0, 't/4', { qos: 0 })]),
    );
    await gate.call(3);
    expect(gate.topics).toEqual(['t/1', 't/2', 't/4']); // QoS 0 does not come again

    one.safe();
    await device.waitForClose();
    expect(device.ids('puback')).toEqual([1]);
  },
);

test('a message that becomes safe or is refused after its client left disturbs nobody', async () => {
  const gate = new ControlledAccept();
  const { server, port } = await startMqttServer(gate);
  const device = await RawMqttClient.open(port);
  for (const id of [1, 2, 3]) device.publish(id, `t/${id}`);
  const calls = [await gate.call(1), await gate.call(2), await gate.call(3)];

  device.destroy();
  await eventually(() => expect(server.connections).toBe(0), { withinMs: 5000 });
  calls[1]?.refuse();
  calls[2]?.safe();
  calls[0]?.safe();

  const next = await RawMqttClient.open(port);
  next.publish(1, 'after');
  (await gate.call(4)).safe();
  await next.waitFor('puback');
});

test('[MQTT-3.1.4-2] a client that takes an identifier over gets PUBACKs for its own PUBLISHes only', async () => {
  const gate = new ControlledAccept();
  const { port } = await startMqttServer(gate);
  const old = await RawMqttClient.open(port, { clean: false });
  old.publish(5, 't');
  const first = await gate.call(1);

  const taker = await RawMqttClient.open(port, { clean: false });
  await old.waitForClose();
  first.safe();
  await taker.settled();
  expect(taker.ids('puback')).toEqual([]);

  taker.publish(5, 't', { dup: true });
  (await gate.call(2)).safe();
  await taker.waitFor('puback');
  expect(taker.ids('puback')).toEqual([5]);
});
