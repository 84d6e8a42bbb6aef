import { ClassicLevel } from 'classic-level';
import type { LaneLog, LogChunk, ParkReason, StoredMessage } from '../delivery/ports.ts';
import { errorText, GatewayError } from '../shared/errors.ts';
import type { LaneMessage } from '../shared/message.ts';
import type { Batch, BatchWriter, Db, WriteTask } from './batch-writer.ts';
import {
  decodeU48,
  encodeU48,
  markKey,
  offsetOf,
  parkedKey,
  parkedRange,
  recordKey,
  recordsEnd,
} from './keys.ts';
import { decodeParked, encodeParked } from './parked.ts';
import { decodeRecord, encodeRecord } from './record.ts';

/** Records that cannot be delivered any more, found while reading. */
export interface Damage {
  readonly lane: string;
  readonly fromOffset: number;
  readonly count: number;
  readonly detail: string;
}

export interface LaneLogParts {
  readonly db: Db;
  readonly writer: BatchWriter;
  readonly name: string;
  readonly number: number;
  readonly onDamage: (damage: Damage) => void;
}

/** An iterator holds a snapshot, and what was deleted since stays on disk for it: renewed after this many. */
const RENEW_ITERATOR_AFTER = 50_000;
/** Bytes LevelDB hands over at once; bounds the memory of a read whatever the size of the messages. */
const READ_AHEAD_BYTES = 256 * 1024;
/** Deleting the settled front in ranges of this size costs little and keeps the disk from growing. */
const CLEAR_EVERY = 5_000;
/** Compacting rewrites files: not for a handful of records. */
const COMPACT_AFTER = 1_000;

/** The log of one lane in LevelDB. See {@link LaneLog} for what it guarantees. */
export class LevelLaneLog implements LaneLog {
  readonly #parts: LaneLogParts;
  #iterator: ReturnType<typeof iterate> | undefined;
  #iteratorAt = 0;
  #iteratorRead = 0;
  #nextAssigned = 0;
  #persistedMark = 0;
  #cleared = 0;
  #clearedSinceCompaction = 0;
  /** Where damage was found that has been told: a lost link makes the lane read the same records again. */
  readonly #toldDamage = new Set<number>();
  lowWaterMark = 0;
  endOffset = 0;

  constructor(parts: LaneLogParts) {
    this.#parts = parts;
  }

  get name(): string {
    return this.#parts.name;
  }

  /** Reads the positions from the database; again after every reopening, as only the disk knows the truth. */
  async load(): Promise<void> {
    const { db, number } = this.#parts;
    const mark = await db.get(markKey(number));
    const range = { gte: recordKey(number, 0), lt: recordsEnd(number) };
    const [first] = await db.keys({ ...range, limit: 1 }).all();
    const [last] = await db.keys({ ...range, limit: 1, reverse: true }).all();
    const persisted = mark === undefined ? undefined : decodeU48(mark);
    this.#persistedMark = persisted ?? 0;
    // Without a mark nothing was ever settled here, or the mark is lost: then the first record tells.
    const start = persisted ?? (first === undefined ? 0 : offsetOf(first));
    this.lowWaterMark = Math.max(this.lowWaterMark, start);
    this.#cleared =
      first === undefined ? this.lowWaterMark : Math.min(offsetOf(first), this.lowWaterMark);
    this.endOffset = Math.max(last === undefined ? 0 : offsetOf(last) + 1, this.lowWaterMark);
    this.#nextAssigned = this.endOffset;
    await this.endRead();
  }

  append(message: LaneMessage): Promise<number> {
    return this.#append(message, undefined);
  }

  #append(message: LaneMessage, also: ((batch: Batch) => void) | undefined): Promise<number> {
    return new Promise((resolve, reject) => {
      let offset = 0;
      const task: WriteTask = {
        bytes: message.payload.length + message.topic.length + message.clientId.length + 64,
        addTo: (batch) => {
          // The offset is given only here: a batch that failed leaves no hole behind.
          offset = this.#nextAssigned++;
          const key = recordKey(this.#parts.number, offset);
          batch.put(key, encodeRecord(key, message));
          also?.(batch);
        },
        written: () => {
          this.endOffset = offset + 1;
          resolve(offset);
        },
        abandoned: reject,
      };
      this.#parts.writer.write(task);
    });
  }

