import type {
  AppendDone,
  Identified,
  LaneLog,
  LogChunk,
  ParkedMessage,
  ParkNote,
  ParkReason,
  Unparked,
} from '../delivery/ports.ts';
import type { LaneMessage } from '../shared/message.ts';
import { type AppendParts, AppendTask, type LogEnd } from './append-task.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { LaneWitness } from './checkpoint-file.ts';
import { readPositions } from './contents.ts';
import type { StoreFinding } from './finding.ts';
import { encodeU48, markKey, recordKey, recordsEnd } from './keys.ts';
import { LaneParking } from './lane-parking.ts';
import { LaneReader } from './lane-reader.ts';
import { isCorruption } from './open-faults.ts';
import { RecordTexts } from './record-texts.ts';
import { seal } from './sealed.ts';
import type { BatchWriter } from './writer/batch-writer.ts';
import { approximateBytes, type DatabaseView } from './writer/database.ts';
import type { Batch } from './writer/write-task.ts';

export interface LaneLogParts {
  readonly db: DatabaseView;
  readonly writer: BatchWriter;
  readonly name: string;
  readonly number: number;
  readonly onFinding: (finding: StoreFinding) => void;
  /** What the checkpoint of the run before says about it. */
  readonly witness: LaneWitness | undefined;
  readonly onReadFailure: (error: unknown) => boolean;
  readonly beforeLoss: () => Promise<void>;
  /** Its appends let messages of other lanes go: they may use the reserve of the disk. */
  readonly freesRoom: boolean;
  readonly checkpoint: Pick<Checkpoint, 'soon' | 'flush'>;
}

/** Deleting the settled front in ranges of this size costs little and keeps the disk from growing. */
const CLEAR_EVERY = 5_000;
/** After a deletion that met damage. */
const CLEAR_AGAIN_AFTER_MS = 60_000;
/** Key of the note of a released message with what LevelDB adds, roughly. */
const NOTE_BYTES = 32;
/**
 * Compacting rewrites files: not for a handful of settled records. While a backlog drains, for each 8 MiB that was read
 * of it: until then those tables are mapped into memory.
 */
const COMPACT_AFTER = {
  draining: { records: 1_000, readBytes: 8 * 1024 * 1024 },
  drained: { records: 1_000, readBytes: 0 },
  urgent: { records: 1, readBytes: 0 },
};

/** The log of one lane in LevelDB. See {@link LaneLog} for what it guarantees. */
export class LevelLaneLog implements LaneLog {
  readonly #parts: LaneLogParts;
  readonly #reader: LaneReader;
  readonly #parking: LaneParking;
  readonly #end: LogEnd = { nextAssigned: 0, endOffset: 0, durableEnd: 0, last: undefined };
  readonly #appendParts: AppendParts;
  #persistedMark = 0;
  #cleared = 0;
  #clearAgainAtMs = 0;
  #clearedSinceCompaction = 0;
  #readAtCompaction = 0;
  #isLoaded = false;
  lowWaterMark = 0;
  recordedMark = 0;
  initialBytes = 0;

