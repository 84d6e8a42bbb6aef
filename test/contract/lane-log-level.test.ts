import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Level } from 'level';
import { expect, onTestFinished, test } from 'vitest';
import { FORMAT_KEY, recordKey } from '../../src/store/keys.ts';
import { LevelStore } from '../../src/store/level-store.ts';
import { seal } from '../../src/store/sealed.ts';
import { append } from '../helpers/append.ts';
import { copyAsKilled } from '../helpers/copy-as-killed.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { describeLaneLog, numbered, refused } from './lane-log-contract.ts';

const LANE = 'telemetry';

async function openStore(path: string) {
  const limits = { maxBytes: 1024 ** 3, reserveBytes: 0, ballastBytes: 0 };
  const nothing = (): void => undefined;
  const events = { onFinding: nothing, onTrouble: nothing, onRecovered: nothing };
  const store = new LevelStore({ path, ...limits }, events);
  await store.open();
  onTestFinished(() => store.close());
  return store;
}

/** Changes the files of a closed store behind its back. */
async function tamper(
  path: string,
  change: (db: Level<Buffer, Buffer>) => Promise<void>,
): Promise<void> {
  const encodings = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const;
  const db = new Level<Buffer, Buffer>(`${path}/db`, encodings);
  await change(db);
  await db.close();
}

describeLaneLog('in LevelDB', async () => {
  const path = await tempDir();
  let store = await openStore(path);
  return {
    log: await store.lane(LANE),
    reopen: async () => {
      await store.close();
      store = await openStore(path);
      return store.lane(LANE);
    },
  };
});

test('each opening is an epoch of its own', async () => {
  const path = await tempDir();
  for (const epoch of [1, 2, 3]) {
    const store = await openStore(path);
    expect(store.epoch).toBe(epoch);
    await store.close();
  }
});

test('each opening is a run of its own, also of a copy of the store', async () => {
  const path = await tempDir();
  await (await openStore(path)).close();
  const copies = [join(await tempDir(), 'one'), join(await tempDir(), 'two')];
  for (const copy of copies) await copyAsKilled(path, copy);
  const runs: string[] = [];
  for (const one of [path, path, ...copies]) {
    const store = await openStore(one);
    expect(store.run).toMatch(/^[0-9a-f]{16}$/);
    runs.push(store.run);
    await store.close();
  }
  expect(new Set(runs).size).toBe(4);
});

test('lanes of one store do not see each other', async () => {
  const store = await openStore(await tempDir());
  const [one, two] = [await store.lane('one'), await store.lane('two')];
  await Promise.all([append(one, numbered(1)), append(two, numbered(2)), append(one, numbered(3))]);
  expect((await one.read(0, 10)).messages.map(({ message }) => message.seq)).toEqual([1, 3]);
  expect((await two.read(0, 10)).messages.map(({ message }) => message.seq)).toEqual([2]);
});

test('a damaged and a missing record are counted and skipped, all others are read', async () => {
  const path = await tempDir();
  const first = await openStore(path);
  const log = await first.lane(LANE);
  await Promise.all([1, 2, 3, 4, 5, 6].map((seq) => append(log, numbered(seq))));
  await first.close();
  await tamper(path, async (db) => {
    const key = recordKey(1, 1);
    const record = await db.get(key);
    if (record === undefined) throw new Error('the record is not where the test expects it');
    record.writeUInt8(record.readUInt8(20) ^ 1, 20);
    await db.put(key, record);
    await db.batch().del(recordKey(1, 3)).del(recordKey(1, 4)).write();
  });
  const store = await openStore(path);
  const damaged = await store.lane(LANE);
  const { lost } = await damaged.read(0, 10);
  const chunk = await damaged.read(0, 10); // as after a lost link: the damage is not told again
  expect(chunk.messages.map(({ message }) => message.seq)).toEqual([1, 3, 6]);
  expect(chunk.nextOffset).toBe(6);
  expect(chunk.lost).toEqual([]);
  expect(lost).toMatchObject([
    { fromOffset: 1, count: 1, epoch: 1, fromSeq: 2, toEpoch: 1, toSeq: 2 },
    { fromOffset: 3, count: 2, epoch: 1, fromSeq: 4, toEpoch: 1, toSeq: 5 },
  ]);
});

test('the last seqs of a run that ended cleanly are found by the next one, and only by that', async () => {
  const path = await tempDir();
  const first = await openStore(path);
  expect(first.previousRuns).toMatchObject([]);
  await first.close(new Map([[LANE, 17]]));
  const second = await openStore(path);
  expect(second.previousRuns).toMatchObject([{ epoch: 1, lastSeqs: new Map([[LANE, 17]]) }]);
  await second.previousRunsTold();
  await second.close();
  const third = await openStore(path);
  expect(third.previousRuns).toMatchObject([{ epoch: 2, lastSeqs: undefined }]);
});

test('an end that a run did not come to tell is found by the one after, also when that one ends cleanly', async () => {
  const path = await tempDir();
  const [one, three] = [new Map([[LANE, 17]]), new Map([[LANE, 5]])];
  await (await openStore(path)).close(one);
  await (await openStore(path)).close(); // as after a kill: nothing is told
  const third = await openStore(path);
  const untold = [
    { epoch: 1, lastSeqs: one },
    { epoch: 2, lastSeqs: undefined },
  ];
  expect(third.previousRuns).toMatchObject(untold);
  await third.close(three);
  const fourth = await openStore(path);
  expect(fourth.previousRuns).toMatchObject([...untold, { epoch: 3, lastSeqs: three }]);
  await fourth.previousRunsTold();
  expect(fourth.previousRuns).toMatchObject([]);
  await fourth.close(new Map());
  expect((await openStore(path)).previousRuns).toMatchObject([{ epoch: 4, lastSeqs: new Map() }]);
});