  park(message: LaneMessage, reason: ParkReason, detail: string): Promise<void> {
    const key = parkedKey(this.#parts.number, message.epoch, message.seq);
    const value = encodeParked(key, message, { reason, detail, parkedAtMs: Date.now() });
    return new Promise((resolve, reject) => {
      this.#parts.writer.write({
        bytes: value.length,
        addTo: (batch) => {
          batch.put(key, value);
        },
        written: resolve,
        abandoned: reject,
      });
    });
  }

  async unpark(maxCount: number): Promise<number> {
    const { db, number } = this.#parts;
    const found = await db.iterator({ ...parkedRange(number), limit: maxCount }).all();
    let moved = 0;
    for (const [key, value] of found) {
      try {
        await this.#append(decodeParked(key, value).message, (batch) => batch.del(key));
        moved += 1;
      } catch (error) {
        if (isClosed(error)) throw error;
        this.#parts.onDamage({
          lane: this.name,
          fromOffset: -1,
          count: 1,
          detail: errorText(error),
        });
      }
    }
    return moved;
  }

  async read(offset: number, maxCount: number): Promise<LogChunk> {
    let entries = await this.#next(offset, maxCount);
    if (entries.length === 0 && offset < this.endOffset) {
      await this.endRead(); // The iterator's snapshot may be older than the newest records.
      entries = await this.#next(offset, maxCount);
    }
    if (entries.length > 0) return this.#decode(offset, entries);
    if (offset < this.endOffset) this.#damage(offset, this.endOffset - offset, 'missing');
    return { messages: [], nextOffset: this.endOffset };
  }

  async endRead(): Promise<void> {
    const iterator = this.#iterator;
    this.#iterator = undefined;
    await iterator?.close();
  }

  settle(lowWaterMark: number): void {
    this.lowWaterMark = lowWaterMark;
  }

  /** Adds the low-water mark to a batch that is written anyway. */
  addMark(batch: Batch): void {
    if (this.lowWaterMark <= this.#persistedMark) return;
    batch.put(markKey(this.#parts.number), encodeU48(this.lowWaterMark));
    this.#persistedMark = this.lowWaterMark;
  }

  /** Writes the low-water mark if it moved, and deletes what is settled. The mark goes first. */
  async tidy(everything: boolean): Promise<void> {
    const { db, number } = this.#parts;
    const mark = this.lowWaterMark;
    if (mark > this.#persistedMark) {
      await db.put(markKey(number), encodeU48(mark));
      this.#persistedMark = mark;
    }
    for (const offset of this.#toldDamage) if (offset < mark) this.#toldDamage.delete(offset);
    const settled = mark - this.#cleared;
    if (settled === 0 || (!everything && settled < CLEAR_EVERY)) return;
    await db.clear({ gte: recordKey(number, this.#cleared), lt: recordKey(number, mark) });
    this.#clearedSinceCompaction += settled;
    this.#cleared = mark;
  }

  /** Gives the space of deleted records back to the file system. LevelDB alone would do it at some later write. */
  async giveSpaceBack(): Promise<void> {
    if (this.#clearedSinceCompaction < COMPACT_AFTER) return;
    this.#clearedSinceCompaction = 0;
    const { db, number } = this.#parts;
    // The declaration of `level` leaves out what browsers do not have.
    if (!(db instanceof ClassicLevel)) return;
    await db.compactRange(recordKey(number, 0), recordsEnd(number));
  }

  async #next(offset: number, maxCount: number): Promise<[Buffer, Buffer][]> {
    if (this.#iteratorAt !== offset || this.#iteratorRead >= RENEW_ITERATOR_AFTER) {
      await this.endRead();
    }
    if (this.#iterator === undefined) {
      const { db, number } = this.#parts;
      this.#iterator = iterate(db, number, offset);
      this.#iteratorRead = 0;
    }
    const entries = await this.#iterator.nextv(maxCount);
    this.#iteratorRead += entries.length;
    const last = entries.at(-1);
    this.#iteratorAt = last === undefined ? offset : offsetOf(last[0]) + 1;
    return entries;
  }

  #decode(from: number, entries: readonly [Buffer, Buffer][]): LogChunk {
    const messages: StoredMessage[] = [];
    let expected = from;
    for (const [key, value] of entries) {
      const offset = offsetOf(key);
      if (offset > expected) this.#damage(expected, offset - expected, 'missing');
      expected = offset + 1;
      try {
        messages.push({ offset, message: decodeRecord(key, value) });
      } catch (error) {
        this.#damage(offset, 1, error instanceof Error ? error.message : String(error));
      }
    }
    return { messages, nextOffset: expected };
  }

  #damage(fromOffset: number, count: number, detail: string): void {
    if (this.#toldDamage.has(fromOffset)) return;
    this.#toldDamage.add(fromOffset);
    this.#parts.onDamage({ lane: this.name, fromOffset, count, detail });
  }
}

function isClosed(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'STORE_CLOSED';
}

function iterate(db: Db, lane: number, offset: number) {
  return db.iterator<Buffer, Buffer>({
    gte: recordKey(lane, offset),
    lt: recordsEnd(lane),
    highWaterMarkBytes: READ_AHEAD_BYTES,
    fillCache: false,
  });
}
