import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect as connectAmqp } from 'amqplib';
import { connectAsync } from 'mqtt';
import { expect, onTestFinished, test } from 'vitest';
import { consumeAll } from '../helpers/consumer.ts';
import { eventually } from '../helpers/eventually.ts';
import { freePort } from '../helpers/free-port.ts';
import { type GatewayProcess, startGateway } from '../helpers/gateway-process.ts';
import { withoutRun } from '../helpers/message-id.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const PATIENCE = { withinMs: 10_000 };

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `tidegate parked …` to its end. */
function parked(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, 'parked', ...args], (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

interface Started {
  readonly gateway: GatewayProcess;
  readonly configFile: string;
  readonly exchange: string;
  readonly gapQueue: string;
}

/** A gateway that has parked three messages in lane `all`: no queue is bound to its exchange. */
async function startWithParked(): Promise<Started> {
  const id = process.hrtime.bigint();
  const [exchange, gapQueue] = [`parked-${id}`, `gaps-${id}`];
  const [mqttPort, adminPort, dir] = [await freePort(), await freePort(), await tempDir()];
  const config = {
    gateway: { id: 'site' },
    mqtt: { listeners: [{ host: '127.0.0.1', port: mqttPort }] },
    store: { path: await tempDir(), reserveBytes: 0 },
    amqp: { urls: [sharedAmqpUrl()] },
    mappings: [{ name: 'all', filter: '#', exchange: { name: exchange, type: 'topic' } }],
    gaps: {
      exchange: { name: gapQueue, type: 'topic' },
      queues: [{ name: gapQueue, type: 'classic' }],
    },
    admin: { port: adminPort },
  };
  const gateway = await startGateway({ config, dir });
  onTestFinished(() => gateway.kill());
  const device = await connectAsync(`mqtt://127.0.0.1:${mqttPort}`, { clientId: 'pump' });
  onTestFinished(() => device.endAsync(true));
  for (const payload of ['one', 'two\u001b[2J', Buffer.from([0xff, 0x00])]) {
    await device.publishAsync('devices/a/temperature', payload, { qos: 1 });
  }
  const configFile = join(dir, 'config.yaml');
  await eventually(async () => {
    const { out } = await parked('--config', configFile, '--json');
    expect(JSON.parse(out).lanes[0]).toEqual({ lane: 'all', parkedMessages: 3 });
  }, PATIENCE);
  return { gateway, configFile, exchange, gapQueue };
}

test('parked messages are listed and shown, and released when they can be routed', async () => {
  const { configFile, exchange } = await startWithParked();
  const counts = await parked('--config', configFile);
  expect(counts.out).toMatch(/^LANE +PARKED\nall +3\n/);

  const listed = await parked('list', '--lane', 'all', '--limit', '2', '--config', configFile);
  expect(listed.out).toMatch(
    /site\/all\/1-[0-9a-f]{16}\.1 +unroutable .* devices\/a\/temperature +NO_ROUTE/,
  );
  expect(listed.out).toContain('the oldest 2 of 3');
  const [, id = ''] = /^(site\/all\/1-[0-9a-f]{16}\.2) /m.exec(listed.out) ?? [];
  const shown = await parked('show', id, '--config', configFile);
  expect(shown.out).toContain('client id      pump\n');
  expect(shown.out).toContain('\n\ntwo\\x1b[2J\n');
  const binary = await parked('show', 'all/1.3', '--config', configFile, '--json');
  expect(JSON.parse(binary.out)).toMatchObject({ seq: 3, payloadBase64: '/wA=' });

  // Nothing is bound yet: what is released is refused and parked again, and the command still ends.
  expect(await parked('release', 'all', '--config', configFile)).toMatchObject({
    code: 0,
    err: '',
  });
  await eventually(async () => {
    const { out } = await parked('list', '--lane', 'all', '--json', '--config', configFile);
    expect(JSON.parse(out).messages).toMatchObject([
      { attempts: 2 },
      { attempts: 2 },
      { attempts: 2 },
    ]);
  }, PATIENCE);

  const received = await bindAndConsume(exchange);
  const released = await parked('release', 'all', '--max', '2', '--config', configFile);
  expect(released.out).toBe('released 2; 1 parked in lane all\n');
  await eventually(() => expect(received).toEqual(['site/all/1.1', 'site/all/1.2']), PATIENCE);
});

test('messages are discarded only with the name of the lane again, and named in the gap manifest', async () => {
  const { configFile, gapQueue } = await startWithParked();
  const wrong = await parked('discard', 'all', '--confirm', 'al', '--config', configFile);
  expect(wrong).toMatchObject({ code: 1, out: '' });
  expect(wrong.err).toContain('cannot be undone');
  const gaps: unknown[] = [];
  const consumer = consumeAll({
    url: sharedAmqpUrl(),
    queue: gapQueue,
    onMessage: (message) => gaps.push(JSON.parse(message.content.toString())),
  });
  onTestFinished(() => consumer.close());
  const done = await parked('discard', 'all', '--confirm', 'all', '--json', '--config', configFile);
  expect(JSON.parse(done.out)).toEqual({ lane: 'all', discarded: 3, parkedMessages: 0 });
  await eventually(() => {
    const text = JSON.stringify(gaps);
    expect(text).toContain('"reason":"discarded"');
    expect(text).toContain('"toSeq":3');
  }, PATIENCE);
});

test('what is not done is told on standard error, with 1, and wrong usage with 2', async () => {
  const url = `http://127.0.0.1:${await freePort()}`;
  const away = await parked('--url', url);
  expect(away).toMatchObject({ code: 1, out: '' });
  expect(away.err).toMatch(/No gateway is reached at http.*ECONNREFUSED.*--url/);

  const { configFile } = await startWithParked();
  const unknown = await parked('release', 'none', '--config', configFile);
  expect(unknown).toMatchObject({ code: 1, err: 'no lane is named none; see GET /api/parked\n' });
  const otherRun = await parked('show', `all/1-${'0'.repeat(16)}.1`, '--config', configFile);
  expect(otherRun).toMatchObject({ code: 1, err: expect.stringContaining('has no 1-0000') });
  const missing = await parked('show', 'all/1.9', '--config', configFile);
  expect(missing).toMatchObject({ code: 1, err: expect.stringContaining('has no 1.9') });

  for (const args of [
    ['show', '1.2'],
    ['show', 'all/1-77.2'],
    ['discard', 'all'],
    ['release'],
    ['lits'],
    ['--nope'],
  ]) {
    expect(await parked(...args), args.join(' ')).toMatchObject({ code: 2, out: '' });
  }
  const noFile = await parked('--config', '/nonexistent.yaml');
  expect(noFile).toMatchObject({ code: 2, err: expect.stringContaining('cannot be read') });
});

/** Binds a queue to the exchange; the message-ids that arrive there are added to the list. */
async function bindAndConsume(exchange: string): Promise<string[]> {
  const url = sharedAmqpUrl();
  const broker = await connectAmqp(url);
  onTestFinished(() => broker.close());
  const channel = await broker.createChannel();
  await channel.assertQueue(exchange, { durable: true });
  await channel.bindQueue(exchange, exchange, '#');
  const received: string[] = [];
  const consumer = consumeAll({
    url,
    queue: exchange,
    onMessage: (message) => received.push(withoutRun(message.properties.messageId)),
  });
  onTestFinished(() => consumer.close());
  return received;
}
