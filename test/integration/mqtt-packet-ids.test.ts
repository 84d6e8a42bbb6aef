import mqtt from 'mqtt';
import { expect, onTestFinished, test } from 'vitest';
import type { HeldPacketId, PacketIdStore } from '../../src/mqtt/ports.ts';
import { ControlledAccept } from '../helpers/controlled-accept.ts';
import { eventually } from '../helpers/eventually.ts';
import { startMqttServer } from '../helpers/mqtt-test-server.ts';
import { publishBytes, RawMqttClient } from '../helpers/raw-mqtt-client.ts';

const WITHIN = { withinMs: 5000, everyMs: 2 };
const QOS2 = { qos: 2 } as const;
const DUP = { qos: 2, dup: true } as const;
const PERSISTENT = { clean: false } as const;

/** A store whose writes become durable when the test says so. */
class ManualStore implements PacketIdStore {
  readonly held = new Map<string, HeldPacketId>();
  readonly calls: string[] = [];
  #waiting: (() => void)[] = [];

  load(): Promise<readonly HeldPacketId[]> {
    return Promise.resolve([...this.held.values()]);
  }

  add(held: HeldPacketId): Promise<void> {
    const name = `${held.clientId}/${held.packetId}`;
    return this.#write(`add ${name}`, () => this.held.set(name, held));
  }

  remove(clientId: string, packetIds: readonly number[]): Promise<void> {
    return this.#write(`remove ${clientId}/${packetIds}`, () => {
      for (const packetId of packetIds) this.held.delete(`${clientId}/${packetId}`);
    });
  }

  /** Waits for that many calls, and makes all durable. */
  async sync(calls: number): Promise<void> {
    await eventually(() => expect(this.calls).toHaveLength(calls), WITHIN);
    for (const write of this.#waiting.splice(0)) write();
  }

  #write(call: string, apply: () => void): Promise<void> {
    this.calls.push(call);
    return new Promise((resolve) => {
      this.#waiting.push(() => {
        apply();
        resolve();
      });
    });
  }
}

/** A server, and what the next one after a crash would find. */
async function start(packetIdStore: ManualStore = new ManualStore(), onPort = 0) {
  const gate = new ControlledAccept();
  const config = { listeners: [{ host: '127.0.0.1', port: onPort }] };
  const { server, port } = await startMqttServer({ accept: gate.accept, packetIdStore, config });
  return { gate, server, port, store: packetIdStore };
}

test('the identifier is stored after the message is safe and before PUBREC, and is off the disk before PUBCOMP', async () => {
  const { gate, port, store } = await start();
  const device = await RawMqttClient.open(port, PERSISTENT);
  device.publish(9, 'a', QOS2);
  const call = await gate.call(1);
  await device.settled();
  expect(store.calls).toEqual([]);
  call.safe();
  await eventually(() => expect(store.calls).toEqual(['add device-1/9']), WITHIN);
  await device.settled();
  expect(device.ids('pubrec')).toEqual([]);
  await store.sync(1);
  await device.waitFor('pubrec');

  device.send({ cmd: 'pubrel', messageId: 9 });
  device.send({ cmd: 'pubrel', messageId: 9 });
  await eventually(() => expect(store.calls).toHaveLength(2), WITHIN);
  await device.settled();
  expect(device.ids('pubcomp')).toEqual([]);
  await store.sync(2);
  await device.waitFor('pubcomp', 2);
  expect(store.calls).toEqual(['add device-1/9', 'remove device-1/9']);
  expect(store.held.size).toBe(0);
});

test('clean sessions, QoS 1 and QoS 0 write nothing', async () => {
  const { gate, port, store } = await start();
  const clean = await RawMqttClient.open(port, { clientId: 'clean' });
  const kept = await RawMqttClient.open(port, PERSISTENT);
  clean.publish(9, 'a', QOS2);
  await gate.call(1);
  kept.publish(0, 'b', { qos: 0 });
  kept.publish(9, 'b');
  await gate.call(3);
  for (const call of gate.calls) call.safe();
  await clean.waitFor('pubrec');
  clean.send({ cmd: 'pubrel', messageId: 9 });
  await clean.waitFor('pubcomp');
  await kept.waitFor('puback');
  expect(store.calls).toEqual([]);
});

