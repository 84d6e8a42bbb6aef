import { createHash } from 'node:crypto';
import { open, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { expect } from 'vitest';
import type { LaneMessage } from '../../src/shared/message.ts';
import { readWitness } from '../../src/store/checkpoint-file.ts';
import type { StoreFinding } from '../../src/store/finding.ts';
import { LevelStore } from '../../src/store/level-store.ts';
import { append } from '../helpers/append.ts';
import { copyAsKilled } from '../helpers/copy-as-killed.ts';
import { eventually } from '../helpers/eventually.ts';

export const LANES = ['alpha', 'beta', 'gamma'] as const;
const RUNS = 4;
const APPENDS_EACH_RUN = 300;
const PARKED_EACH_RUN = 4;
/** Of each run's records so many are settled in the end, so that marks lie inside tables and in the log. */
const SETTLED_SHARE: Readonly<Record<(typeof LANES)[number], number>> = {
  alpha: 0.1,
  beta: 0.45,
  gamma: 0.95,
};

/** What a lane holds, as the truth to compare with. */
export interface LaneTruth {
  readonly records: LaneMessage[];
  mark: number;
  readonly parked: LaneMessage[];
}

export type Truth = Record<string, LaneTruth>;

/** Random numbers below `limit`, the same for the same seed. */
type Random = (limit: number) => number;

export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

export async function openStore(
  path: string,
  findings: { push(finding: StoreFinding): unknown } = [],
  troubles: unknown[] = [],
): Promise<LevelStore> {
  const limits = { maxBytes: 1024 ** 3, reserveBytes: 0, ballastBytes: 0 };
  const store = new LevelStore(
    { path, ...limits },
    {
      onFinding: (finding) => findings.push(finding),
      onTrouble: (error) => troubles.push(error),
      onRecovered: () => undefined,
    },
  );
  await store.open();
  return store;
}

/** The payload ends with its own hash. */
export function numbered(lane: string, epoch: number, seq: number): LaneMessage {
  const body = `${lane} ${epoch}.${seq} ${'x'.repeat((seq * 37) % 200)}`;
  const payload = Buffer.from(`${body} ${createHash('sha256').update(body).digest('hex')}`);
  const rest = { qos: 1, dup: false, retain: false, clientId: 'c', receivedAtMs: 1 } as const;
  return { gatewayId: 'g', epoch, seq, routingKey: 'a.b', topic: 'a/b', payload, ...rest };
}

/** A store as a SIGKILL leaves it: tables of earlier runs, a log of the last, marks and parked messages. */
export async function buildStore(work: string, to: string): Promise<Truth> {
  const truth: Truth = {};
  for (const lane of LANES) truth[lane] = { records: [], mark: 0, parked: [] };
  for (let run = 1; run <= RUNS; run += 1) {
    const store = await openStore(work);
    for (const lane of LANES) await fill(store, lane, truth[lane] ?? fail());
    if (run === RUNS) await copyRunning(store, truth, work, to);
    await store.close();
    if (run === 2) await compact(work);
  }
  return truth;
}

async function fill(
  store: LevelStore,
  lane: (typeof LANES)[number],
  truth: LaneTruth,
): Promise<void> {
  const log = await store.lane(lane);
  const appends: Promise<number>[] = [];
  for (let nth = 1; nth <= APPENDS_EACH_RUN; nth += 1) {
    const message = numbered(lane, store.epoch, nth * 2); // odd ones went without the store
    truth.records.push(message);
    appends.push(append(log, message));
    if (nth % 50 === 0) await Promise.all(appends);
  }
  await Promise.all(appends);
  for (let nth = 1; nth <= PARKED_EACH_RUN; nth += 1) {
    const message = numbered(lane, store.epoch, 100_001 + nth);
    const times = { firstAttemptMs: 1, lastAttemptMs: 1, attempts: 1 };
    await log.park(message, { reason: 'unroutable', detail: 'NO_ROUTE', ...times });
    truth.parked.push(message);
  }
  truth.mark = Math.floor(log.endOffset * SETTLED_SHARE[lane]);
  log.settle(truth.mark);
}

async function copyRunning(
  store: LevelStore,
  truth: Truth,
  from: string,
  to: string,
): Promise<void> {
  await eventually(
    async () => {
      const found = await readWitness(join(from, 'checkpoint'));
      const marks = found?.witness.lanes.map(({ name, lowWaterMark }) => [name, lowWaterMark]);
      expect(Object.fromEntries(marks ?? [])).toEqual(
        Object.fromEntries(LANES.map((lane) => [lane, truth[lane]?.mark])),
      );
      expect(found?.witness.epoch).toBe(store.epoch);
    },
    { withinMs: 5_000 },
  );
  await copyAsKilled(from, to);
}

async function compact(path: string): Promise<void> {
  const db = new ClassicLevel<Buffer, Buffer>(join(path, 'db'), { keyEncoding: 'buffer' });
  await db.open();
  await db.compactRange(Buffer.from([0]), Buffer.from([0xff]));
  await db.close();
}

const KINDS = ['flip', 'flip', 'flip', 'truncate', 'zero', 'delete', 'empty'] as const;
const PAGE_BYTES = 4_096;
const MAX_FLIPPED_BYTES = 64;

/** Damages one file at random. Resolves with what was done to which. */
export async function damage(
  path: string,
  random: Random,
): Promise<{ file: string; text: string }> {
  const inDb = (await readdir(join(path, 'db'))).map((name) => join('db', name));
  const files = [...inDb, ...inDb.filter((name) => /ldb|log/.test(name)), 'checkpoint'];
  const file = files[random(files.length)] ?? fail();
  const kind = KINDS[random(KINDS.length)] ?? fail();
  const target = join(path, file);
  const { size } = await stat(target);
  const at = random(Math.max(1, size));
  if (kind === 'delete') await rm(target);
  else if (kind === 'empty') await writeFile(target, '');
  else if (kind === 'truncate') await truncate(target, at);
  else if (kind === 'zero') await overwrite(target, at - (at % PAGE_BYTES), PAGE_BYTES, () => 0);
  else {
    const bytes = 1 + random(MAX_FLIPPED_BYTES);
    await overwrite(target, at, bytes, (byte) => byte ^ (1 << random(8)));
  }
  return { file, text: `${kind} ${file} at ${at} of ${size}` };
}

async function overwrite(
  path: string,
  at: number,
  maxBytes: number,
  change: (byte: number) => number,
): Promise<void> {
  const file = await open(path, 'r+');
  const { size } = await file.stat();
  const bytes = Math.max(0, Math.min(maxBytes, size - at));
  const { buffer } = await file.read(Buffer.alloc(bytes), 0, bytes, at);
  await file.write(buffer.map(change), 0, bytes, at);
  await file.close();
}

function fail(): never {
  throw new Error('the test is wrong');
}
