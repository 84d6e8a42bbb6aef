import type {
  Identified,
  ParkedMessage,
  ParkNote,
  ParkReason,
  Unparked,
} from '../delivery/ports.ts';
import { errorText } from '../shared/errors.ts';
import type { LaneMessage } from '../shared/message.ts';
import type { StoreFinding } from './finding.ts';
import {
  identityOf,
  isParkedKey,
  parkedKey,
  parkedRange,
  releasedKey,
  releasedRange,
  unreadableKey,
} from './keys.ts';
import {
  decodeParked,
  decodeReleased,
  encodeParked,
  encodeReleased,
  joinNotes,
  noteOf,
} from './parked.ts';
import { ParkingArrivals } from './parking-arrivals.ts';
import { countKeys, countParked } from './witness-check.ts';
import type { BatchWriter } from './writer/batch-writer.ts';
import type { DatabaseView } from './writer/database.ts';
import type { Batch } from './writer/write-task.ts';

export interface LaneParkingParts {
  readonly db: DatabaseView;
  readonly writer: BatchWriter;
  readonly name: string;
  readonly number: number;
  readonly onFinding: (finding: StoreFinding) => void;
  /** Something is about to be given up. */
  readonly beforeLoss: () => Promise<void>;
  /** Fewer are parked from now on: the checkpoint must say so first, or a crash would make it a loss. */
  readonly beforeRemoval: () => Promise<void>;
  /** Appends a released message; `also` goes into the same batch, with its offset. */
  readonly append: (
    message: LaneMessage,
    also: (batch: Batch, offset: number) => void,
  ) => Promise<number>;
}

/** So many bytes of parked messages are in memory at once, or one message that is larger. */
const MOST_BYTES_AT_ONCE = 4 * 1024 * 1024;

/** Messages read at once when not all are wanted: bounds the memory of a search by reason. */
const SEARCH_COUNT = 500;

/** What is parked in one lane. All changes go through the writer, so they are durable in order. */
export class LaneParking {
  readonly #parts: LaneParkingParts;
  readonly #arrivals = new ParkingArrivals();
  #released = 0;
  #isCounted = false;
  /** Parked messages that are on disk. */
  count = 0;

  constructor(parts: LaneParkingParts) {
    this.#parts = parts;
  }

  /**
   * Counts what is parked, and the notes of released messages, which say whether tidying has anything to do.
   * Resolves with how many parked messages are gone since they were counted last.
   */
  async load(): Promise<number> {
    const { db, number } = this.#parts;
    this.#released = await countKeys(db, releasedRange(number));
    const found = await countParked(db, number);
    // There may be more than is counted: removals that are only on their way are taken off already.
    const missing = this.#isCounted ? Math.max(0, this.count - found) : 0;
    this.count = this.#isCounted ? this.count - missing : found;
    this.#isCounted = true;
    return missing;
  }

  async park(message: LaneMessage, note: ParkNote): Promise<boolean> {
    const key = parkedKey(this.#parts.number, message.epoch, message.seq);
    const bytes = message.payload.length + message.topic.length + note.detail.length + 200;
    const mine = this.#arrivals.begin(key);
    let isNew = false;
    try {
      await this.#writeFreeing(bytes, (batch) => {
        const ahead = mine.ahead();
        // A batch that failed may be there all the same.
        isNew ||= ahead === undefined && this.#get(key) === undefined;
        const joined = joinNotes(ahead ?? this.#noteBefore(key), note);
        mine.becomes(joined);
        batch.put(key, encodeParked(key, message, joined)).del(releasedKey(key));
      });
    } finally {
      mine.end();
    }
    if (isNew) this.count += 1;
    return isNew;
  }

