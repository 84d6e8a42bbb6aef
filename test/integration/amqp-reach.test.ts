import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { startConnection, startLane } from '../helpers/amqp-test-lane.ts';
import { eventually } from '../helpers/eventually.ts';
import { freePort } from '../helpers/free-port.ts';
import { laneMessage } from '../helpers/publisher-recorder.ts';
import { type RabbitNode, startRabbitNode } from '../helpers/rabbitmq-node.ts';
import { startTcpProxy, type TcpProxy } from '../helpers/tcp-proxy.ts';

const PATIENCE = { withinMs: 30_000 };
let node: RabbitNode;

beforeAll(async () => {
  node = await startRabbitNode();
});

afterAll(() => node?.stop());

async function uplink(): Promise<TcpProxy> {
  const proxy = await startTcpProxy({ targetPort: node.port });
  onTestFinished(() => proxy.close());
  return proxy;
}

function urlOf({ port }: { readonly port: number }): string {
  return `amqp://guest:guest@127.0.0.1:${port}`;
}

function shownUrlOf({ port }: { readonly port: number }): string {
  return `amqp://guest@127.0.0.1:${port}`;
}

test('with the preferred broker away the next one is taken, and left when the preferred is back', async () => {
  const [preferred, second] = [await uplink(), await uplink()];
  const { connection } = startConnection({
    urls: [urlOf(preferred), urlOf(second)],
    failbackAfterMs: 200,
  });
  const { publisher, recorder } = startLane(connection);
  await recorder.told('open');
  expect(connection.state().url).toBe(shownUrlOf(preferred));

  await preferred.cut();
  await recorder.told('open', 'closed', 'open');
  expect(connection.state()).toMatchObject({ connected: true, url: shownUrlOf(second) });
  // A probe that fails disturbs nobody.
  await eventually(() => expect(connection.state().lastError).toMatch(/refused/), PATIENCE);
  recorder.publish(publisher, laneMessage(1, 'routed'));
  expect(await recorder.answered(1)).toEqual({ kind: 'confirmed' });

  await preferred.restore();
  await recorder.told('open', 'closed', 'open', 'closed', 'open');
  expect(recorder.closed.at(-1)?.text).toMatch(/moved back/);
  expect(connection.state()).toMatchObject({ connected: true, url: shownUrlOf(preferred) });
  await eventually(() => expect(second.open).toBe(0), PATIENCE);
});

test('a recycled connection moves on to the next URL', async () => {
  const [preferred, second] = [await uplink(), await uplink()];
  const { connection } = startConnection({ urls: [urlOf(preferred), urlOf(second)] });
  const { publisher, recorder } = startLane(connection);
  await recorder.told('open');
  publisher.recycle('connection', 'no confirm for 30 s');
  await recorder.told('open', 'closed', 'open');
  expect(connection.state()).toMatchObject({ url: shownUrlOf(second), reconnects: 1 });
  await eventually(() => expect(preferred.open).toBe(0), PATIENCE);
});

test('a path that goes silent is found by heartbeat, and the next URL taken', async () => {
  const [preferred, second] = [await uplink(), await uplink()];
  const urls = [urlOf(preferred), urlOf(second)];
  const { connection } = startConnection({ urls, heartbeatMs: 1000 });
  const { recorder } = startLane(connection);
  await recorder.told('open');
  preferred.stall();
  await recorder.told('open', 'closed', 'open');
  expect(connection.state().url).toBe(shownUrlOf(second));
});

test('a broker that says nothing is given up after the time limit, and stopping does not wait for it', async () => {
  const silent = await uplink();
  silent.stall();
  const { connection } = startConnection({ urls: [urlOf(silent)], connectTimeoutMs: 100 });
  await eventually(() => expect(connection.state().lastError).toMatch(/within 100 ms/), PATIENCE);
  await connection.stop();

  const slow = startConnection({ urls: [urlOf(silent)], connectTimeoutMs: 60_000 });
  const acceptedBefore = silent.accepted;
  await eventually(() => expect(silent.accepted).toBe(acceptedBefore + 1), PATIENCE);
  const sinceMs = performance.now();
  await slow.connection.stop();
  expect(performance.now() - sinceMs).toBeLessThan(1000);
  expect(slow.troubles).toEqual([]);
});

test.each([
  ['amqp://nobody.invalid', /host name/],
  ['amqp://127.0.0.1:1', /connection refused/],
])('%s is told as unreachable in words', async (url, words) => {
  const { connection, troubles } = startConnection({ urls: [url] });
  await eventually(() => expect(connection.state().lastError).toMatch(words), PATIENCE);
  expect(troubles[0]).toMatchObject({ code: 'AMQP_UNREACHABLE' });
});

test('amqps checks the certificate of the broker, says what is wrong, and works with the right one', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'tidegate-tls-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const [keyFile, certFile] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  const output = ['-keyout', keyFile, '-out', certFile];
  const kind = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1'];
  execFileSync('openssl', [...kind, ...output, ...subject], { stdio: 'ignore' });
  const [key, cert] = [readFileSync(keyFile), readFileSync(certFile)];
  const server = createTlsServer({ key, cert }, (client) => {
    const broker = connectTcp(node.port, '127.0.0.1');
    client.pipe(broker).pipe(client);
    for (const socket of [client, broker]) socket.on('error', () => broker.destroy());
  });
  const port = await freePort();
  server.listen(port);
  onTestFinished(() => {
    server.close();
  });
  const urls = [`amqps://guest:guest@localhost:${port}`];

  const distrustful = startConnection({ urls });
  await eventually(() => {
    expect(distrustful.connection.state().lastError).toMatch(/TLS failed: self-signed certificate/);
  }, PATIENCE);
  const { connection } = startConnection({ urls, tls: () => ({ ca: cert }) });
  const { publisher, recorder } = startLane(connection);
  await recorder.told('open');
  recorder.publish(publisher, laneMessage(1, 'routed'));
  expect(await recorder.answered(1)).toEqual({ kind: 'confirmed' });
  await connection.stop();
});
