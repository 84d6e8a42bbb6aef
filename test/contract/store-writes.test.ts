import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import type { StoreFinding } from '../../src/store/finding.ts';
import { LevelStore } from '../../src/store/level-store.ts';
import type { WritingHandle } from '../../src/store/writer/handle.ts';
import { append } from '../helpers/append.ts';
import type { ControlledDisk, DiskWrite } from '../helpers/controlled-disk.ts';
import { copyAsKilled } from '../helpers/copy-as-killed.ts';
import { eventually } from '../helpers/eventually.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { numbered, refused } from './lane-log-contract.ts';

const LANE = 'telemetry';
const MAX_BYTES = 1024 ** 3;
const PATIENCE = { withinMs: 20_000 };
/** More than a store writes in {@link useAll}. */
const MOST_WRITES = 40;

const shared = vi.hoisted((): { disk?: ControlledDisk } => ({}));

vi.mock('../../src/store/writer/handle.ts', async (importOriginal) => {
  const original = await importOriginal<typeof import('../../src/store/writer/handle.ts')>();
  const { ControlledDisk } = await import('../helpers/controlled-disk.ts');
  const disk = new ControlledDisk();
  shared.disk = disk;
  return {
    ...original,
    createHandle: (location: string): WritingHandle =>
      disk.control(original.createHandle(location)),
  };
});

function disk(): ControlledDisk {
  if (shared.disk === undefined) throw new Error('no database was made yet');
  return shared.disk;
}

beforeEach(() => {
  disk().before = () => Promise.resolve();
});

async function openStore(path: string) {
  const told: string[] = [];
  const findings: StoreFinding[] = [];
  const limits = { maxBytes: MAX_BYTES, reserveBytes: 0, ballastBytes: 0 };
  const store = new LevelStore(
    { path, ...limits },
    {
      onFinding: (finding) => findings.push(finding),
      onTrouble: () => told.push('trouble'),
      onRecovered: () => told.push('recovered'),
    },
  );
  await store.open();
  onTestFinished(() => store.close());
  return { store, told, findings };
}

/** Holds all writes from now on. */
function holdWrites(): { readonly held: readonly DiskWrite[]; release(): void } {
  const held: DiskWrite[] = [];
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  disk().before = (write) => {
    held.push(write);
    return released;
  };
  onTestFinished(() => release()); // before the store is closed, which waits for what it writes
  return { held, release };
}

/** All that is ready to happen has happened. */
async function turns(): Promise<void> {
  for (let n = 0; n < 10; n += 1) await new Promise(setImmediate);
}

/** Whether something has resolved. */
function watch(promise: Promise<unknown>): { isTold: boolean } {
  const state = { isTold: false };
  promise.then(
    () => {
      state.isTold = true;
    },
    () => undefined,
  );
  return state;
}

const RECORDED: readonly [string, (store: LevelStore) => Promise<unknown>][] = [
  ['an append', async (store) => append(await store.lane(LANE), numbered(2))],
  ['parking', async (store) => (await store.lane(LANE)).park(numbered(1), refused('rejected', 1))],
  ['a release', async (store) => (await store.lane(LANE)).unpark(1)],
  ['a discard', async (store) => (await store.lane(LANE)).discardParked([numbered(9)])],
  [
    'a packet identifier',
    (store) => store.packetIds.add({ clientId: 'c', packetId: 1, fingerprint: 1 }),
  ],
  ['a packet identifier that ends', (store) => store.packetIds.remove('c', [7])],
  ['the runs before that were told', (store) => store.previousRunsTold()],
];

test.each(RECORDED)('%s is told when its batch is synced, and not before', async (_what, write) => {
  const { store } = await openStore(await tempDir());
  await (await store.lane(LANE)).park(numbered(9), refused('rejected', 1));
  const { held, release } = holdWrites();
  const state = watch(write(store));
  await eventually(() => expect(held.length).toBeGreaterThan(0), PATIENCE);
  await turns();
  expect(state.isTold).toBe(false);
  expect(held).toEqual([{ kind: 'batch', isSync: true }]);
  release();
  await eventually(() => expect(state.isTold).toBe(true), PATIENCE);
});

test('all that a start writes is synced', async () => {
  const writes: DiskWrite[] = [];
  disk().before = async (write) => void writes.push(write);
  await openStore(await tempDir());
  expect(writes.length).toBeGreaterThan(0);
  expect(writes.filter(({ isSync }) => !isSync)).toEqual([]);
});

