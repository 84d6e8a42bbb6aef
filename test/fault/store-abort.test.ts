import { access, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { StoreFinding } from '../../src/store/finding.ts';
import type { LevelStore } from '../../src/store/level-store.ts';
import { freePort } from '../helpers/free-port.ts';
import { startGateway } from '../helpers/gateway-process.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { contradict } from './contradictory-manifest.ts';
import { numbered, openStore } from './damage-site.ts';

const LANE = 'telemetry';
const RUNS = 4;
const APPENDS_EACH_RUN = 200;

/** A store with a table of each run but the last, closed. Resolves with the payloads in it. */
async function buildStore(path: string): Promise<string[]> {
  const payloads: string[] = [];
  for (let run = 1; run <= RUNS; run += 1) {
    const store = await openStore(path);
    const log = await store.lane(LANE);
    const messages = Array.from({ length: APPENDS_EACH_RUN }, (_, nth) =>
      numbered(LANE, store.epoch, nth + 1),
    );
    await Promise.all(messages.map((message) => log.append(message)));
    payloads.push(...messages.map(({ payload }) => payload.toString()));
    await store.close();
  }
  return payloads;
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
