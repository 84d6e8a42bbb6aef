import type { LogChunk, LostRecords, StoredMessage } from '../delivery/ports.ts';
import { errorText } from '../shared/errors.ts';
import { offsetOf, recordKey, recordsEnd } from './keys.ts';
import { OffsetRanges } from './offset-ranges.ts';
import { decodeRecord, isReleased } from './record.ts';
import type { BatchWriter } from './writer/batch-writer.ts';
import type { DatabaseView } from './writer/database.ts';

/** An iterator keeps the tables of its beginning on disk and mapped into memory, deleted or not: renewed after two. */
const RENEW_ITERATOR_AFTER_BYTES = 4 * 1024 * 1024;
/** Bytes LevelDB hands over at once; bounds the memory of a read whatever the size of the messages. */
const READ_AHEAD_BYTES = 256 * 1024;

/** A message's place in the order of arrival. */
export interface Identity {
  readonly epoch: number;
  readonly seq: number;
}

/** Records up to, but without, `to`. */
interface Stretch {
  readonly found: readonly StoredMessage[];
  readonly to: number;
}

export interface LaneReaderParts {
  readonly db: DatabaseView;
  readonly number: number;
  /** All below it is settled and may be deleted at any moment, also while it is read. */
  readonly lowWaterMark: () => number;
  /** Says whether the database is what it should be, or is being opened again. */
  readonly writer: Pick<BatchWriter, 'isTrusted' | 'reopensTotal'>;
  /** A read failed, as it does on a damaged table. True: the database is being opened again or mended, read again later. */
  readonly onFailure: (error: unknown) => boolean;
  /** Something is about to be given up. */
  readonly beforeLoss: () => Promise<void>;
}

/**
 * Reads the records of a lane and finds what is gone. Only a record whose checksum is right counts, for its
 * key may be what is damaged; any offset without one is asked for by its key before it is given up.
 */
export class LaneReader {
  readonly #parts: LaneReaderParts;
  #iterator: ReturnType<typeof iterate> | undefined;
  #iteratorAt = 0;
  #iteratorReadBytes = 0;
  readonly #told = new OffsetRanges();
  #last: (Identity & { offset: number }) | undefined;
  #fault = 'missing';
  /** Of all records so far. */
  bytesRead = 0;
  /** What stood last below that offset, if that is known from elsewhere. */
  knownLast: (Identity & { endOffset: number }) | undefined;

  constructor(parts: LaneReaderParts) {
    this.#parts = parts;
  }

  /**
   * Reads on from `offset`, or from the low-water mark if that is higher; a stretch that is lost is read to its end, so that its right neighbour is known.
   * @throws {Error} while the database is being opened again: what is not there then may be there in the end.
   */
  async read(offset: number, endOffset: number, maxCount: number): Promise<LogChunk> {
    const { writer, lowWaterMark } = this.#parts;
    const { reopensTotal } = writer;
    this.#fault = 'missing';
    const from = Math.max(offset, lowWaterMark());
    let at = from;
    let found: readonly StoredMessage[] = [];
    while (found.length === 0 && at < endOffset) {
      ({ found, to: at } = await this.#scan(at, endOffset, maxCount));
    }
    if (hasGap(from, found, at)) {
      found = await this.#rescue(from, found, at);
      if (!writer.isTrusted || writer.reopensTotal !== reopensTotal) {
        await this.endRead();
        throw new Error('the database is being opened again');
      }
    }
    const last = found.at(-1);
    const nextOffset = last === undefined || at >= endOffset ? at : last.offset + 1;
    const lost = this.#lost(Math.max(from, lowWaterMark()), found, nextOffset);
    if (lost.length > 0) await this.#parts.beforeLoss();
    return {
      messages: found,
      lost,
      nextOffset,
    };
  }

  async endRead(): Promise<void> {
    const iterator = this.#iterator;
    this.#iterator = undefined;
    await iterator?.close();
  }

  /** Below the low-water mark nothing is read any more. */
  forgetBelow(offset: number): void {
    this.#told.forgetBelow(offset);
  }

  async #scan(at: number, end: number, maxCount: number): Promise<Stretch> {
    try {
      let isFresh = this.#iterator === undefined || this.#iteratorAt !== at;
      for (;;) {
        const entries = await this.#next(at, maxCount);
        const found = this.#readable(entries, at, end);
        const last = found.at(-1);
        if (last !== undefined) {
          this.#iteratorAt = last.offset + 1;
          return { found, to: last.offset + 1 };
        }
        if (entries.length > 0) continue;
        await this.endRead();
        if (isFresh) return { found, to: end };
        isFresh = true; // The iterator's snapshot may have been older than the newest records.
      }
    } catch (error) {
      await this.endRead().catch(() => undefined);
      if (this.#parts.onFailure(error)) throw error;
      const to = Math.min(end, at + maxCount);
      return { found: await this.#get(at, to), to };
    }
  }

  async #next(offset: number, maxCount: number): Promise<[Buffer, Buffer][]> {
    if (this.#iteratorAt !== offset || this.#iteratorReadBytes >= RENEW_ITERATOR_AFTER_BYTES) {
      await this.endRead();
    }
    if (this.#iterator === undefined) {
      const { db, number } = this.#parts;
      this.#iterator = iterate(db, number, offset);
      this.#iteratorReadBytes = 0;
      this.#iteratorAt = offset;
    }
    const entries = await this.#iterator.nextv(maxCount);
    const bytes = entries.reduce((sum, [, value]) => sum + value.length, 0);
    this.#iteratorReadBytes += bytes;
    this.bytesRead += bytes;
    return entries;
  }

  #readable(entries: readonly [Buffer, Buffer][], from: number, end: number): StoredMessage[] {
    const found: StoredMessage[] = [];
    let expected = from;
    for (const [key, value] of entries) {
      const one = this.#decode(key, value);
      if (one === undefined || one.offset < expected || one.offset >= end) continue;
      found.push(one);
      expected = one.offset + 1;
    }
    return found;
  }