  async parked(maxCount: number, reason?: ParkReason): Promise<ParkedMessage[]> {
    return (await this.#find(maxCount, reason)).map(({ parked }) => parked);
  }

  async unpark(maxCount: number, reason?: ParkReason): Promise<Unparked> {
    const found = await this.#find(maxCount, reason);
    await this.#lower(found.length);
    await Promise.all(
      found.map(({ key, parked }) =>
        this.#parts.append(parked.message, (batch, offset) => {
          const note = encodeReleased({ ...parked.note, offset });
          batch.del(key).put(releasedKey(key), note);
        }),
      ),
    );
    this.#released += found.length;
    const bytes = found.reduce((sum, { parked }) => sum + contentBytes(parked.message), 0);
    return { messages: found.length, bytes };
  }

  async discard(messages: readonly Identified[]): Promise<number> {
    const { db, number } = this.#parts;
    let count = 0;
    await this.#lower(messages.length);
    const deletions = messages.map(async ({ epoch, seq }) => {
      const key = parkedKey(number, epoch, seq);
      if ((await db.get(key)) === undefined) return;
      await this.#writeFreeing(key.length, (batch) => void batch.del(key));
      count += 1;
    });
    await Promise.all(deletions);
    this.count += messages.length - count;
    return count;
  }

  /** Keys of the notes of released messages that are settled. The oldest were released first. */
  async settledNotes(lowWaterMark: number): Promise<readonly Buffer[]> {
    if (this.#released === 0) return [];
    const { db, number } = this.#parts;
    const settled: Buffer[] = [];
    for await (const [key, value] of db.iterator(releasedRange(number))) {
      const offset = decodeReleased(value)?.offset ?? 0;
      if (offset >= lowWaterMark) break;
      settled.push(key);
    }
    return settled;
  }

  /** So many of them are off the disk. */
  notesForgotten(count: number): void {
    this.#released = Math.max(0, this.#released - count);
  }

  /**
   * The oldest readable ones of that reason, fewer than asked for when they are large. What cannot be read is put
   * out of the way and told.
   */
  async #find(
    maxCount: number,
    reason: ParkReason | undefined,
  ): Promise<{ key: Buffer; parked: ParkedMessage }[]> {
    const { db, number } = this.#parts;
    const found: { key: Buffer; parked: ParkedMessage }[] = [];
    let bytes = 0;
    // It brings fewer than asked for when they are large: as many as fit into its read-ahead of some KiB.
    const iterator = db.iterator(parkedRange(number));
    try {
      while (found.length < maxCount && bytes < MOST_BYTES_AT_ONCE) {
        const entries = await iterator.nextv(Math.min(SEARCH_COUNT, maxCount - found.length));
        if (entries.length === 0) break;
        for (const [key, value] of entries) {
          if (!isParkedKey(key)) continue; // damage brought it here; it never was a parked message
          const parked = this.#decode(key, value);
          const isWanted = reason === undefined || parked?.note.reason === reason;
          if (parked === undefined || !isWanted) continue;
          found.push({ key, parked });
          bytes += value.length;
        }
      }
    } finally {
      await iterator.close();
    }
    return found;
  }

  #decode(key: Buffer, value: Buffer): ParkedMessage | undefined {
    try {
      return decodeParked(key, value);
    } catch (error) {
      const detail = `A parked message cannot be read: ${errorText(error)}`;
      this.#putAside(key, value).then(
        () => {
          this.count -= 1;
          const lane = this.#parts.name;
          this.#parts.onFinding({
            kind: 'parked-lost',
            lane,
            count: 1,
            ...identityOf(key),
            detail,
          });
        },
        () => undefined, // the store is closed: it is found again
      );
      return undefined;
    }
  }

  /** Out of the way, and the files as they were are kept. */
  async #putAside(key: Buffer, value: Buffer): Promise<void> {
    await this.#parts.beforeLoss();
    const addTo = (batch: Batch): void => {
      batch.del(key).put(unreadableKey(key), value);
    };
    await this.#parts.writer.written({ bytes: value.length, addTo });
  }

  async #lower(count: number): Promise<void> {
    if (count === 0) return;
    this.count -= count;
    await this.#parts.beforeRemoval();
  }

  #noteBefore(key: Buffer): ParkNote | undefined {
    return noteOf(this.#get(key)) ?? decodeReleased(this.#get(releasedKey(key)));
  }

  /** Read where the batch is made: only there the database is known to be open. */
  #get(key: Buffer): Buffer | undefined {
    try {
      return this.#parts.db.getSync(key);
    } catch {
      return undefined; // damaged: the message counts as parked for the first time
    }
  }

  /** A parked message lets its record and all behind it go; one that is discarded goes. */
  #writeFreeing(bytes: number, addTo: (batch: Batch) => void): Promise<void> {
    return this.#parts.writer.written({ bytes, freesRoom: true, addTo });
  }
}

function contentBytes({ payload, topic, clientId }: LaneMessage): number {
  return payload.length + topic.length + clientId.length;
}
