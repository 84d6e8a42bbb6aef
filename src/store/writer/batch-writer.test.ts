import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../../../test/helpers/eventually.ts';
import { tempDir } from '../../../test/helpers/temp-dir.ts';
import { DiskRoom } from '../disk.ts';
import { BatchWriter } from './batch-writer.ts';

const PATIENCE = { withinMs: 5_000 };

/** A disk whose free space is in the hands of the test. */
class SwitchedRoom extends DiskRoom {
  hasRoom = false;

  override async hasReserve(): Promise<boolean> {
    return this.hasRoom;
  }
}

async function writerOn(room: SwitchedRoom) {
  const told: string[] = [];
  const batches: boolean[] = [];
  const writer = new BatchWriter(await tempDir(), room, {
    reopen: () => writer.database.open(),
    addHead: () => undefined,
    batchWritten: () => undefined,
    addInPassing: (_, isWitnessed) => void batches.push(isWitnessed),
    onTrouble: () => told.push('trouble'),
    onRecovered: () => told.push('recovered'),
  });
  await writer.database.open();
  onTestFinished(async () => {
    await writer.close();
    await writer.database.close();
  });
  const written: string[] = [];
  const write = (name: string, freesRoom: boolean, isWitnessed = false): void =>
    writer.write({
      bytes: 1,
      freesRoom,
      isWitnessed,
      addTo: (batch) => void batch.put(Buffer.from(name), Buffer.from(name)),
      written: () => written.push(name),
      abandoned: () => written.push(`${name} abandoned`),
    });
  return { writer, written, write, told, batches };
}

test('a disk without its reserve takes what frees room, and all else waits in order until it is back', async () => {
  const room = new SwitchedRoom('', 0, 0);
  const { writer, written, write, told } = await writerOn(room);
  write('append 1', false);
  write('append 2', false);
  write('park', true);
  await eventually(() => expect(written).toEqual(['park']), PATIENCE);
  await eventually(() => expect(told).toEqual(['trouble']), PATIENCE);
  write('discard', true);
  await eventually(() => expect(written).toEqual(['park', 'discard']), PATIENCE);
  expect(writer.writable).toBe(false);
  room.hasRoom = true;
  await eventually(() => expect(written.slice(2)).toEqual(['append 1', 'append 2']), PATIENCE);
  expect(told).toEqual(['trouble', 'recovered']);
});

test('that the reserve is back is noticed also when nothing waits to be written', async () => {
  const room = new SwitchedRoom('', 0, 0);
  const { writer, written, write } = await writerOn(room);
  write('park', true);
  await eventually(() => expect(written).toEqual(['park']), PATIENCE);
  expect(writer.lacksReserve).toBe(true);
  room.hasRoom = true;
  await eventually(() => expect(writer.lacksReserve).toBe(false), PATIENCE);
  await eventually(() => expect(writer.writable).toBe(true), PATIENCE);
});

test('a writer that is closed without its reserve gives up what waits', async () => {
  const { writer, written, write } = await writerOn(new SwitchedRoom('', 0, 0));
  write('append', false);
  await eventually(() => expect(writer.writable).toBe(false), PATIENCE);
  await writer.close();
  expect(written).toEqual(['append abandoned']);
});

test('what comes while the writer closes is given up in its turn, behind what came before it', async () => {
  const room = new SwitchedRoom('', 0, 0);
  room.hasRoom = true;
  const { writer, written, write } = await writerOn(room);
  write('in the batch', false);
  await new Promise(setImmediate);
  write('queued', false);
  const closed = writer.close();
  write('late', false);
  expect(written).toEqual([]);
  await closed;
  write('after', false);
  await Promise.resolve();
  expect(written).toEqual([
    'in the batch',
    'queued abandoned',
    'late abandoned',
    'after abandoned',
  ]);
});

test('a batch is witnessed when all in it is', async () => {
  const room = new SwitchedRoom('', 0, 0);
  room.hasRoom = true;
  const { written, write, batches } = await writerOn(room);
  write('append 1', false, true);
  write('append 2', false, true);
  await eventually(() => expect(written).toHaveLength(2), PATIENCE);
  write('append 3', false, true);
  write('park', true);
  await eventually(() => expect(written).toHaveLength(4), PATIENCE);
  expect(batches).toEqual([true, false]);
});
