import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { deserialize } from 'node:v8';
import { expect } from 'vitest';
import type { LaneLog, LostRecords } from '../../src/delivery/ports.ts';
import type { LaneMessage } from '../../src/shared/message.ts';
import type { StoreFinding } from '../../src/store/finding.ts';
import type { LevelStore } from '../../src/store/level-store.ts';
import { append } from '../helpers/append.ts';
import { eventually } from '../helpers/eventually.ts';
import { LANES, type LaneTruth, numbered, openStore, type Truth } from './damage-site.ts';

/*
 * Opens damaged stores and judges what they give, in a process of its own: LevelDB ends a process when a file
 * contradicts itself. Its only argument is a file with the truth; the rest comes and goes as messages.
 */

/** A store to open. */
export interface Trial {
  readonly path: string;
  /** Which of its files is damaged, and what that held when it was. */
  readonly file: string;
  readonly found: Buffer | undefined;
  /** What was told of this store by a process that ended. */
  readonly told: readonly StoreFinding[];
}

export type Answer =
  | { readonly finding: StoreFinding }
  | { readonly outcome: Outcome }
  | { readonly failure: string };

const START_LIMIT_MS = 30_000;
/** The epoch of the damaged store. */
const EPOCH = 4;

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
    const chunk = await eventually(() => log.read(offset, 100), { withinMs: START_LIMIT_MS });
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
  for (const [offset, message] of messages) {
    // A process that ended may have appended something of its own.
    if (message.epoch <= EPOCH) expectSame(message, truth.records[offset]);
    else messages.delete(offset);
  }
  let count = 0;
  for (const range of lost) {
    expect(range.fromOffset, 'nothing that is settled is told lost').toBeGreaterThanOrEqual(
      truth.mark,
    );
    for (let offset = range.fromOffset; offset < range.fromOffset + range.count; offset += 1) {
      if (messages.has(offset)) throw new Error(`offset ${offset} is lost and delivered`);
      if (offset >= truth.records.length) continue; // appended by a process that ended
      expectWithin(range, truth.records[offset]);
      count += 1;
    }
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
  const parked = await eventually(() => log.parked(1_000), { withinMs: START_LIMIT_MS });
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
    { withinMs: START_LIMIT_MS },
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
  expect(await append(log, message)).toBe(end);
  const { messages } = await eventually(() => log.read(end, 10), { withinMs: START_LIMIT_MS });
  expect(messages).toMatchObject([{ offset: end, message: { ...message, fromStore: true } }]);
}

export interface Outcome {
  readonly lost: number;
  readonly repaired: boolean;
  readonly quarantined: boolean;
}

async function survive({ path, file, found, told }: Trial, truth: Truth): Promise<Outcome> {
  const findings: StoreFinding[] = [...told];
  const onFinding = (finding: StoreFinding): void => {
    findings.push(finding);
    answer({ finding });
  };
  const startedMs = performance.now();
  const store = await openStore(path, { push: onFinding });
  expect(performance.now() - startedMs).toBeLessThan(START_LIMIT_MS);
  let lost = 0;
  try {
    expect(store.epoch, 'no epoch twice').toBeGreaterThan(EPOCH);
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

function answer(text: Answer): void {
  process.send?.(text);
}

async function serve(): Promise<void> {
  const truth: Truth = deserialize(await readFile(process.argv[2] ?? ''));
  process.on('message', (trial: Trial) => {
    survive(trial, truth).then(
      (outcome) => answer({ outcome }),
      (error: unknown) => answer({ failure: error instanceof Error ? error.message : `${error}` }),
    );
  });
}

await serve();