test('after a restart a repeat gets PUBREC and is not accepted, another message with the identifier is', async () => {
  const first = await start();
  const before = await RawMqttClient.open(first.port, PERSISTENT);
  before.publish(9, 'a', QOS2);
  (await first.gate.call(1)).safe();
  await first.store.sync(1);
  await before.waitFor('pubrec');

  const { gate, port, store } = await start(first.store);
  const after = await RawMqttClient.open(port, PERSISTENT);
  after.publish(9, 'a', DUP);
  await after.waitFor('pubrec');
  expect(gate.calls).toEqual([]);
  // A device that lost its session state with its power begins to count anew.
  after.publish(9, 'b', QOS2);
  (await gate.call(1)).safe();
  await store.sync(2);
  await after.waitFor('pubrec', 2);
  expect(gate.topics).toEqual(['b']);
});

test('MQTT.js, which resends without DUP, gets on after a restart, and its message was accepted once', async () => {
  const first = await start();
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${first.port}`, {
    clientId: 'device-1',
    clean: false,
    reconnectPeriod: 20,
  });
  onTestFinished(() => client.endAsync(true));
  const published = client.publishAsync('a', 'x', QOS2);
  (await first.gate.call(1)).safe();
  await eventually(() => expect(first.store.calls).toHaveLength(1), WITHIN);
  const isGone = new Promise<void>((resolve) => client.once('close', () => resolve()));
  await first.server.close(); // it waits for the disk in vain: PUBREC is never sent
  await isGone;
  await first.store.sync(1);

  const second = await start(first.store, first.port);
  await second.store.sync(2);
  await published;
  const [added = '', removed] = second.store.calls;
  expect(removed).toBe(added.replace('add', 'remove'));
  expect(second.gate.calls).toEqual([]);
});

test('a message that reuses the identifier before PUBCOMP is accepted, and its own identifier stays', async () => {
  const { gate, port, store } = await start();
  const device = await RawMqttClient.open(port, PERSISTENT);
  device.publish(9, 'a', QOS2);
  (await gate.call(1)).safe();
  await store.sync(1);
  await device.waitFor('pubrec');
  device.send({ cmd: 'pubrel', messageId: 9 });
  await eventually(() => expect(store.calls).toHaveLength(2), WITHIN);
  device.publish(9, 'a', QOS2);
  (await gate.call(2)).safe();
  await store.sync(3);
  await device.waitFor('pubrec', 2);
  expect(store.held.size).toBe(1);
  device.publish(9, 'a', DUP);
  await device.waitFor('pubrec', 3);
  expect(gate.calls).toHaveLength(2);
});

test('[MQTT-3.1.2-6] CONNACK of a clean session waits until the identifiers of the old one are off the disk', async () => {
  const { gate, port, store } = await start();
  const before = await RawMqttClient.open(port, PERSISTENT);
  before.socket.write(Buffer.concat([publishBytes(1, 'a', QOS2), publishBytes(2, 'b', QOS2)]));
  (await gate.call(1)).safe();
  await store.sync(1);
  await before.waitFor('pubrec');
  const late = await gate.call(2);
  before.destroy();

  const clean = new RawMqttClient(port);
  clean.connect({ clean: true });
  await eventually(() => expect(store.calls).toHaveLength(2), WITHIN);
  late.safe(); // nobody's by now: it must not be stored after the session has ended
  const other = await RawMqttClient.open(port, { clientId: 'other' });
  await other.settled();
  expect(clean.received).toEqual([]);
  await store.sync(2);
  await clean.waitFor('connack');
  expect(store.calls).toEqual(['add device-1/1', 'remove device-1/1,2']);
  expect(store.held.size).toBe(0);
});

test('a PUBREC that waits for the disk leaves before the server has closed', async () => {
  const { gate, server, port, store } = await start();
  const device = await RawMqttClient.open(port, PERSISTENT);
  device.publish(9, 'a', QOS2);
  (await gate.call(1)).safe();
  await eventually(() => expect(store.calls).toHaveLength(1), WITHIN);
  const closing = server.close();
  await store.sync(1);
  await closing;
  await device.waitForClose();
  expect(device.ids('pubrec')).toEqual([9]);
});
