import { join } from 'node:path';
import { Level } from 'level';
import { expect, onTestFinished, test } from 'vitest';
import { tempDir } from '../../test/helpers/temp-dir.ts';
import type { LaneMessage } from '../shared/message.ts';
import { recordKey } from './keys.ts';
import { LaneReader } from './lane-reader.ts';
import { encodeRecord } from './record.ts';

const LANE = 1;

function message(seq: number): LaneMessage {
  const payload = Buffer.from(String(seq));
  const rest = { qos: 1, dup: false, retain: false, clientId: 'c', receivedAtMs: 1 } as const;
  return { gatewayId: 'g', epoch: 1, seq, routingKey: 'a', topic: 'a', payload, ...rest };
}

/** A reader of a log with the records 0 and 2. `writer` is what the reader is told of the database. */
async function readerOfHole(
  writer: { isTrusted: boolean; reopensTotal: number },
  lowWaterMark: () => number = () => 0,
) {
  const db = new Level<Buffer, Buffer>(join(await tempDir('reader'), 'db'), {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
  });
  await db.open();
  onTestFinished(() => db.close());
  for (const offset of [0, 2]) {
    const key = recordKey(LANE, offset);
    await db.put(key, encodeRecord(key, message(offset + 1)));
  }
  let given = 0;
  const reader = new LaneReader({
    db,
    number: LANE,
    lowWaterMark,
    writer,
    onFailure: () => true,
    beforeLoss: async () => {
      given += 1;
    },
  });
  return { reader, givenUp: () => given };
}

test('a record that is not there is told lost', async () => {
  const { reader, givenUp } = await readerOfHole({ isTrusted: true, reopensTotal: 0 });
  const { messages, lost } = await reader.read(0, 3, 10);
  expect(messages.map(({ offset }) => offset)).toEqual([0, 2]);
  expect(lost).toMatchObject([{ fromOffset: 1, count: 1, epoch: 1, fromSeq: 2, toSeq: 2 }]);
  expect(givenUp()).toBe(1);
  await reader.endRead();
});

test('nothing is told lost while the database is being opened again: it may be there in the end', async () => {
  const writer = { isTrusted: false, reopensTotal: 1 };
  const { reader, givenUp } = await readerOfHole(writer);
  await expect(reader.read(0, 3, 10)).rejects.toThrow('opened again');
  expect(givenUp()).toBe(0);
  writer.isTrusted = true;
  expect((await reader.read(0, 3, 10)).lost).toHaveLength(1);
  await reader.endRead();
});

test('a reopening during a read takes away what the read found missing', async () => {
  const writer = { isTrusted: true, reopensTotal: 0 };
  const { reader, givenUp } = await readerOfHole(writer);
  const reading = reader.read(0, 3, 10);
  writer.reopensTotal = 1;
  await expect(reading).rejects.toThrow('opened again');
  expect(givenUp()).toBe(0);
});

test('what is settled and deleted is no loss, whether the read begins below the mark or the mark passes it', async () => {
  const writer = { isTrusted: true, reopensTotal: 0 };
  const below = await readerOfHole(writer, () => 2);
  expect(await below.reader.read(0, 3, 10)).toMatchObject({ lost: [], nextOffset: 3 });
  await below.reader.endRead();
  let calls = 0;
  const passed = await readerOfHole(writer, () => (calls++ === 0 ? 0 : 2)); // settled while it was read
  expect(await passed.reader.read(0, 3, 10)).toMatchObject({ lost: [], nextOffset: 3 });
  expect(passed.givenUp() + below.givenUp(), 'no files are kept for it').toBe(0);
  await passed.reader.endRead();
});
