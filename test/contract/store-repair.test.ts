import { open, readdir, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import type { StoreFinding } from '../../src/store/finding.ts';
import { LevelStore } from '../../src/store/level-store.ts';
import type { WritingHandle } from '../../src/store/writer/handle.ts';
import { append } from '../helpers/append.ts';
import { copyAsKilled } from '../helpers/copy-as-killed.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { numbered } from './lane-log-contract.ts';

const LANE = 'telemetry';
const SEQS = [1, 2, 3, 4, 5];
const CHECKPOINT_COPY_BYTES = 1024 * 1024;

/** How many of the next openings and repairs pass over the log, as on a read error, which LevelDB keeps to itself. */
const passedOver = vi.hoisted(() => ({ openings: 0, repairs: 0 }));

async function loseLogs(location: string): Promise<void> {
  const names = await readdir(location);
  const logs = names.filter((name) => name.endsWith('.log'));
  for (const name of logs) await rm(join(location, name));
}

vi.mock('../../src/store/writer/handle.ts', async (importOriginal) => {
  const original = await importOriginal<typeof import('../../src/store/writer/handle.ts')>();
  return {
    ...original,
    createHandle: (location: string): WritingHandle => {
      const db = original.createHandle(location);
      const open = db.open.bind(db);
      const forgetful = async (...args: Parameters<typeof open>): Promise<void> => {
        // The constructor asks for a passive one, which only waits.
        if (passedOver.openings > 0 && args[0]?.passive !== true) {
          passedOver.openings -= 1;
          await loseLogs(location);
        }
        await open(...args);
      };
      return Object.assign(db, { open: forgetful });
    },
  };
});

vi.mock('../../src/store/trial.ts', async (importOriginal) => {
  const original = await importOriginal<typeof import('../../src/store/trial.ts')>();
  const tryElsewhere: typeof original.tryElsewhere = async (what, location) => {
    if (what === 'repair' && passedOver.repairs > 0) {
      passedOver.repairs -= 1;
      await loseLogs(location);
    }
    return original.tryElsewhere(what, location);
  };
  return { tryElsewhere };
});

beforeEach(() => {
  Object.assign(passedOver, { openings: 0, repairs: 0 });
});

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
  const log = await store.lane(LANE);
  return { store, log, findings };
}

/** The folder of a store with five messages, whose process was killed: all is in LevelDB's log. */
async function killedStore(): Promise<string> {
  const path = await tempDir();
  const { log } = await openStore(path);
  await Promise.all(SEQS.map((seq) => append(log, numbered(seq))));
  const killed = join(await tempDir(), 'store');
  await copyAsKilled(path, killed);
  await rm(join(killed, 'opening')); // after a minute at work it is gone, and no trial opens the files first
  return killed;
}

async function contentsOf({ log }: Awaited<ReturnType<typeof openStore>>) {
  const { messages, lost } = await log.read(0, 10);
  return { seqs: messages.map(({ message }) => message.seq), lost };
}

test('a log that the first opening passes over is read by the next, from the files as they were', async () => {
  const path = await killedStore();
  passedOver.openings = 1;
  const store = await openStore(path);
  expect(await contentsOf(store)).toEqual({ seqs: SEQS, lost: [] });
  expect(store.findings).toEqual([]);
  expect(passedOver.openings).toBe(0);
});

test('a log that the first repair passes over is read by the next, from the files as they were', async () => {
  const path = await killedStore();
  await rm(join(path, 'db', 'CURRENT'));
  passedOver.repairs = 1;
  const store = await openStore(path);
  expect(await contentsOf(store)).toEqual({ seqs: SEQS, lost: [] });
  expect(store.findings).toMatchObject([{ kind: 'repaired' }]);
  expect(passedOver.repairs).toBe(0);
});

test('a log that was cut off is noticed at the start, and what is gone is told exactly', async () => {
  const path = await killedStore();
  const names = await readdir(join(path, 'db'));
  for (const name of names.filter((one) => one.endsWith('.log'))) {
    const file = join(path, 'db', name);
    await truncate(file, (await stat(file)).size - 10);
  }
  const store = await openStore(path);
  const { seqs, lost } = await contentsOf(store);
  const gone = lost.reduce((sum, { count }) => sum + count, 0);
  expect(seqs).toEqual(SEQS.slice(0, SEQS.length - gone));
  expect(gone).toBeGreaterThan(0);
  expect(store.findings).toContainEqual(expect.objectContaining({ kind: 'repaired' }));
});

test.each([0, 1])('damage to copy %i of the checkpoint costs nothing', async (nth) => {
  const path = await tempDir();
  const { log, store } = await openStore(path);
  await Promise.all(SEQS.map((seq) => append(log, numbered(seq))));
  await store.close();
  const file = await open(join(path, 'checkpoint'), 'r+');
  await file.write(Buffer.from('damage'), 0, 6, nth * CHECKPOINT_COPY_BYTES + 12);
  await file.close();
  const again = await openStore(path);
  expect(await contentsOf(again)).toEqual({ seqs: SEQS, lost: [] });
  expect(again.findings).toEqual([]);
});
