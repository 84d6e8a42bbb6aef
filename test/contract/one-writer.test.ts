import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test, vi } from 'vitest';
import type { LaneLog, ParkNote } from '../../src/delivery/ports.ts';
import { LevelStore } from '../../src/store/level-store.ts';
import type { WritingHandle } from '../../src/store/writer/handle.ts';
import { append } from '../helpers/append.ts';
import { copyAsKilled } from '../helpers/copy-as-killed.ts';
import { eventually } from '../helpers/eventually.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { numbered } from './lane-log-contract.ts';

const LANE = 'lane';
const PATIENCE = { withinMs: 10_000 };
const NOTE: ParkNote = {
  reason: 'unroutable',
  detail: 'NO_ROUTE',
  firstAttemptMs: 1,
  lastAttemptMs: 1,
  attempts: 1,
};

/** Which call fails next: any that writes, only a deletion of a range, or a write that reaches the disk all the same. */
type Armed = 'any' | 'clear' | 'landed' | undefined;

const disk = vi.hoisted(() => ({
  armed: undefined as Armed,
  isLying: false,
  failures: 0,
}));

/** From the failure of a call until it is told: meanwhile LevelDB takes other writes. */
const TOLD_AFTER_MS = 50;

/**
 * The real database on a disk that fails once. From then on it does what LevelDB does: it reports success for writes
 * that are lost, until it is opened again.
 */
vi.mock('../../src/store/writer/handle.ts', async (importOriginal) => {
  const original = await importOriginal<typeof import('../../src/store/writer/handle.ts')>();
  /** True when the call is to be left out. @throws when it is the one that fails, a while after it has done its harm. */
  const isLost = async (call: 'write' | 'clear'): Promise<boolean> => {
    if (disk.isLying) return true;
    if (disk.armed === undefined || (disk.armed === 'clear' && call === 'write')) return false;
    disk.armed = undefined;
    disk.isLying = true;
    disk.failures += 1;
    await delay(TOLD_AFTER_MS);
    throw new Error('the disk fails');
  };
  const createHandle = (location: string): WritingHandle => {
    const db = original.createHandle(location);
    const [makeBatch, clear, open] = [db.batch.bind(db), db.clear.bind(db), db.open.bind(db)];
    const batch = (): ReturnType<typeof makeBatch> => {
      const made = makeBatch();
      const write = made.write.bind(made);
      made.write = async (options?: object) => {
        if (disk.armed === 'landed') {
          disk.armed = undefined;
          disk.failures += 1;
          await write({ ...options });
          throw new Error('the disk fails');
        }
        return (await isLost('write')) ? made.close() : write({ ...options });
      };
      return made;
    };
    const clearing = async (...args: Parameters<typeof clear>): Promise<void> =>
      (await isLost('clear')) ? undefined : clear(...args);
    const opening = async (): Promise<void> => {
      await open();
      disk.isLying = false;
    };
    return Object.assign(db, { batch, clear: clearing, open: opening });
  };
  return { ...original, createHandle };
});

afterEach(() => {
  disk.armed = undefined;
  disk.isLying = false;
  disk.failures = 0;
});

async function openStore(path: string, findings: unknown[] = []): Promise<LevelStore> {
  // So little that what is settled is deleted at once.
  const limits = { maxBytes: 1, reserveBytes: 0, ballastBytes: 0 };
  const nothing = (): void => undefined;
  const events = {
    onFinding: (found: unknown) => findings.push(found),
    onTrouble: nothing,
    onRecovered: nothing,
  };
  const store = new LevelStore({ path, ...limits }, events);
  await store.open();
  return store;
}

async function appendAll(log: LaneLog, from: number, to: number): Promise<number[]> {
  const seqs = Array.from({ length: to - from + 1 }, (_, nth) => from + nth);
  await Promise.all(seqs.map((seq) => append(log, numbered(seq))));
  return seqs;
}

/** Seqs of all that is in the log, or parked. */
async function seqsIn(log: LaneLog): Promise<Set<number>> {
  const seqs = new Set<number>();
  for (let at = log.lowWaterMark; at < log.endOffset; ) {
    const { messages, lost, nextOffset } = await log.read(at, 100);
    expect(lost).toEqual([]);
    for (const { message } of messages) seqs.add(message.seq);
    at = nextOffset;
  }
  for (const { message } of await log.parked(1_000)) seqs.add(message.seq);
  return seqs;
}

/** Appends one message after the other. */
class Load {
  readonly #log: LaneLog;
  readonly #acknowledged: number[] = [];
  #enough = Number.POSITIVE_INFINITY;
  #running: Promise<void> | undefined;

