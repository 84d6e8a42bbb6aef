import {
  decodeU48,
  EPOCH_KEY,
  isRecordKey,
  LANE_NAME_RANGE,
  laneNameOf,
  laneOf,
  markKey,
  offsetOf,
  PARKED_RANGE,
  parkedRange,
  RECORD_RANGE,
  recordKey,
  recordsEnd,
  SERIAL_KEY,
} from './keys.ts';
import type { Identity } from './lane-reader.ts';
import { decodeParked } from './parked.ts';
import { decodeRecord, isReleased } from './record.ts';
import { unseal } from './sealed.ts';
import type { DatabaseView } from './writer/database.ts';

/** Where the records of one lane lie, as far as they can be read. */
export interface Positions {
  /** Undefined when nothing was ever settled, or the mark is lost. */
  readonly mark: number | undefined;
  readonly firstOffset: number | undefined;
  /** Behind the last readable record; 0 when there is none. */
  readonly endOffset: number;
  /** The last record in order of arrival, and where it lies. */
  readonly last: (Identity & { readonly offset: number }) | undefined;
}

/** What the database says of itself. */
export interface Contents {
  /** The highest epoch anything in it has; 0 when it is new. */
  readonly epoch: number;
  /** Of the newest batch in it that has one; 0 when there is none. */
  readonly serial: number;
  readonly laneNumbers: ReadonlyMap<string, number>;
  /** Highest lane number in use, also by records whose lane has no name any more. */
  readonly maxLaneNumber: number;
}

/** Records looked at from behind in search of a readable one, at once. */
const LOOK_BACK_COUNT = 200;

export async function readPositions(db: DatabaseView, number: number): Promise<Positions> {
  const key = markKey(number);
  const mark = await readSealed(db, key);
  const range = { gte: recordKey(number, 0), lt: recordsEnd(number) };
  const [first] = await db.keys({ ...range, limit: 1 }).all();
  let endOffset = 0;
  let last: Positions['last'];
  const backwards = db.iterator({ ...range, reverse: true });
  try {
    search: for (;;) {
      const entries = await backwards.nextv(LOOK_BACK_COUNT);
      if (entries.length === 0) break;
      for (const [key, value] of entries) {
        const identity = identityIn(key, value);
        if (identity === undefined) continue;
        if (endOffset === 0) endOffset = offsetOf(key) + 1;
        if (isReleased(value)) continue;
        last = { ...identity, offset: offsetOf(key) };
        break search;
      }
    }
  } finally {
    await backwards.close();
  }
  return {
    mark: mark === undefined ? undefined : decodeU48(mark),
    firstOffset: first === undefined || !isRecordKey(first) ? undefined : offsetOf(first),
    endOffset,
    last,
  };
}

/**
 * A sealed value; undefined when it is damaged or there is none. Not by `get`: after a repair that may find an
 * older value in a table with a higher number, while an iterator goes by the age of the entries.
 */
export async function readSealed(db: DatabaseView, key: Buffer): Promise<Buffer | undefined> {
  const [value] = await db.values({ gte: key, lte: key, limit: 1 }).all();
  return unseal(key, value);
}

/** @throws when the database cannot be read. */
export async function readContents(db: DatabaseView): Promise<Contents> {
  const laneNumbers = new Map<string, number>();
  for await (const [key, value] of db.iterator(LANE_NAME_RANGE)) {
    const number = unseal(key, value);
    if (number !== undefined) laneNumbers.set(laneNameOf(key), number.readUInt16BE(0));
  }
  const numbers = new Set(laneNumbers.values());
  for (const range of [RECORD_RANGE, PARKED_RANGE]) {
    const [last] = await db.keys({ ...range, limit: 1, reverse: true }).all();
    if (last !== undefined) numbers.add(laneOf(last));
  }
  const serial = await readSealed(db, SERIAL_KEY);
  let epoch = (await readSealed(db, EPOCH_KEY))?.readUInt32BE(0) ?? 0;
  for (const number of numbers) {
    const { last } = await readPositions(db, number);
    epoch = Math.max(epoch, last?.epoch ?? 0, await highestParkedEpoch(db, number));
  }
  return {
    epoch,
    serial: serial === undefined ? 0 : decodeU48(serial),
    laneNumbers,
    maxLaneNumber: Math.max(0, ...numbers),
  };
}

/** Of the last parked message that can be read: a damaged key may say anything. */
async function highestParkedEpoch(db: DatabaseView, number: number): Promise<number> {
  const backwards = db.iterator({ ...parkedRange(number), reverse: true });
  try {
    for (;;) {
      const [entry] = await backwards.nextv(1);
      if (entry === undefined) return 0;
      const [key, value] = entry;
      try {
        return decodeParked(key, value).message.epoch;
      } catch {
        // The one before it may be whole.
      }
    }
  } finally {
    await backwards.close();
  }
}

function identityIn(key: Buffer, value: Buffer): Identity | undefined {
  try {
    return decodeRecord(key, value);
  } catch {
    return undefined;
  }
}