test('a message that is parked twice is kept once', async () => {
  const store = await openStore(await tempDir());
  const log = await store.lane(LANE);
  await log.park(numbered(1), refused('unroutable', 1));
  await log.park(numbered(1), refused('unroutable', 1));
  await log.park(numbered(2), refused('rejected', 1));
  expect(await store.parkedCount(LANE)).toBe(2);
});

test('parked messages that are large are read and released a few at a time, and at least one', async () => {
  const store = await openStore(await tempDir());
  const log = await store.lane(LANE);
  const payload = Buffer.alloc(1024 ** 2);
  for (let seq = 1; seq <= 10; seq += 1) {
    await log.park({ ...numbered(seq), payload }, refused('unroutable', 1));
  }
  await log.park({ ...numbered(11), payload: Buffer.alloc(5 * 1024 ** 2) }, refused('rejected', 1));
  expect(await log.parked(100)).toHaveLength(4);
  expect(await log.parked(100, 'rejected')).toHaveLength(1);
  const released: number[] = [];
  for (let count = -1; count !== 0; ) {
    count = (await log.unpark(100)).messages;
    released.push(count);
  }
  expect(released).toEqual([4, 4, 3, 0]);
});

test('a process that is killed leaves the mark that was recorded last', async () => {
  const path = await tempDir();
  const log = await (await openStore(path)).lane(LANE);
  await Promise.all([1, 2, 3, 4].map((seq) => append(log, numbered(seq))));
  log.settle(3);
  await log.record();
  const killed = join(await tempDir(), 'store');
  await copyAsKilled(path, killed);
  const next = await (await openStore(killed)).lane(LANE);
  expect(next.lowWaterMark).toBe(3);
  expect(next.recordedMark).toBe(3);
});

test('without a checkpoint the mark says where an empty log goes on', async () => {
  const path = await tempDir();
  const first = await openStore(path);
  const before = await first.lane(LANE);
  await Promise.all([1, 2].map((seq) => append(before, numbered(seq))));
  before.settle(2);
  await first.close();
  await rm(`${path}/checkpoint`);
  const log = await (await openStore(path)).lane(LANE);
  expect(log.lowWaterMark).toBe(2);
  expect(await append(log, numbered(3))).toBe(2);
});

test('a checkpoint that cannot be written holds nothing up', async () => {
  const path = await tempDir();
  const earlier = await openStore(path);
  const before = await earlier.lane(LANE);
  await Promise.all([1, 2, 3, 4].map((seq) => append(before, numbered(seq))));
  before.settle(1);
  await earlier.close();
  await rm(`${path}/checkpoint`);
  await mkdir(`${path}/checkpoint`); // it cannot be opened as a file
  const log = await (await openStore(path)).lane(LANE);
  expect(log.recordedMark).toBe(1);
  log.settle(3);
  await log.record();
  expect(log.recordedMark).toBe(3);
});

test('a store in use names the process that holds it', async () => {
  const path = await tempDir();
  await openStore(path);
  const second = openStore(path);
  await expect(second).rejects.toMatchObject({ code: 'STORE_LOCKED' });
  await expect(second).rejects.toThrow(`pid ${process.pid}`);
});

test('a store of another format is left alone', async () => {
  const path = await tempDir();
  await (await openStore(path)).close();
  await tamper(path, (db) => db.put(FORMAT_KEY, seal(FORMAT_KEY, Buffer.from([99]))));
  await expect(openStore(path)).rejects.toMatchObject({ code: 'STORE_FORMAT_UNKNOWN' });
});

test('a backlog is written to the log and to tables, and never merged', async () => {
  const path = await tempDir();
  const log = await (await openStore(path)).lane(LANE);
  const payload = randomBytes(8 * 1024); // 36 MiB are eight tables, and LevelDB merges four that lie over each other
  for (let seq = 1; seq <= 4_500; seq += 500) {
    const records = Array.from({ length: 500 }, (_, n) => ({ ...numbered(seq + n), payload }));
    await Promise.all(records.map((record) => append(log, record)));
  }
  const said = await readFile(`${path}/db/LOG`, 'utf8');
  expect(said.match(/Level-0 table .* OK/g)?.length).toBeGreaterThan(4);
  expect(said).not.toContain('Compacting');
});

test('what is not on disk when the store closes is refused, not promised', async () => {
  const store = await openStore(await tempDir());
  const log = await store.lane(LANE);
  await store.close();
  await expect(append(log, numbered(1))).rejects.toMatchObject({ code: 'STORE_CLOSED' });
});

test('a message that is parked twice at once is no loss at the next start', async () => {
  const path = await tempDir();
  const store = await openStore(path);
  const log = await store.lane(LANE);
  await Promise.all([1, 2].map((atMs) => log.park(numbered(1), refused('unroutable', atMs))));
  await store.close();
  const findings: unknown[] = [];
  const limits = { maxBytes: 1024 ** 3, reserveBytes: 0, ballastBytes: 0 };
  const nothing = (): void => undefined;
  const onFinding = (found: unknown): void => void findings.push(found);
  const next = new LevelStore(
    { path, ...limits },
    { onFinding, onTrouble: nothing, onRecovered: nothing },
  );
  await next.open();
  onTestFinished(() => next.close());
  expect(await next.parkedCount(LANE)).toBe(1);
  await next.lane(LANE);
  expect(findings).toEqual([]);
});
