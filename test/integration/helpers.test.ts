import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net';
import { connect } from 'amqplib';
import { expect, onTestFinished, test } from 'vitest';
import { consumeAll } from '../helpers/consumer.ts';
import { eventually } from '../helpers/eventually.ts';
import { DeliveryLedger, format } from '../helpers/ledger.ts';
import { startRabbitNode } from '../helpers/rabbitmq-node.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { startTcpProxy, type TcpProxy } from '../helpers/tcp-proxy.ts';

const LIMIT = { withinMs: 5_000 };

function deliver(ledger: DeliveryLedger, counter: number, messageId = `m${counter}`): void {
  ledger.delivered({ id: `d/${counter}`, messageId, deviceKey: 'd', counter });
}

function ledgerOf(count: number): DeliveryLedger {
  const ledger = new DeliveryLedger();
  for (let counter = 1; counter <= count; counter++) {
    ledger.attempted(`d/${counter}`);
    ledger.acknowledged(`d/${counter}`);
  }
  return ledger;
}

test('the ledger finds nothing wrong where each message came once and in order', () => {
  const ledger = ledgerOf(3);
  ledger.attempted('d/4');
  for (const counter of [1, 2, 3]) deliver(ledger, counter);
  expect(format(ledger.verdict())).toBe(
    'attempted 4, acknowledged 3, delivered 3, lost 0, unexpected 0, redelivered 0, resent 0, reordered 0, confused 0',
  );
});

test('the ledger names an acknowledged message that never came', () => {
  const ledger = ledgerOf(3);
  for (const counter of [1, 3]) deliver(ledger, counter);
  expect(ledger.verdict()).toMatchObject({ lost: 1, reordered: 0 });
  expect(ledger.lostIds()).toEqual(['d/2']);
});

test('the ledger counts a message behind a later one of its device, and only its first arrival', () => {
  const ledger = ledgerOf(3);
  for (const counter of [1, 3, 2, 1]) deliver(ledger, counter);
  ledger.attempted('e/1');
  ledger.delivered({ id: 'e/1', messageId: 'm9', deviceKey: 'e', counter: 1 });
  expect(ledger.verdict()).toMatchObject({ lost: 0, reordered: 1, redelivered: 1 });
});

test('the ledger tells a redelivery from what a device sent again, and from a message-id used twice', () => {
  const ledger = ledgerOf(2);
  deliver(ledger, 1, 'a');
  deliver(ledger, 1, 'a');
  deliver(ledger, 1, 'b');
  expect(ledger.verdict()).toMatchObject({ redelivered: 1, resent: 1, confused: 0 });
  deliver(ledger, 2, 'a');
  expect(ledger.verdict()).toMatchObject({ redelivered: 1, resent: 1, confused: 1 });
});

test('the ledger counts a delivery that nobody sent', () => {
  const ledger = ledgerOf(0);
  deliver(ledger, 7);
  expect(ledger.verdict()).toMatchObject({ unexpected: 1 });
});

test('eventually gives up with the last failure', async () => {
  let tries = 0;
  const attempt = eventually(
    () => {
      tries++;
      throw new Error(`failure ${tries}`);
    },
    { withinMs: 60, everyMs: 10 },
  );
  await expect(attempt).rejects.toThrow(/after 60 ms and \d+ tries: failure \d+/);
  expect(tries).toBeGreaterThan(1);
});

/** A server that sends back what it gets, with a proxy before it. */
async function proxiedEcho(): Promise<TcpProxy> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const proxy = await startTcpProxy({ targetPort: port });
  onTestFinished(async () => {
    await proxy.close();
    server.close();
  });
  return proxy;
}

interface Client {
  readonly socket: Socket;
  received(): string;
  error(): string | undefined;
}

async function dial(proxy: TcpProxy): Promise<Client> {
  const socket = connectTcp({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
  let text = '';
  let code: string | undefined;
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1');
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    code = error.code;
  });
  onTestFinished(() => {
    socket.destroy();
  });
  await once(socket, 'connect');
  return { socket, received: () => text, error: () => code };
}

test('the proxy passes bytes and the end on, both ways', async () => {
  const client = await dial(await proxiedEcho());
  client.socket.end('hello');
  await once(client.socket, 'end');
  expect(client.received()).toBe('hello');
});

test('a cut resets what is open and refuses what comes, until it is restored on the same port', async () => {
  const proxy = await proxiedEcho();
  const client = await dial(proxy);
  await proxy.cut();
  await eventually(() => expect(client.error()).toBe('ECONNRESET'), LIMIT);
  await expect(dial(proxy)).rejects.toThrow('ECONNREFUSED');
  await proxy.restore();
  const again = await dial(proxy);
  again.socket.write('back');
  await eventually(() => expect(again.received()).toBe('back'), LIMIT);
  expect(proxy).toMatchObject({ accepted: 2, open: 1 });
});

