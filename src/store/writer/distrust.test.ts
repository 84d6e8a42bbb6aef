import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import type { ControlledDisk } from '../../../test/helpers/controlled-disk.ts';
import { eventually } from '../../../test/helpers/eventually.ts';
import { tempDir } from '../../../test/helpers/temp-dir.ts';
import { DiskRoom } from '../disk.ts';
import { BatchWriter } from './batch-writer.ts';
import type { WritingHandle } from './handle.ts';

const PATIENCE = { withinMs: 5_000 };
const KEY = Buffer.from('key');

const shared = vi.hoisted((): { disk?: ControlledDisk; compacts: boolean } => ({ compacts: true }));

vi.mock('./handle.ts', async (importOriginal) => {
  const original = await importOriginal<typeof import('./handle.ts')>();
  const { ControlledDisk } = await import('../../../test/helpers/controlled-disk.ts');
  const disk = new ControlledDisk();
  shared.disk = disk;
  return {
    createHandle: (location: string): WritingHandle =>
      disk.control(original.createHandle(location)),
    compact: () =>
      shared.compacts ? Promise.resolve() : Promise.reject(new Error('the disk fails')),
  };
});

beforeEach(() => {
  shared.compacts = true;
});

class RoomyDisk extends DiskRoom {
  override hasReserve(): Promise<boolean> {
    return Promise.resolve(true);
  }
}

/** A writer at work, and what happens to it, in order. */
async function startWriter() {
  const happened: string[] = [];
  const writer: BatchWriter = new BatchWriter(await tempDir(), new RoomyDisk('', 0, 0), {
    reopen: async () => {
      happened.push('opened again');
      await writer.database.open();
    },
    addHead: (batch) => void batch.put(KEY, KEY),
    batchWritten: () => undefined,
    addInPassing: () => undefined,
    onTrouble: () => happened.push('trouble'),
    onRecovered: () => happened.push('recovered'),
  });
  await writer.database.open();
  onTestFinished(async () => {
    await writer.close();
    await writer.database.close();
  });
  const write = (name: string): void =>
    writer.write({
      bytes: 1,
      addTo: (batch) => void batch.put(Buffer.from(name), KEY),
      written: () => happened.push(name),
      abandoned: () => undefined,
    });
  return { writer, happened, write };
}

function disk(): ControlledDisk {
  if (shared.disk === undefined) throw new Error('no database was made yet');
  return shared.disk;
}

const FOUND: readonly [string, (writer: BatchWriter) => unknown][] = [
  ['a read', (writer) => writer.distrust(new Error('a table cannot be read'))],
  [
    'a compaction',
    (writer) => {
      shared.compacts = false;
      return writer.compact({ gte: KEY, lt: Buffer.from('z') });
    },
  ],
];

test.each(FOUND)(
  'what %s finds is told, and nothing counts until the database was opened again',
  async (_what, find) => {
    const { writer, happened, write } = await startWriter();
    await find(writer);
    expect(writer.writable).toBe(false);
    write('a message');
    await eventually(() => expect(happened).toContain('a message'), PATIENCE);
    expect(happened).toEqual(['trouble', 'opened again', 'recovered', 'a message']);
  },
);

test('a batch that returns after the database has failed counts only when it was written again', async () => {
  const { writer, happened, write } = await startWriter();
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  let batches = 0;
  disk().before = () => {
    batches += 1;
    return batches === 1 ? released : Promise.resolve();
  };
  write('a message');
  await eventually(() => expect(batches).toBe(1), PATIENCE);
  writer.distrust(new Error('a table cannot be read'));
  release();
  await eventually(() => expect(happened).toContain('a message'), PATIENCE);
  expect(happened).toEqual(['trouble', 'opened again', 'recovered', 'a message']);
  expect(batches).toBe(3); // the head of the opened database is between the two
});

test('an opening that cannot be written is no opening', async () => {
  const { writer, happened, write } = await startWriter();
  let failures = 2;
  disk().before = () => {
    failures -= 1;
    return failures < 0 ? Promise.resolve() : Promise.reject(new Error('the disk fails'));
  };
  writer.distrust(new Error('a table cannot be read'));
  write('a message');
  await eventually(() => expect(happened).toContain('a message'), PATIENCE);
  const opened = happened.filter((what) => what === 'opened again');
  expect(opened).toHaveLength(3);
  expect(happened.slice(-2)).toEqual(['recovered', 'a message']);
});