test('what is on its way to the disk counts as held', async () => {
  const { store } = await openStore(await tempDir());
  const log = await store.lane(LANE);
  const before = store.fullness;
  holdWrites();
  const payload = Buffer.alloc(1024 ** 2);
  for (const seq of [1, 2, 3, 4]) append(log, { ...numbered(seq), payload }).catch(() => undefined);
  expect((store.fullness - before) * MAX_BYTES).toBeGreaterThan(4 * 1024 ** 2);
});

test('a kill while a batch is on its way leaves nothing that would be taken for lost', async () => {
  const path = await tempDir();
  const { store } = await openStore(path);
  const log = await store.lane(LANE);
  await append(log, numbered(1));
  const { held } = holdWrites();
  for (const seq of [2, 3]) append(log, numbered(seq)).catch(() => undefined);
  await eventually(() => expect(held).toHaveLength(1), PATIENCE);
  await log.record(); // the checkpoint is written while they are on their way
  const killed = join(await tempDir(), 'store');
  await copyAsKilled(path, killed);
  disk().before = () => Promise.resolve();
  const next = await openStore(killed);
  const { messages, lost } = await (await next.store.lane(LANE)).read(0, 10);
  expect(messages.map(({ message }) => message.seq)).toEqual([1]);
  expect(lost).toEqual([]);
  expect(next.findings).toEqual([]);
});

test('a kill while a message is released leaves it parked', async () => {
  const path = await tempDir();
  const { store } = await openStore(path);
  const log = await store.lane(LANE);
  await log.park(numbered(1), refused('unroutable', 1));
  const { held } = holdWrites();
  log.unpark(1).catch(() => undefined);
  await eventually(() => expect(held.length).toBeGreaterThan(0), PATIENCE);
  await turns();
  const killed = join(await tempDir(), 'store');
  disk().before = () => Promise.resolve();
  await copyAsKilled(path, killed);
  const again = await (await openStore(killed)).store.lane(LANE);
  expect((await again.parked(10)).map(({ message }) => message.seq)).toEqual([1]);
  expect(again.endOffset).toBe(0);
});

/** Records of {@link useAll}. */
const RECORDS = 4;

/** Uses whatever a store writes in a lane that it knows. */
async function useAll(store: LevelStore): Promise<void> {
  const log = await store.lane(LANE);
  await Promise.all([1, 2, 3].map((seq) => append(log, numbered(seq))));
  await store.packetIds.add({ clientId: 'c', packetId: 1, fingerprint: 1 });
  await log.park(numbered(1), refused('unroutable', 1));
  await log.park(numbered(2), refused('rejected', 1));
  await log.unpark(1, 'unroutable');
  await log.discardParked([numbered(2)]);
  await store.packetIds.remove('c', [1]);
  await store.previousRunsTold();
  log.settle(RECORDS);
}

/** The store with the nth write failing, once; undefined when there are fewer. */
async function failingAt(nth: number, path: string) {
  const opened = await openStore(path);
  await opened.store.lane(LANE);
  let writes = 0;
  let failed: DiskWrite | undefined;
  const location = join(path, 'db');
  const other = disk().before;
  disk().before = async (write, at) => {
    if (at !== location) return other(write, at);
    writes += 1;
    if (writes !== nth) return;
    failed = write;
    throw new Error(`write ${nth} fails`);
  };
  await useAll(opened.store);
  const state = { ...opened, failed: () => failed, writes: () => writes };
  return state;
}

test('whatever write fails, it is told, and the database is opened again before anything more counts', async () => {
  const folder = await tempDir('writes');
  const untold: string[] = [];
  let met = 0;
  const tryOne = async (nth: number): Promise<void> => {
    const { store, told, failed } = await failingAt(nth, join(folder, String(nth)));
    const log = await store.lane(LANE);
    // What is settled is tidied away by itself within a second or two; then nothing more is written.
    const isMet = await eventually(
      () => {
        if (failed() === undefined) throw new Error('not yet');
        return true;
      },
      { withinMs: 4_000 },
    ).catch(() => false);
    if (!isMet) return;
    met += 1;
    const offset = await append(log, numbered(10));
    const what = `write ${nth} (${failed()?.kind})`;
    if (offset !== RECORDS) untold.push(`${what} left a hole in the log`);
    if (told[0] !== 'trouble') untold.push(`${what} was not told`);
    if (store.stats().reopensTotal === 0) untold.push(`${what}: the database was not opened again`);
  };
  for (let first = 1; first <= MOST_WRITES; first += 8) {
    const before = met;
    await Promise.all(Array.from({ length: 8 }, (_, n) => tryOne(first + n)));
    if (met === before) break;
  }
  expect(met).toBeGreaterThan(8);
  expect(untold).toEqual([]);
}, 120_000);