  constructor(parts: LaneLogParts) {
    this.#parts = parts;
    const { number, freesRoom } = parts;
    this.#appendParts = { number, freesRoom, end: this.#end, texts: new RecordTexts() };
    this.#reader = new LaneReader({
      ...parts,
      lowWaterMark: () => this.lowWaterMark,
      onFailure: parts.onReadFailure,
    });
    this.#parking = new LaneParking({
      ...parts,
      beforeRemoval: () => parts.checkpoint.flush(),
      append: (message, also) =>
        new Promise((appended, failed) => {
          const task = new AppendTask(this.#appendParts, message, { appended, failed }, also);
          parts.writer.write(task);
        }),
    });
  }

  get endOffset(): number {
    return this.#end.endOffset;
  }

  get name(): string {
    return this.#parts.name;
  }

  /** Parked messages that are on disk. */
  get parkedMessages(): number {
    return this.#parking.count;
  }

  /** Reads the positions from the database; again after every reopening, as only the disk knows the truth. */
  async load(): Promise<void> {
    const { db, number } = this.#parts;
    const witness = this.#isLoaded ? undefined : this.#parts.witness;
    const { mark, firstOffset, endOffset, last } = await readPositions(db, number);
    this.#persistedMark = mark ?? 0;
    // Without a mark nothing was ever settled here, or the mark is lost: then the first record tells.
    const start = mark ?? witness?.lowWaterMark ?? firstOffset ?? 0;
    this.lowWaterMark = Math.max(this.lowWaterMark, start, witness?.lowWaterMark ?? 0);
    if (!this.#isLoaded) this.recordedMark = this.lowWaterMark; // it was read just now
    this.#cleared = Math.min(firstOffset ?? this.lowWaterMark, this.lowWaterMark);
    // What was told to be durable counts, also if it is not there: then it is lost, and must be found so.
    this.#end.endOffset = Math.max(
      this.endOffset,
      endOffset,
      this.lowWaterMark,
      witness?.endOffset ?? 0,
    );
    this.#end.nextAssigned = this.endOffset;
    this.#end.durableEnd = Math.max(endOffset, mark ?? 0);
    await this.#reader.endRead();
    this.#tellParkedLost(await this.#parking.load());
    if (this.#isLoaded) return;
    this.#isLoaded = true;
    this.#end.last = last;
    this.initialBytes = await this.#estimateBytes();
    if (witness !== undefined) this.#compare(witness);
  }

  /** What the checkpoint has to say about it. */
  witness(): LaneWitness {
    return this.#stand();
  }

  #stand(): LaneWitness {
    return {
      name: this.name,
      number: this.#parts.number,
      lowWaterMark: this.lowWaterMark,
      endOffset: this.endOffset,
      lastEpoch: this.#end.last?.epoch ?? 0,
      lastSeq: this.#end.last?.seq ?? 0,
      parked: Math.max(0, this.#parking.count),
    };
  }

  /** What is known to be on disk, and must be there after a reopening. */
  durable(): LaneWitness {
    return { ...this.#stand(), endOffset: this.#end.durableEnd };
  }

  #compare(witness: LaneWitness): void {
    const { lastEpoch: epoch, lastSeq: seq, endOffset } = witness;
    if (seq > 0) this.#reader.knownLast = { epoch, seq, endOffset };
    const isNewer =
      epoch > (this.#end.last?.epoch ?? 0) ||
      (epoch === this.#end.last?.epoch && seq > this.#end.last.seq);
    if (isNewer && seq > 0) this.#end.last = { epoch, seq };
    this.#tellParkedLost(witness.parked - this.#parking.count);
  }

  #tellParkedLost(count: number): void {
    if (count <= 0) return;
    const detail = 'parked messages are missing';
    this.#parts.onFinding({ kind: 'parked-lost', lane: this.name, count, detail });
  }

  append(message: LaneMessage, done: AppendDone): void {
    this.#parts.writer.write(new AppendTask(this.#appendParts, message, done));
  }

  park(message: LaneMessage, note: ParkNote): Promise<boolean> {
    return this.#parking.park(message, note);
  }

  parked(maxCount: number, reason?: ParkReason): Promise<readonly ParkedMessage[]> {
    return this.#parking.parked(maxCount, reason);
  }

  unpark(maxCount: number, reason?: ParkReason): Promise<Unparked> {
    return this.#parking.unpark(maxCount, reason);
  }

  discardParked(messages: readonly Identified[]): Promise<number> {
    return this.#parking.discard(messages);
  }

  read(offset: number, maxCount: number): Promise<LogChunk> {
    return this.#reader.read(offset, this.endOffset, maxCount);
  }

  endRead(): Promise<void> {
    return this.#reader.endRead();
  }

  settle(lowWaterMark: number): void {
    this.lowWaterMark = lowWaterMark;
    this.#parts.checkpoint.soon();
  }

  async record(): Promise<void> {
    const mark = this.lowWaterMark;
    await this.#parts.checkpoint.flush();
    this.recordedMark = Math.max(this.recordedMark, mark);
  }

  /** Adds the low-water mark to a batch that is written anyway. */
  addMark(batch: Batch): void {
    if (this.lowWaterMark <= this.#persistedMark) return;
    const key = markKey(this.#parts.number);
    batch.put(key, seal(key, encodeU48(this.lowWaterMark)));
    this.#persistedMark = this.lowWaterMark;
  }

  /**
   * Writes the low-water mark if it moved, and deletes what is settled. The mark is durable first.
   * @throws when a read or a write of it fails; a later call tries again.
   */
  async tidy(everything: boolean): Promise<void> {
    const mark = this.lowWaterMark;
    const notes = await this.#parking.settledNotes(mark);
    if (mark > this.#persistedMark || notes.length > 0) await this.#writeMark(notes);
    this.#reader.forgetBelow(mark);
    if (performance.now() < this.#clearAgainAtMs) return;
    if (everything || mark - this.#cleared >= CLEAR_EVERY) await this.#clearTo(mark);
  }

  /** With the keys of notes that go. The mark itself is added to each batch in passing. */
  async #writeMark(notes: readonly Buffer[]): Promise<void> {
    await this.#parts.writer.written({
      bytes: notes.length * NOTE_BYTES,
      freesRoom: true,
      isWitnessed: true,
      isOptional: true,
      addTo: (batch) => {
        for (const key of notes) batch.del(key);
      },
    });
    this.#parking.notesForgotten(notes.length);
  }

  async #clearTo(mark: number): Promise<void> {
    const { writer, number } = this.#parts;
    try {
      while (this.#cleared < mark) {
        const to = Math.min(mark, this.#cleared + CLEAR_EVERY);
        await writer.clear({ gte: recordKey(number, this.#cleared), lt: recordKey(number, to) });
        this.#clearedSinceCompaction += to - this.#cleared;
        this.#cleared = to;
      }
    } catch (error) {
      // A table that cannot be read fails each time, and each time the database is opened again: not every second.
      if (isCorruption(error)) this.#clearAgainAtMs = performance.now() + CLEAR_AGAIN_AFTER_MS;
      throw error;
    }
  }

  /**
   * Gives the space of deleted records back to the file system, which LevelDB alone would do at some later write.
   * While there is more to come only now and then: tables that are not needed any more are mapped into memory.
   */
  async giveSpaceBack(when: 'draining' | 'drained' | 'urgent'): Promise<void> {
    const { records, readBytes } = COMPACT_AFTER[when];
    if (this.#clearedSinceCompaction < records) return;
    if (this.#reader.bytesRead - this.#readAtCompaction < readBytes) return;
    this.#clearedSinceCompaction = 0;
    this.#readAtCompaction = this.#reader.bytesRead;
    const { writer, number } = this.#parts;
    const lt = when === 'draining' ? recordKey(number, this.#cleared) : recordsEnd(number);
    await writer.compact({ gte: recordKey(number, 0), lt });
  }

  async #estimateBytes(): Promise<number> {
    const { db, number } = this.#parts;
    if (this.lowWaterMark === this.endOffset) return 0;
    const gte = recordKey(number, this.lowWaterMark);
    return approximateBytes(db, { gte, lt: recordsEnd(number) });
  }
}
