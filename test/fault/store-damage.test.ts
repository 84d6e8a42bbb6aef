import { access, cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import type { LaneLog, LostRecords } from '../../src/delivery/ports.ts';
import type { LaneMessage } from '../../src/shared/message.ts';
import type { StoreFinding } from '../../src/store/finding.ts';
import type { LevelStore } from '../../src/store/level-store.ts';
import { eventually } from '../helpers/eventually.ts';
import { reportResult, SEED, scale } from '../helpers/soak.ts';
import {
  buildStore,
  damage,
  LANES,
  type LaneTruth,
  numbered,
  openStore,
  randomOf,
  type Truth,
} from './damage-site.ts';

const DAMAGES = scale('damages', { short: 60, long: 2_000 });
const START_LIMIT_MS = 30_000;
const MS_A_DAMAGE = 1_000;

interface Drained {
  readonly messages: Map<number, LaneMessage>;
  readonly lost: LostRecords[];
}

/** Reads a lane to its end as a lane does, trying again while the store is being mended. */
async function drain(log: LaneLog): Promise<Drained> {
  const messages = new Map<number, LaneMessage>();
  const lost: LostRecords[] = [];
  let offset = log.lowWaterMark;
  while (offset < log.endOffset) {
    const chunk = await eventually(() => log.read(offset, 100), { withinMs: 10_000 });
    for (const one of chunk.messages) {
      if (messages.has(one.offset)) throw new Error(`offset ${one.offset} is delivered twice`);
      messages.set(one.offset, one.message);
    }
    lost.push(...chunk.lost);
    expect(chunk.nextOffset, 'reading gets on').toBeGreaterThan(offset);
    offset = chunk.nextOffset;
  }
  await log.endRead();
  return { messages, lost };
}

/** Every unsettled offset is delivered as it was, or lost and named; and nothing else is. */
function judge({ messages, lost }: Drained, truth: LaneTruth): number {
  for (const [offset, message] of messages) expectSame(message, truth.records[offset]);
  let count = 0;
  for (const range of lost) {
    expect(range.fromOffset, 'nothing that is settled is told lost').toBeGreaterThanOrEqual(
      truth.mark,
    );
    for (let offset = range.fromOffset; offset < range.fromOffset + range.count; offset += 1) {
      if (messages.has(offset)) throw new Error(`offset ${offset} is lost and delivered`);
      expectWithin(range, truth.records[offset]);
    }
    count += range.count;
  }
  const delivered = [...messages.keys()].filter((offset) => offset >= truth.mark);
  expect(delivered.length + count).toBe(truth.records.length - truth.mark);
  return count;
}

/** Without `expect`, which would take most of the time of thousands of comparisons. */
function expectSame(message: LaneMessage, original: LaneMessage | undefined): void {
  if (!isDeepStrictEqual(message, { ...original, fromStore: true }))
    throw new Error(`delivered ${message.payload} for ${original?.payload}`);
}

function expectWithin(range: LostRecords, message: LaneMessage | undefined): void {
  const rank = (epoch: number, seq: number): number => epoch * 1_000_000 + seq;
  const at = rank(message?.epoch ?? -1, message?.seq ?? -1);
  const { epoch, fromSeq, toEpoch, toSeq } = range;
  const isTooLow = epoch !== undefined && at < rank(epoch, fromSeq ?? 0);
  const isTooHigh = toEpoch !== undefined && at > rank(toEpoch, toSeq ?? 0);
  if (isTooLow || isTooHigh) throw new Error(`${at} is not within ${JSON.stringify(range)}`);
}

async function judgeParked(
  log: LaneLog,
  lane: string,
  truth: LaneTruth,
  findings: StoreFinding[],
): Promise<number> {
  const parked = await eventually(() => log.parked(1_000), { withinMs: 10_000 });
  for (const { message } of parked) {
    const original = truth.parked.find(({ epoch, seq }) => {
      return message.epoch === epoch && message.seq === seq;
    });
    expectSame(message, original);
  }
  const missing = truth.parked.length - parked.length;
  await eventually(
    () => {
      const told = findings.filter((one) => one.kind === 'parked-lost' && one.lane === lane);
      expect(told.reduce((sum, one) => sum + (one.count ?? 0), 0)).toBe(missing);
    },
    { withinMs: 5_000 },
  );
  return missing;
}

/** The damaged file lies in the quarantine as it was found. */
async function expectQuarantined(path: string, file: string, found: Buffer | undefined) {
  const kept = await readdir(join(path, 'quarantine'), { recursive: true });
  expect(kept.length).toBeGreaterThan(0);
  const name = file.replace('db/', '');
  if (found === undefined || !/ldb|log|MANIFEST|CURRENT/.test(name)) return;
  const copy = kept.find((one) => one.endsWith(`/${name}`));
  expect(copy, `${name} is among ${kept.join(' ')}`).toBeDefined();
  expect(await readFile(join(path, 'quarantine', copy ?? ''))).toEqual(found);
}

async function takesNewOnes(store: LevelStore, lane: string): Promise<void> {
  const log = await store.lane(lane);
  const end = log.endOffset;
  const message = numbered(lane, store.epoch, 1);
  expect(await log.append(message)).toBe(end);
  const { messages } = await eventually(() => log.read(end, 10), { withinMs: 10_000 });
  expect(messages).toMatchObject([{ offset: end, message: { ...message, fromStore: true } }]);
}

/** In memory: syncing thousands of small files takes most of the time, and plays no part here. */
async function memoryFolder(): Promise<string> {
  const parent = await access('/dev/shm').then(
    () => '/dev/shm',
    () => tmpdir(),
  );
  const folder = await mkdtemp(join(parent, 'tidegate-damage-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

interface Outcome {
  readonly lost: number;
  readonly repaired: boolean;
  readonly quarantined: boolean;
}

async function survive(path: string, truth: Truth, file: string): Promise<Outcome> {
  const found = await readFile(join(path, file)).catch(() => undefined);
  const findings: StoreFinding[] = [];
  const startedMs = performance.now();
  const store = await openStore(path, findings);
  expect(performance.now() - startedMs).toBeLessThan(START_LIMIT_MS);
  let lost = 0;
  try {
    expect(store.epoch, 'no epoch twice').toBe(5);
    for (const lane of LANES) {
      const log = await store.lane(lane);
      const laneTruth = truth[lane] ?? { records: [], mark: 0, parked: [] };
      lost += judge(await drain(log), laneTruth);
      lost += await judgeParked(log, lane, laneTruth, findings);
      await takesNewOnes(store, lane);
    }
    if (lost > 0) await expectQuarantined(path, file, found);
  } finally {
    await store.close();
  }
  const has = (kind: StoreFinding['kind']): boolean => findings.some((one) => one.kind === kind);
  return {
    lost,
    repaired: has('repaired') || has('started-empty'),
    quarantined: findings.some((one) => one.path !== undefined),
  };
}

test(
  'whatever file is damaged, the store starts, delivers nothing wrong and counts exactly what is gone',
  async () => {
    const folder = await memoryFolder();
    const whole = join(folder, 'whole');
    const truth = await buildStore(join(folder, 'work'), whole);
    const random = randomOf(SEED);
    const sum = { repaired: 0, quarantined: 0, lossy: 0, lost: 0 };
    const failures: string[] = [];
    for (let nth = 1; nth <= DAMAGES; nth += 1) {
      const path = join(folder, 'damaged');
      await cp(whole, path, { recursive: true });
      const { file, text } = await damage(path, random);
      try {
        const outcome = await survive(path, truth, file);
        sum.repaired += outcome.repaired ? 1 : 0;
        sum.quarantined += outcome.quarantined ? 1 : 0;
        sum.lossy += outcome.lost > 0 ? 1 : 0;
        sum.lost += outcome.lost;
      } catch (error) {
        failures.push(`${nth}, ${text}: ${error instanceof Error ? error.message : error}`);
      }
      await rm(path, { recursive: true, force: true });
    }
    const extras = {
      'stores repaired': sum.repaired,
      'files put into quarantine': sum.quarantined,
      'stores that lost something': sum.lossy,
      'messages gone, each counted and named': sum.lost,
    };
    reportResult({
      scenario: 'store-damage',
      title: 'A file of the store is damaged at random while the gateway does not run',
      rows: [{ name: `${DAMAGES} damages`, verdict: {}, failures, extras }],
    });
    expect(failures).toEqual([]);
  },
  60_000 + DAMAGES * MS_A_DAMAGE,
);
