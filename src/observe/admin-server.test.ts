import { EventEmitter, once } from 'node:events';
import { connect, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { type AdminRoute, createAdminRoutes, json } from './admin-routes.ts';
import { AdminServer, type AdminServerOptions } from './admin-server.ts';
import { assessHealth, type HealthFacts } from './health.ts';
import type { LogFields } from './log.ts';
import type { SnapshotSources } from './sources.ts';

const FACTS = {
  listening: true,
  storeWritable: true,
  storeOrigin: 'same' as const,
  brokerConnected: true,
  brokerBlocked: false,
  idTaken: false,
  lanes: [],
  clock: 'synced',
} as const;
const SOURCES: SnapshotSources = {
  lanes: () => [],
  store: () => ({
    writable: true,
    appendsTotal: 5,
    batchesTotal: 1,
    bytesWrittenTotal: 0,
    writeErrorsTotal: 0,
    reopensTotal: 0,
    origin: 'same',
    sizeBytes: 0,
  }),
  amqp: () => ({ connected: true, blocked: false, reconnectsTotal: 0, idTaken: false }),
  mqtt: () => ({ connections: 2 }),
  ingest: () => ({ unmatchedTotal: 0, refusedTotal: {}, pendingBytes: 0 }),
  log: () => ({ droppedTotal: 0 }),
  config: () => ({ reloadsTotal: 0, reloadFailuresTotal: 0, reloadFailed: false, restartKeys: [] }),
  clock: () => ({ quality: 'synced', stepsTotal: 0 }),
};
const EXTRA: [string, AdminRoute][] = [
  ['/throws', { GET: () => Promise.reject(new Error('broken handler')) }],
  ['/bad-header', { GET: () => ({ ...json(200, {}), headers: { 'x-bad': 'a\nb' } }) }],
  [
    '/echo',
    { POST: (request) => json(200, { got: request.body.toString(), q: request.query.get('q') }) },
  ],
];

interface Started {
  readonly url: string;
  readonly port: number;
  readonly server: AdminServer;
  readonly logged: LogFields[];
}

async function startServer(
  facts: Partial<HealthFacts> = {},
  options: Partial<AdminServerOptions> = {},
): Promise<Started> {
  const logged: LogFields[] = [];
  const routes = createAdminRoutes({
    version: '1.2.3',
    sources: SOURCES,
    metrics: { contentType: 'text/plain; version=0.0.4', text: async () => 'up 1\n' },
    health: () => assessHealth({ ...FACTS, ...facts }),
    uptimeMs: () => 61_500,
  });
  const log = { warn: () => {}, error: (fields: LogFields) => void logged.push(fields) };
  const all = new Map([...routes, ...EXTRA]);
  const server = new AdminServer({ host: '127.0.0.1', port: 0, routes: all, log, ...options });
  await server.start();
  onTestFinished(() => server.close());
  const { port } = server.address();
  return { url: `http://127.0.0.1:${port}`, port, server, logged };
}

/** Sends bytes as they are and gives all that comes back until the server closes. */
async function sendRaw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString();
  });
  socket.write(bytes);
  await once(socket, 'close');
  return text;
}

test('a gateway without a broker is live and ready, and says that it is degraded', async () => {
  const { url } = await startServer({ brokerConnected: false });
  const ready = await fetch(`${url}/readyz`);
  expect(ready.status).toBe(200);
  expect(await ready.json()).toEqual({ status: 'degraded' });
  expect((await fetch(`${url}/livez`)).status).toBe(200);
});

test('a gateway whose store fails is live, not ready, and tells why when asked', async () => {
  const { url } = await startServer({ storeWritable: false });
  expect((await fetch(`${url}/livez`)).status).toBe(200);
  const ready = await fetch(`${url}/readyz?verbose`);
  expect(ready.status).toBe(503);
  expect(await ready.json()).toMatchObject({
    status: 'unready',
    checks: { store: { status: 'failed' }, mqtt: { status: 'ok' } },
  });
});

test('metrics come with the content type of Prometheus', async () => {
  const { url } = await startServer();
  const response = await fetch(`${url}/metrics`);
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4');
  expect(await response.text()).toBe('up 1\n');
});

