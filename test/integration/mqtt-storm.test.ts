import { expect, test } from 'vitest';
import { ControlledAccept } from '../helpers/controlled-accept.ts';
import { eventually } from '../helpers/eventually.ts';
import { startMqttServer } from '../helpers/mqtt-test-server.ts';
import { RawMqttClient } from '../helpers/raw-mqtt-client.ts';

const WITHIN = { withinMs: 20_000, everyMs: 10 };
const NOTHING = { sessions: 0, clients: 0, subscribedSessions: 0, queuedBytes: 0, connectBytes: 0 };

test('[MQTT-3.1.4-2] a storm of connections that take over one identifier leaves one owner and loses no acknowledged message', async () => {
  const gate = new ControlledAccept({ immediately: true });
  const { server, port } = await startMqttServer({
    accept: gate.accept,
    config: { maxConnections: 1000 },
  });
  const clients: RawMqttClient[] = [];
  for (let round = 0; round < 20; round++) {
    const storm = Array.from({ length: 10 }, (_, index) => {
      const client = new RawMqttClient(port);
      client.socket.cork();
      client.connect({ clientId: 'stolen', clean: index % 2 === 0, username: 'u' });
      client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a', qos: 1 }] });
      client.publish(1, `t/${round}/${index}`);
      client.socket.uncork();
      return client;
    });
    clients.push(...storm);
    await eventually(() => expect(server.connections).toBe(1), WITHIN);
  }
  await eventually(() => expect(clients.filter(({ closed }) => !closed)).toHaveLength(1), WITHIN);
  expect(server.stats().clients).toBe(1);
  const accepted = new Set(gate.topics);
  const acknowledged = clients.flatMap((client, n) =>
    client.ids('puback').length > 0 ? [`t/${Math.floor(n / 10)}/${n % 10}`] : [],
  );
  expect(acknowledged.filter((topic) => !accepted.has(topic))).toEqual([]);
  expect(acknowledged.length).toBeGreaterThan(0);

  const last = clients.find(({ closed }) => !closed);
  await last?.settled();
  const end = await RawMqttClient.open(port, { clientId: 'stolen', clean: true });
  end.send({ cmd: 'disconnect' });
  await eventually(() => expect(server.stats()).toEqual(NOTHING), WITHIN);
});

test('two connections that take one identifier over at the same moment do not both stay', async () => {
  const { server, port } = await startMqttServer(new ControlledAccept({ immediately: true }));
  for (let round = 0; round < 20; round++) {
    const owner = await RawMqttClient.open(port, { clientId: 'stolen' });
    owner.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a', qos: 1 }] });
    await owner.waitFor('suback');
    const thieves = [new RawMqttClient(port), new RawMqttClient(port)];
    await eventually(() => expect(server.connections).toBe(3), WITHIN);
    for (const thief of thieves) thief.connect({ clientId: 'stolen' });
    await eventually(() => expect(server.connections).toBe(1), { withinMs: 2000, everyMs: 2 });
    expect(server.stats().clients).toBe(1);
    for (const thief of thieves) thief.send({ cmd: 'disconnect' });
    await eventually(() => expect(server.stats()).toEqual(NOTHING), WITHIN);
    await eventually(() => expect(server.connections).toBe(0), WITHIN);
  }
});

test('a thousand clients that come, subscribe, publish and go leave nothing behind', async () => {
  const gate = new ControlledAccept({ immediately: true });
  const { server, port } = await startMqttServer({
    accept: gate.accept,
    config: { maxConnections: 1000 },
  });
  const visit = async (clientId: string, graceful: boolean): Promise<void> => {
    const will = { topic: 'w', payload: Buffer.from('x'), qos: 0, retain: false } as const;
    const client = await RawMqttClient.open(port, { clientId, will });
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: clientId, qos: 1 }] });
    client.publish(2, 't', { qos: 2 });
    client.send({ cmd: 'puback', messageId: 99 });
    await client.waitFor('pubrec');
    if (graceful) client.send({ cmd: 'disconnect' });
    else client.destroy();
  };
  for (let round = 0; round < 20; round++) {
    await Promise.all(Array.from({ length: 50 }, (_, i) => visit(`c-${round}-${i}`, i % 2 === 0)));
  }
  await eventually(() => expect(server.connections).toBe(0), WITHIN);
  await eventually(() => expect(server.stats()).toEqual(NOTHING), WITHIN);
  expect(gate.topics.filter((topic) => topic === 't')).toHaveLength(1000);
});