  constructor(log: LaneLog) {
    this.#log = log;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Resolves with what was told to be stored, when so many more have been. */
  async stop(more: number): Promise<readonly number[]> {
    this.#enough = this.#acknowledged.length + more;
    await this.#running;
    return this.#acknowledged;
  }

  async #run(): Promise<void> {
    for (let seq = 101; this.#acknowledged.length < this.#enough; seq += 1) {
      await append(this.#log, numbered(seq));
      this.#acknowledged.push(seq);
    }
  }
}

interface Site {
  readonly store: LevelStore;
  readonly log: LaneLog;
}

/** Every kind of write that the store makes while it is open. */
const WRITES: readonly {
  readonly kind: string;
  readonly fails?: Armed;
  /** What goes on before; nothing fails yet. */
  readonly before?: (site: Site) => unknown;
  /** What writes. It may reject: then it has told that it failed. */
  readonly write: (site: Site) => unknown;
}[] = [
  { kind: 'an append', write: ({ log }) => append(log, numbered(99)) },
  { kind: 'the low-water mark', write: ({ log }) => log.settle(5) },
  { kind: 'the deletion of what is settled', fails: 'clear', write: ({ log }) => log.settle(20) },
  { kind: 'the number of a lane', write: ({ store }) => store.lane('another') },
  { kind: 'a parked message', write: ({ log }) => log.park(numbered(98), NOTE) },
  {
    kind: 'a release',
    before: ({ log }) => log.park(numbered(98), NOTE),
    write: ({ log }) => log.unpark(1),
  },
  {
    kind: 'the note of a released message',
    before: async ({ log }) => {
      await log.park(numbered(98), NOTE);
      await log.unpark(1);
    },
    write: ({ log }) => log.settle(21),
  },
  {
    kind: 'a discard',
    before: ({ log }) => log.park(numbered(98), NOTE),
    write: ({ log }) => log.discardParked([numbered(98)]),
  },
  {
    kind: 'a packet identifier',
    write: ({ store }) => store.packetIds.add({ clientId: 'c', packetId: 1, fingerprint: 1 }),
  },
  {
    kind: 'the end of a packet identifier',
    before: ({ store }) => store.packetIds.add({ clientId: 'c', packetId: 1, fingerprint: 1 }),
    write: ({ store }) => store.packetIds.remove('c', [1]),
  },
  { kind: 'that earlier runs were told', write: ({ store }) => store.previousRunsTold() },
  { kind: 'the note of the run', write: ({ store }) => store.noteRun({ machine: 'm' }) },
];

test.for(WRITES)('nothing is lost that is stored after $kind has failed', async (kind) => {
  const path = await tempDir('store');
  const store = await openStore(path);
  const site = { store, log: await store.lane(LANE) };
  await appendAll(site.log, 1, 20);
  await kind.before?.(site);
  const load = new Load(site.log);
  disk.armed = kind.fails ?? 'any';
  Promise.resolve(kind.write(site)).catch(() => undefined);
  if (kind.fails !== undefined) load.start(); // else it would be the load that fails
  await eventually(() => expect(disk.failures).toBe(1), PATIENCE);
  load.start();
  const acknowledged = await load.stop(50);
  expect(disk.isLying, 'it was opened again before anything counted as stored').toBe(false);
  const copy = `${await tempDir('copy')}/store`;
  await copyAsKilled(path, copy);
  await store.close();
  const findings: unknown[] = [];
  const next = await openStore(copy, findings);
  const found = await seqsIn(await next.lane(LANE));
  expect(acknowledged.filter((seq) => !found.has(seq))).toEqual([]);
  expect(findings).toEqual([]);
  await next.close();
});

test('a lane that could not be named is named later, with a number that no other lane has', async () => {
  const path = await tempDir('store');
  const store = await openStore(path);
  disk.armed = 'any';
  await expect(store.lanes(['a', 'b'])).rejects.toThrow('the disk fails');
  await append(await store.lane('c'), numbered(1));
  await append(await store.lane('b'), numbered(2));
  await append(await store.lane('a'), numbered(3));
  await store.close();
  const next = await openStore(path);
  for (const [name, seq] of [
    ['c', 1],
    ['b', 2],
    ['a', 3],
  ] as const)
    expect(await seqsIn(await next.lane(name))).toEqual(new Set([seq]));
  await next.close();
});

test('a stop whose end cannot be written is told as no clean end', async () => {
  const path = await tempDir('store');
  const store = await openStore(path);
  await appendAll(await store.lane(LANE), 1, 3);
  disk.armed = 'any';
  await store.close(new Map([[LANE, 3]]));
  expect(disk.failures).toBe(1);
  const next = await openStore(path);
  expect(next.previousRuns).toMatchObject([{ epoch: 1, lastSeqs: undefined }]);
  expect(await seqsIn(await next.lane(LANE))).toEqual(new Set([1, 2, 3]));
  await next.close();
});

test('a start whose first write fails writes it again before it goes on', async () => {
  const path = await tempDir('store');
  disk.armed = 'any';
  const store = await openStore(path);
  expect(disk.failures).toBe(1);
  await appendAll(await store.lane(LANE), 1, 3);
  await store.close();
  const next = await openStore(path);
  expect(next.epoch).toBe(2);
  expect(await seqsIn(await next.lane(LANE))).toEqual(new Set([1, 2, 3]));
  await next.close();
});

test('a new store whose first write fails and is there all the same tells no loss', async () => {
  disk.armed = 'landed';
  const findings: unknown[] = [];
  const store = await openStore(await tempDir('store'), findings);
  expect(disk.failures).toBe(1);
  expect(findings).toEqual([]);
  expect(store.unverified).toEqual([]);
  await store.close();
});
