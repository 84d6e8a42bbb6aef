import { createServer, type Socket } from 'node:net';
import { Aedes } from 'aedes';
import { generate, type Packet, parser } from 'mqtt-packet';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { BenchProcess } from './bench-process.ts';
import { Load, loadCeiling } from './load.ts';

const ONE_CLIENT = { clients: 1, window: 4, payloadBytes: 20 } as const;
const STALL_MS = 400;

/** The port of a server that hands each connection to `serve`, until the test is over. */
async function listen(serve: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** A server that accepts all, and answers the nth PUBLISH (from 1) with what `answer` writes. */
function scripted(
  answer: (puback: (identifier: number) => void, identifier: number, nth: number) => void,
): Promise<number> {
  return listen((socket) => {
    let nth = 0;
    const puback = (messageId: number): void => {
      if (socket.writable) socket.write(generate({ cmd: 'puback', messageId }));
    };
    const packets = parser();
    packets.on('packet', (packet: Packet) => {
      if (packet.cmd === 'connect') {
        socket.write(generate({ cmd: 'connack', returnCode: 0, sessionPresent: false }));
      }
      if (packet.cmd !== 'publish') return;
      nth += 1;
      answer(puback, packet.messageId ?? 0, nth);
    });
    socket.on('data', (bytes) => packets.parse(bytes));
  });
}

async function nullServer(): Promise<number> {
  const server = BenchProcess.start('null-server.ts', {});
  onTestFinished(() => server.kill());
  return Number((await server.said('listening'))['port']);
}

test('all messages are acknowledged, spread evenly over the clients, beyond the 65,535 packet identifiers', async () => {
  const port = await nullServer();
  const result = await Load.run({
    port,
    clients: 2,
    window: 50,
    payloadBytes: 20,
    messages: 140_001,
  });
  expect(result).toMatchObject({ sent: 140_001, acknowledged: 140_001, outOfOrder: 0, notDue: 0 });
  expect(result.acknowledgedBy).toEqual({ c1: 70_001, c2: 70_000 });
  expect(result.sentBy).toEqual(result.acknowledgedBy);
  expect(result.cpuSeconds).toBeGreaterThan(0);
  expect(result.perSecond).toBeCloseTo(140_001 / result.seconds, 3);
  const tookMs = result.lastPubackAtMs - result.firstPublishAtMs;
  expect(tookMs).toBeCloseTo(result.seconds * 1000, 1);
});

test('the ceiling is far above what anything that is measured can do', async () => {
  expect(await loadCeiling({ clients: 20, window: 50, payloadBytes: 200 })).toBeGreaterThan(
    100_000,
  );
});

test('an MQTT server gets each counter once and in order, in payloads of the wanted size, on topics in turns', async () => {
  const aedes = await Aedes.createBroker();
  onTestFinished(() => new Promise<void>((resolve) => aedes.close(() => resolve())));
  const came: string[] = [];
  aedes.on('publish', ({ topic, payload }, client) => {
    if (client !== null) came.push(`${topic} ${payload}`);
  });
  const port = await listen((socket) => aedes.handle(socket));
  const result = await Load.run({
    ...ONE_CLIENT,
    port,
    payloadBytes: 18,
    clientPrefix: 'device-',
    messages: 11,
    topic: '{client}/{n}',
    topics: 2,
  });
  expect(result).toMatchObject({ acknowledged: 11, outOfOrder: 0, notDue: 0 });
  const texts = came.map((text) => text.split(' '));
  expect(texts.map(([topic, client, counter]) => `${topic} ${client} ${counter}`)).toEqual(
    Array.from({ length: 11 }, (_, at) => `device-1/${at % 2} device-1 ${at + 1}`),
  );
  expect(new Set(came.map((text) => text.slice('device-1/0 '.length).length))).toEqual(
    new Set([18]),
  );
  expect(new Set(texts.map(([, , , filler]) => filler)).size).toBe(11);
});

test('PUBACKs in another order than that of the PUBLISHes are counted', async () => {
  let held = 0;
  const port = await scripted((puback, identifier, nth) => {
    if (nth === 3) {
      held = identifier;
      return;
    }
    puback(identifier);
    if (nth === 4) puback(held);
  });
  const result = await Load.run({ ...ONE_CLIENT, port, messages: 10 });
  expect(result).toMatchObject({ acknowledged: 10, outOfOrder: 1, notDue: 0 });
});

test('a PUBACK that comes twice, and one of an identifier that was never sent, are counted and not taken for others', async () => {
  const port = await scripted((puback, identifier, nth) => {
    puback(identifier);
    if (nth === 2) puback(identifier);
    if (nth === 3) puback(60_000);
  });
  const result = await Load.run({ ...ONE_CLIENT, port, messages: 10 });
  expect(result).toMatchObject({ acknowledged: 10, outOfOrder: 0, notDue: 2 });
});

test('a server that stands still is charged for all messages that came due meanwhile', async () => {
  const held: (() => void)[] = [];
  let isStalled = true;
  const port = await scripted((puback, identifier, nth) => {
    if (nth === 1) {
      setTimeout(() => {
        isStalled = false;
        for (const release of held) release();
      }, STALL_MS);
    }
    if (isStalled) held.push(() => puback(identifier));
    else puback(identifier);
  });
  const result = await Load.run({
    ...ONE_CLIENT,
    window: 1,
    port,
    messages: 50,
    ratePerSecond: 100,
  });
  // One message waited all the time and 40 came due behind it; a loop that waits for PUBACKs sees the one.
  expect(result.pubackMs.max).toBeGreaterThan(STALL_MS * 0.9);
  expect(result.pubackMs.p50).toBeGreaterThan(STALL_MS * 0.25);
});

test('a load without an end stops on demand, with all acknowledged that was sent', async () => {
  const load = await Load.start({ ...ONE_CLIENT, port: await nullServer(), clients: 3 });
  load.go();
  await eventually(() => expect(load.acknowledged).toBeGreaterThan(100), { withinMs: 10_000 });
  const { sent, acknowledged } = await load.stop();
  expect(acknowledged).toBe(sent);
});

test('a CONNACK that refuses, and a connection that ends on the way, are errors that name the client', async () => {
  const refusing = await listen((socket) => {
    socket.write(generate({ cmd: 'connack', returnCode: 5, sessionPresent: false }));
  });
  await expect(Load.start({ ...ONE_CLIENT, port: refusing })).rejects.toThrow('c1: CONNACK 5');

  const ending = await listen((socket) => {
    socket.once('data', () => {
      socket.write(generate({ cmd: 'connack', returnCode: 0, sessionPresent: false }));
      socket.once('data', () => socket.end());
    });
  });
  const run = Load.run({ ...ONE_CLIENT, port: ending, messages: 4 });
  await expect(run).rejects.toThrow('c1: closed by the server');
});

test('a payload that has no room for the counter is refused', async () => {
  const port = await nullServer();
  await expect(Load.start({ ...ONE_CLIENT, port, payloadBytes: 5 })).rejects.toThrow(
    'payloads of c1 need',
  );
});
