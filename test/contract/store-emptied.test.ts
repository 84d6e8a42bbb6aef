import { readdir, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { StoreFinding } from '../../src/store/finding.ts';
import { LevelStore } from '../../src/store/level-store.ts';
import { append } from '../helpers/append.ts';
import { copyAsKilled } from '../helpers/copy-as-killed.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { numbered } from './lane-log-contract.ts';

const LANE = 'telemetry';
const MESSAGES = 50;

async function openStore(path: string) {
  const findings: StoreFinding[] = [];
  const nothing = (): void => undefined;
  const limits = { maxBytes: 1024 ** 3, reserveBytes: 0, ballastBytes: 0 };
  const store = new LevelStore(
    { path, ...limits },
    { onFinding: (finding) => findings.push(finding), onTrouble: nothing, onRecovered: nothing },
  );
  await store.open();
  onTestFinished(() => store.close());
  return { store, kinds: findings.map(({ kind }) => kind) };
}

/** A store with 50 messages of a process that was killed, and the run that numbered them. */
async function killedStore(): Promise<{ path: string; run: string }> {
  const path = await tempDir();
  const { store } = await openStore(path);
  const log = await store.lane(LANE);
  await Promise.all(
    Array.from({ length: MESSAGES }, (_, nth) =>
      append(log, { ...numbered(nth + 1), run: store.run }),
    ),
  );
  await log.record(); // the checkpoint has all of them
  const killed = join(await tempDir(), 'store');
  await copyAsKilled(path, killed);
  return { path: killed, run: store.run };
}

async function emptyFilesOf(folder: string): Promise<void> {
  for (const name of await readdir(folder)) await truncate(join(folder, name), 0);
}

interface Loss {
  readonly what: string;
  lose(path: string): Promise<unknown>;
  /** What the start tells. */
  readonly kinds: readonly string[];
  /** What the manifest has to tell: that all, or the ends of the logs, may be gone uncounted. */
  readonly unverified: 'all' | 'ends' | undefined;
  /** Epoch of the next run. */
  readonly epoch: number;
  /** What the log tells to be lost, exactly. */
  readonly lost: number;
}

const LOSSES: readonly Loss[] = [
  {
    what: 'all files of the database and of the checkpoint are empty',
    lose: async (path) => {
      await emptyFilesOf(join(path, 'db'));
      await truncate(join(path, 'checkpoint'), 0);
    },
    kinds: ['repaired', 'tail-unverified'],
    unverified: 'all',
    epoch: 1,
    lost: 0,
  },
  {
    what: 'the database is gone and the checkpoint is empty',
    lose: async (path) => {
      await rm(join(path, 'db'), { recursive: true });
      await truncate(join(path, 'checkpoint'), 0);
    },
    kinds: ['tail-unverified'],
    unverified: 'all',
    epoch: 1,
    lost: 0,
  },
  {
    what: 'the database is gone and the checkpoint is there',
    lose: (path) => rm(join(path, 'db'), { recursive: true }),
    kinds: ['repaired'],
    unverified: undefined,
    epoch: 2,
    lost: MESSAGES,
  },
  {
    what: 'all files of the database are empty and the checkpoint is there',
    lose: (path) => emptyFilesOf(join(path, 'db')),
    kinds: ['repaired'],
    unverified: undefined,
    epoch: 2,
    lost: MESSAGES,
  },
  {
    what: 'the checkpoint is gone and the database is there',
    lose: (path) => rm(join(path, 'checkpoint')),
    kinds: ['tail-unverified'],
    unverified: 'ends',
    epoch: 2,
    lost: 0,
  },
];

test.for(LOSSES)('$what: the start says so, and no identity comes again', async (loss) => {
  const { path, run } = await killedStore();
  await loss.lose(path);
  const { store, kinds } = await openStore(path);
  const log = await store.lane(LANE);
  const { lost } = await log.read(0, 100);
  expect(lost.reduce((sum, { count }) => sum + count, 0)).toBe(loss.lost);
  expect(kinds).toEqual(loss.kinds);
  expect(store.epoch).toBe(loss.epoch);
  expect(store.run).not.toBe(run);
  expect(store.unverified).toEqual(
    loss.unverified === undefined
      ? []
      : [{ epoch: loss.epoch, run: store.run, isAll: loss.unverified === 'all' }],
  );
});

test('a new store has nothing to tell', async () => {
  const { store, kinds } = await openStore(await tempDir());
  expect(kinds).toEqual([]);
  expect(store.unverified).toEqual([]);
});

test('what may be gone uncounted is told at each start until it is told for good', async () => {
  const { path } = await killedStore();
  await rm(join(path, 'checkpoint'));
  const first = await openStore(path);
  await first.store.close();
  const second = await openStore(path);
  expect(second.store.unverified).toMatchObject([{ epoch: 2, isAll: false }]);
  await second.store.previousRunsTold();
  expect(second.store.unverified).toEqual([]);
  await second.store.close();
  const third = await openStore(path);
  expect(third.store.unverified).toEqual([]);
});