  #decode(key: Buffer, value: Buffer): StoredMessage | undefined {
    try {
      const message = decodeRecord(key, value);
      return { offset: offsetOf(key), message, isReleased: isReleased(value) };
    } catch (error) {
      this.#fault = errorText(error);
      return undefined;
    }
  }

  /** Asks for each offset that is not there: an iterator passes over more than what is damaged. */
  async #rescue(
    from: number,
    found: readonly StoredMessage[],
    to: number,
  ): Promise<readonly StoredMessage[]> {
    const all: StoredMessage[] = [];
    let expected = from;
    for (const one of found) {
      if (one.offset > expected) all.push(...(await this.#get(expected, one.offset)));
      all.push(one);
      expected = one.offset + 1;
    }
    all.push(...(await this.#get(expected, to)));
    return all;
  }

  async #get(from: number, to: number): Promise<StoredMessage[]> {
    const { db, number } = this.#parts;
    const found: StoredMessage[] = [];
    for (let offset = from; offset < to; offset += 1) {
      const key = recordKey(number, offset);
      const value = await db.get(key).catch((error: unknown) => {
        // Nothing is known yet: the lane asks again.
        if (db.status !== 'open' || this.#parts.onFailure(error)) throw error;
        this.#fault = errorText(error);
        return undefined;
      });
      const one = value === undefined ? undefined : this.#decode(key, value);
      if (one !== undefined) found.push(one);
    }
    return found;
  }

  #lost(from: number, found: readonly StoredMessage[], to: number): LostRecords[] {
    const lost: LostRecords[] = [];
    let expected = from;
    for (const one of found) {
      if (one.offset > expected) {
        lost.push(...this.#tell(expected, one.offset, found.slice(found.indexOf(one))));
      }
      expected = Math.max(expected, one.offset + 1);
      const { epoch, seq } = one.message;
      if (!one.isReleased) this.#last = { epoch, seq, offset: one.offset };
    }
    if (to > expected) lost.push(...this.#tell(expected, to, []));
    return lost;
  }

  #tell(from: number, to: number, behind: readonly StoredMessage[]): LostRecords[] {
    const left = this.#last !== undefined && this.#last.offset < from ? this.#last : undefined;
    const right = behind.find((one) => !one.isReleased)?.message;
    const upper = this.#upperBound(to, right);
    const bounds = {
      ...(left === undefined ? {} : { epoch: left.epoch, fromSeq: left.seq + 1 }),
      ...(upper === undefined ? {} : { toEpoch: upper.epoch, toSeq: upper.seq }),
      detail: this.#fault,
    };
    const fresh = this.#told.add(from, to);
    return fresh.map((one) => ({ fromOffset: one.from, count: one.to - one.from, ...bounds }));
  }

  #upperBound(to: number, right: Identity | undefined): Identity | undefined {
    const known = this.knownLast;
    const isBehindKnown = known !== undefined && to <= known.endOffset;
    if (isBehindKnown && (right === undefined || right.epoch > known.epoch)) return known;
    return right === undefined ? undefined : { epoch: right.epoch, seq: right.seq - 1 };
  }
}

function hasGap(from: number, found: readonly StoredMessage[], to: number): boolean {
  return found.length < to - from;
}

function iterate(db: DatabaseView, lane: number, offset: number) {
  return db.iterator<Buffer, Buffer>({
    gte: recordKey(lane, offset),
    lt: recordsEnd(lane),
    highWaterMarkBytes: READ_AHEAD_BYTES,
    fillCache: false,
  });
}