test('the status holds version, uptime, health and all snapshots', async () => {
  const { url } = await startServer();
  const response = await fetch(`${url}/api/status`);
  expect(response.headers.get('connection')).toBe('keep-alive');
  expect(await response.json()).toMatchObject({
    version: '1.2.3',
    uptimeSeconds: 61,
    health: { ready: true, status: 'ok' },
    lanes: [],
    store: { appendsTotal: 5 },
    amqp: { connected: true },
    mqtt: { connections: 2 },
  });
});

test('an unknown path is 404, another method 405 with Allow, HEAD is GET without a body', async () => {
  const { url } = await startServer();
  const missing = await fetch(`${url}/nothing`);
  expect(missing.status).toBe(404);
  expect(await missing.json()).toEqual({ error: 'There is nothing at /nothing.' });
  const refused = await fetch(`${url}/metrics`, { method: 'DELETE' });
  expect(refused.status).toBe(405);
  expect(refused.headers.get('allow')).toBe('GET, HEAD');
  const head = await fetch(`${url}/metrics`, { method: 'HEAD' });
  expect(head.status).toBe(200);
  expect(head.headers.get('content-length')).toBe('5');
});

test('a POST route gets body and query, and a body too large is 413', async () => {
  const { url } = await startServer();
  const echo = await fetch(`${url}/echo?q=1`, { method: 'POST', body: 'hello' });
  expect(await echo.json()).toEqual({ got: 'hello', q: '1' });
  const large = await fetch(`${url}/echo`, { method: 'POST', body: 'x'.repeat(64 * 1024 + 1) });
  expect(large.status).toBe(413);
  expect((await fetch(`${url}/echo`)).status).toBe(405);
});

test('a handler that fails answers 500, is logged, and the server goes on', async () => {
  const { url, logged } = await startServer();
  expect((await fetch(`${url}/throws`)).status).toBe(500);
  expect((await fetch(`${url}/bad-header`)).status).toBe(500);
  expect(logged).toMatchObject([{ event: 'admin-request-failed', path: '/throws' }, {}]);
  expect((await fetch(`${url}/livez`)).status).toBe(200);
});

test('garbage and unheard-of targets are refused without harm', async () => {
  const { url, port } = await startServer();
  expect(await sendRaw(port, 'no http at all\r\n\r\n')).toContain('400');
  const target = await sendRaw(
    port,
    'GET http://[ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  );
  expect(target).toContain('400');
  expect(await sendRaw(port, `GET /${'x'.repeat(9_000)} HTTP/1.1\r\n\r\n`)).toContain('431');
  expect((await fetch(`${url}/livez`)).status).toBe(200);
});

test('a peer that does not finish its request is cut off', async () => {
  const { port } = await startServer({}, { timeouts: { headersMs: 100, requestMs: 200 } });
  expect(await sendRaw(port, 'GET /livez HTTP/1.1\r\nHost:')).toContain('408');
  const body = 'POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc';
  expect(await sendRaw(port, body)).toContain('408');
});

test('connections beyond the limit are closed at once', async () => {
  const { port } = await startServer({}, { maxConnections: 1 });
  const first = connect(port, '127.0.0.1');
  onTestFinished(() => void first.destroy());
  await once(first, 'connect');
  expect(await sendRaw(port, 'GET /livez HTTP/1.1\r\nHost: a\r\n\r\n')).toBe('');
});

test('close ends also with a request that is never answered', async () => {
  const handlers = new EventEmitter();
  const never: AdminRoute = {
    GET: () => {
      handlers.emit('entered');
      return new Promise(() => {});
    },
  };
  const entered = once(handlers, 'entered');
  const routes = new Map([['/never', never]]);
  const { url, server } = await startServer({}, { routes, timeouts: { closeMs: 50 } });
  const pending = fetch(`${url}/never`).catch(() => 'cut');
  await entered;
  await server.close();
  expect(await pending).toBe('cut');
  await server.close();
  expect(() => server.address()).toThrow('not started');
});

test('a port in use is LISTENER_FAILED with one sentence that says what to do', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void other.close());
  await once(other, 'listening');
  const address = other.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  await expect(startServer({}, { port })).rejects.toMatchObject({
    code: 'LISTENER_FAILED',
    message: `The admin listener cannot use 127.0.0.1:${port} because another process has that port: stop it, or set another port (section \`admin\` of the config).`,
  });
});