test('resetAll resets what is open and goes on accepting', async () => {
  const proxy = await proxiedEcho();
  const client = await dial(proxy);
  proxy.resetAll();
  await eventually(() => expect(client.error()).toBe('ECONNRESET'), LIMIT);
  await dial(proxy);
});

test('a stalled proxy accepts and is silent, and holds all in order until it flows', async () => {
  const proxy = await proxiedEcho();
  const before = await dial(proxy);
  proxy.stall();
  const during = await dial(proxy);
  const large = 'x'.repeat(30_000_000);
  before.socket.write('1');
  before.socket.write(large);
  during.socket.end('2');
  // The sender feels it: what the proxy and the kernel hold is bounded.
  await eventually(() => expect(before.socket.writableLength).toBeGreaterThan(0), LIMIT);
  expect(before.received() + during.received()).toBe('');
  expect(before.error() ?? during.error()).toBeUndefined();
  proxy.flow();
  await eventually(() => expect(before.received() === `1${large}`).toBe(true), LIMIT);
  await eventually(() => expect(during.received()).toBe('2'), LIMIT);
});

test('latency holds bytes back for so long and keeps their order when it changes', async () => {
  const proxy = await proxiedEcho();
  const client = await dial(proxy);
  proxy.latency(100);
  const startedMs = performance.now();
  client.socket.write('slow ');
  await eventually(() => expect(proxy.heldBytes).toBe(5), LIMIT);
  proxy.latency(0);
  client.socket.write('fast');
  await eventually(() => expect(client.received()).toBe('slow fast'), LIMIT);
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(99);
});

test('throttle bounds the rate until it is lifted', async () => {
  const proxy = await proxiedEcho();
  const client = await dial(proxy);
  proxy.throttle(100_000);
  const startedMs = performance.now();
  client.socket.write('x'.repeat(30_000));
  await eventually(() => expect(client.received().length).toBe(30_000), LIMIT);
  const tookMs = performance.now() - startedMs;
  expect(tookMs).toBeGreaterThan(240);
  expect(tookMs).toBeLessThan(2_000);
  proxy.throttle(undefined);
  client.socket.write('x'.repeat(3_000_000));
  await eventually(() => expect(client.received().length).toBe(3_030_000), LIMIT);
});

test('a consumer waits for its queue and gets all that is published to it', async () => {
  const queue = `helpers-${randomUUID()}`;
  const got: string[] = [];
  const consumer = consumeAll({
    url: sharedAmqpUrl(),
    queue,
    onMessage: (message) => got.push(message.content.toString()),
  });
  onTestFinished(() => consumer.close());
  const connection = await connect(sharedAmqpUrl());
  onTestFinished(() => connection.close());
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue(queue, { expires: 60_000 });
  for (const text of ['a', 'b', 'c']) channel.sendToQueue(queue, Buffer.from(text));
  await channel.waitForConfirms();
  await eventually(() => expect(got).toEqual(['a', 'b', 'c']), LIMIT);
  expect(consumer.received).toBe(3);
});

test('a private node keeps its durable messages over SIGKILL and comes back on its port', async () => {
  const node = await startRabbitNode();
  onTestFinished(() => node.stop());
  const got: string[] = [];
  const onMessage = (message: { content: Buffer }): unknown => got.push(message.content.toString());
  const connection = await connect(node.url);
  connection.on('error', () => {});
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => {});
  await channel.assertQueue('kept', { arguments: { 'x-queue-type': 'quorum' } });
  channel.sendToQueue('kept', Buffer.from('safe'), { persistent: true });
  await channel.waitForConfirms();
  await node.queueRegistered('kept');
  const { port, pid } = node;
  await node.kill();
  expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  await node.start();
  expect(node.port).toBe(port);
  expect(await node.ctl('list_queues', 'name', 'type')).toContain('kept\tquorum');
  const consumer = consumeAll({ url: node.url, queue: 'kept', onMessage });
  onTestFinished(() => consumer.close());
  await eventually(() => expect(got).toEqual(['safe']), { withinMs: 20_000 });
});

test('a frozen node keeps connections open and silent until it is thawed', async () => {
  const node = await startRabbitNode();
  onTestFinished(() => node.stop());
  const consumer = consumeAll({ url: node.url, queue: 'missing', onMessage: () => {} });
  node.freeze();
  await consumer.close();
  let answered = false;
  const connecting = connect(node.url).then((connection) => {
    answered = true;
    return connection.close();
  });
  const probe = connectTcp(node.port, '127.0.0.1');
  await once(probe, 'connect');
  probe.destroy();
  expect(answered).toBe(false);
  node.thaw();
  await connecting;
  expect(answered).toBe(true);
});
