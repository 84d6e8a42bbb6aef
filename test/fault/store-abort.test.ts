import { access, open, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { expect, onTestFinished, test } from 'vitest';
import type { StoreFinding } from '../../src/store/finding.ts';
import type { LevelStore } from '../../src/store/level-store.ts';
import { append } from '../helpers/append.ts';
import { freePort } from '../helpers/free-port.ts';
import { type GatewayOptions, startGateway } from '../helpers/gateway-process.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { contradict } from './contradictory-manifest.ts';
import { numbered, openStore } from './damage-site.ts';

const LANE = 'telemetry';
const RUNS = 4;
const APPENDS_EACH_RUN = 200;

/** A store with a table of each run but the last, closed. Resolves with the payloads in it. */
async function buildStore(path: string, runs: number = RUNS): Promise<string[]> {
  const payloads: string[] = [];
  for (let run = 1; run <= runs; run += 1) {
    const store = await openStore(path);
    const log = await store.lane(LANE);
    const messages = Array.from({ length: APPENDS_EACH_RUN }, (_, nth) =>
      numbered(LANE, store.epoch, nth + 1),
    );
    await Promise.all(messages.map((message) => append(log, message)));
    payloads.push(...messages.map(({ payload }) => payload.toString()));
    await store.close();
  }
  return payloads;
}

/** Makes one table of all there is, whose blocks are not compressed. */
async function compactAll(location: string): Promise<void> {
  const db = new ClassicLevel<Buffer, Buffer>(location, {
    keyEncoding: 'buffer',
    compression: false,
  });
  await db.open();
  await db.compactRange(Buffer.from([0]), Buffer.from([0xff]));
  await db.close();
}

/** Makes a key of the table shorter than any can be, which LevelDB asserts and does not check. */
async function shortenKey(location: string): Promise<void> {
  const [table, ...others] = (await readdir(location)).filter((name) => name.endsWith('.ldb'));
  if (table === undefined || others.length > 0) throw new Error('there is not one table');
  const file = await open(join(location, table), 'r+');
  await file.write(Buffer.from([3]), 0, 1, 1); // an entry: shared bytes, bytes of the key, of the value
  await file.close();
}

/** The gateway as a service manager runs it: started again when it has died. Resolves with the deaths, too. */
async function startAtLast(options: GatewayOptions) {
  for (let deaths = 0; ; deaths += 1) {
    try {
      return { gateway: await startGateway(options), deaths };
    } catch (error) {
      if (!String(error).includes('SIGABRT') || deaths === 3) throw error;
    }
  }
}

async function payloadsIn(store: LevelStore): Promise<string[]> {
  const log = await store.lane(LANE);
  const payloads: string[] = [];
  for (let offset = log.lowWaterMark; offset < log.endOffset; ) {
    const chunk = await log.read(offset, 100);
    expect(chunk.lost).toEqual([]);
    payloads.push(...chunk.messages.map(({ message }) => message.payload.toString()));
    offset = chunk.nextOffset;
  }
  return payloads;
}

function isMarked(path: string): Promise<boolean> {
  return access(join(path, 'opening')).then(
    () => true,
    () => false,
  );
}

test('files that end the process which opens them end it once, and cost no message', async () => {
  const dir = await tempDir('abort');
  const path = join(dir, 'store');
  const payloads = await buildStore(path);
  await contradict(join(path, 'db'));
  const unreachable = `amqp://127.0.0.1:${await freePort()}`;
  const config = {
    store: { path, reserveBytes: 0, ballastBytes: 0 },
    amqp: { urls: [unreachable] },
    mqtt: { listeners: [{ host: '127.0.0.1', port: await freePort() }] },
    admin: { enabled: false },
  };
  await expect(startGateway({ config, dir })).rejects.toThrow('SIGABRT');
  expect(await isMarked(path)).toBe(true);
  const gateway = await startGateway({ config, dir });
  onTestFinished(() => gateway.kill());
  expect(gateway.logs().filter(({ event }) => event === 'store-repaired')).toHaveLength(1);
  expect(await gateway.stop()).toBe(0);
  expect(await isMarked(path)).toBe(false);
  const findings: StoreFinding[] = [];
  const store = await openStore(path, findings);
  onTestFinished(() => store.close());
  expect(await payloadsIn(store)).toEqual(payloads);
  expect(findings).toEqual([]);
});

test('a kill while the store was opened costs nothing', async () => {
  const path = join(await tempDir('abort'), 'store');
  const payloads = await buildStore(path);
  await writeFile(join(path, 'opening'), '');
  const findings: StoreFinding[] = [];
  const store = await openStore(path, findings);
  onTestFinished(() => store.close());
  expect(await payloadsIn(store)).toEqual(payloads);
  expect(findings).toEqual([]);
});

test('after two starts that came to no good end the third reads all of the store elsewhere, and loses nothing', async () => {
  const path = join(await tempDir('abort'), 'store');
  const payloads = await buildStore(path);
  await writeFile(join(path, 'opening'), '2');
  const findings: StoreFinding[] = [];
  const store = await openStore(path, findings);
  expect(await payloadsIn(store)).toEqual(payloads);
  expect(findings).toEqual([]);
  expect(await readFile(join(path, 'opening'), 'utf8')).toBe('3');
  await store.close();
  expect(await isMarked(path)).toBe(false);
});

test('a table that ends whoever reads it costs what it holds, and nothing else', async () => {
  const dir = await tempDir('abort');
  const path = join(dir, 'store');
  const inTable = await buildStore(path);
  await compactAll(join(path, 'db'));
  const inLog = await buildStore(path, 1);
  await shortenKey(join(path, 'db'));
  const config = {
    store: { path, reserveBytes: 0, ballastBytes: 0 },
    amqp: { urls: [`amqp://127.0.0.1:${await freePort()}`] },
    mqtt: { listeners: [{ host: '127.0.0.1', port: await freePort() }] },
    admin: { enabled: false },
  };
  const { gateway, deaths } = await startAtLast({ config, dir });
  onTestFinished(() => gateway.kill());
  expect(deaths).toBeGreaterThan(0);
  expect(gateway.logs().filter(({ event }) => event === 'store-repaired')).toHaveLength(1);
  expect(await gateway.stop()).toBe(0);

  const store = await openStore(path);
  onTestFinished(() => store.close());
  const log = await store.lane(LANE);
  const payloads: string[] = [];
  let lost = 0;
  for (let offset = log.lowWaterMark; offset < log.endOffset; ) {
    const chunk = await log.read(offset, 100);
    payloads.push(...chunk.messages.map(({ message }) => message.payload.toString()));
    lost += chunk.lost.reduce((sum, { count }) => sum + count, 0);
    offset = chunk.nextOffset;
  }
  expect(payloads).toEqual(inLog);
  expect(lost).toBe(inTable.length);
});
