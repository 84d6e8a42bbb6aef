import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { Aedes } from 'aedes';
import { expect, onTestFinished, test, vi } from 'vitest';
import { Device } from './device.ts';
import type { QoS } from './outbox.ts';
import { fleetTally } from './tally.ts';

/** Enough for three windows and, with a cut at every 17th PUBLISH, for several reconnects. */
const MESSAGES = 60;
const CUT_EVERY = 17;
const LIMIT = { timeout: 10_000, interval: 10 };

interface Arrival {
  readonly topic: string;
  readonly counter: number;
  readonly qos: QoS;
}

interface TestServer {
  readonly port: number;
  readonly arrivals: Arrival[];
  readonly statuses: string[];
  cutAll(): void;
}

/** A real aedes that breaks the connection without a word at every `cutEvery`-th PUBLISH. */
async function startServer(cutEvery: number): Promise<TestServer> {
  const aedes = await Aedes.createBroker();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    aedes.handle(socket);
  });
  const cutAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  const arrivals: Arrival[] = [];
  const statuses: string[] = [];
  aedes.on('publish', ({ topic, payload, qos }) => {
    if (/^devices\/[^/]+\/status$/.test(topic)) statuses.push(String(payload));
    if (!topic.includes('/telemetry/')) return;
    arrivals.push({ topic, counter: JSON.parse(String(payload)).counter, qos });
    if (arrivals.length % cutEvery === 0) cutAll();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    cutAll();
    server.close();
    aedes.close();
  });
  return { port: (server.address() as AddressInfo).port, arrivals, statuses, cutAll };
}

function startDevice(port: number, qos: QoS, acknowledged: number[] = []): Device {
  const device = new Device({
    name: 'd1',
    host: '127.0.0.1',
    port,
    seed: 1,
    qos: { telemetry: qos, alarm: qos },
    backoff: { firstMs: 10, maxMs: 50 },
    onAcknowledged: (_, counter) => acknowledged.push(counter),
  });
  onTestFinished(() => device.stop());
  device.start();
  return device;
}

const allCounters = Array.from({ length: MESSAGES }, (_, index) => index + 1);

test('at QoS 1 all counters arrive over cut connections, first arrivals in order', async () => {
  const server = await startServer(CUT_EVERY);
  const acknowledged: number[] = [];
  const device = startDevice(server.port, 1, acknowledged);
  for (const _ of allCounters) device.measure();

  await vi.waitFor(() => expect(device.held).toBe(0), LIMIT);
  const arrived = server.arrivals.map(({ counter }) => counter);
  expect([...new Set(arrived)]).toEqual(allCounters);
  expect(device.tally.resent).toBeGreaterThan(0);
  expect(device.tally.connections).toBeGreaterThan(2);
  expect(acknowledged.toSorted((a, b) => a - b)).toEqual(allCounters);
  expect(fleetTally([device.tally])).toMatchObject({ sent: MESSAGES, unacknowledged: 0 });
});

test('at QoS 2 each counter arrives exactly once and in order over cut connections', async () => {
  const server = await startServer(CUT_EVERY);
  const device = startDevice(server.port, 2);
  for (const _ of allCounters) device.measure();

  await vi.waitFor(() => expect(device.held).toBe(0), LIMIT);
  expect(server.arrivals.map(({ counter }) => counter)).toEqual(allCounters);
  expect(device.tally.connections).toBeGreaterThan(2);
  expect(device.tally.acknowledged).toBe(MESSAGES);
});

test('at QoS 0 all is sent and nothing waits for an acknowledgement', async () => {
  const server = await startServer(Number.POSITIVE_INFINITY);
  const device = startDevice(server.port, 0);
  for (const _ of allCounters) device.measure();

  await vi.waitFor(() => expect(server.arrivals).toHaveLength(MESSAGES), LIMIT);
  expect(device.held).toBe(0);
  expect(fleetTally([device.tally])).toMatchObject({ sentAtQos0: MESSAGES, unacknowledged: 0 });
});

test('what a device measures before it can connect is kept and sent later', async () => {
  const server = await startServer(Number.POSITIVE_INFINITY);
  const device = startDevice(server.port, 1);
  device.loseRadio(100);
  for (const _ of allCounters) device.measure();
  expect(device.held).toBe(MESSAGES);

  await vi.waitFor(() => expect(device.held).toBe(0), LIMIT);
  expect(server.arrivals.map(({ counter }) => counter)).toEqual(allCounters);
});

test('a reboot keeps the memory and takes no readings meanwhile', async () => {
  const server = await startServer(Number.POSITIVE_INFINITY);
  const device = startDevice(server.port, 1);
  await vi.waitFor(() => expect(device.online).toBe(true), LIMIT);
  device.measure();
  device.reboot(50);
  device.measure();
  expect(device.tally).toMatchObject({ measured: 1, reboots: 1 });

  await vi.waitFor(() => expect(device.held).toBe(0), LIMIT);
  expect(new Set(server.arrivals.map(({ counter }) => counter))).toEqual(new Set([1]));
});

test('[MQTT-3.1.2-8] the server says offline when the device is lost, the device says online', async () => {
  const server = await startServer(Number.POSITIVE_INFINITY);
  const device = startDevice(server.port, 1);
  await vi.waitFor(() => expect(server.statuses).toEqual(['online']), LIMIT);
  server.cutAll();
  await vi.waitFor(() => expect(server.statuses).toEqual(['online', 'offline', 'online']), LIMIT);
  await device.stop();
  expect(server.statuses).toHaveLength(4);
  expect(server.statuses.at(-1)).toBe('offline');
});
