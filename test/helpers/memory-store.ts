import type {
  AppendDone,
  Identified,
  LaneLog,
  LogChunk,
  LostRecords,
  ParkedMessage,
  ParkNote,
  ParkReason,
  StoredMessage,
  Unparked,
} from '../../src/delivery/ports.ts';
import type { LaneMessage } from '../../src/shared/message.ts';

const SLOW_READ_MS = 30;
const SLOW_READ_COUNT = 3;

/**
 * A lane's log in memory. With `manual` an append and a park are durable only after `flush`, in the order of
 * the calls, so that a test decides what a crash would leave; with `manualMarks` also the mark.
 */
export class MemoryLaneLog implements LaneLog {
  readonly #manual: boolean;
  readonly #manualMarks: boolean;
  readonly #slowReads: boolean;
  readonly #records = new Map<number, LaneMessage>();
  /** Offsets of records that were parked before. */
  readonly #releasedOffsets = new Set<number>();
  #pending: (() => void)[] = [];
  readonly #told = new Set<number>();
  /** Notes of messages that are back in the log, by identity. */
  readonly #released = new Map<string, ParkNote>();
  /** What is parked now, oldest first. */
  readonly parkedNow: ParkedMessage[] = [];
  readonly initialBytes: number = 0;
  lowWaterMark = 0;
  recordedMark = 0;
  endOffset = 0;
  appendsTotal = 0;

  /** With `slowReads` a read takes 30 ms and brings three records at most. */
  constructor(options: { manual?: boolean; manualMarks?: boolean; slowReads?: boolean } = {}) {
    this.#manual = options.manual ?? false;
    this.#manualMarks = options.manualMarks ?? false;
    this.#slowReads = options.slowReads ?? false;
  }

  append(message: LaneMessage, done: AppendDone): void {
    void this.#append(message, false).then((offset) => done.appended(offset));
  }

  #append(message: LaneMessage, isReleased: boolean): Promise<number> {
    this.appendsTotal += 1;
    return this.#write(() => {
      if (isReleased) this.#releasedOffsets.add(this.endOffset);
      this.#records.set(this.endOffset, message);
      this.endOffset += 1;
      return this.endOffset - 1;
    });
  }

  /** Makes the first `count` of what is on the way durable. */
  flush(count: number = this.#pending.length): void {
    for (const write of this.#pending.splice(0, count)) write();
  }

  /** The disk loses this record. */
  damage(offset: number): void {
    this.#records.delete(offset);
  }

  /** What a start finds. */
  reopened(): MemoryLaneLog {
    const next = new MemoryLaneLog({
      manual: this.#manual,
      manualMarks: this.#manualMarks,
      slowReads: this.#slowReads,
    });
    for (const [offset, message] of this.#records) next.#records.set(offset, message);
    for (const offset of this.#releasedOffsets) next.#releasedOffsets.add(offset);
    next.parkedNow.push(...this.parkedNow);
    for (const [identity, note] of this.#released) next.#released.set(identity, note);
    next.lowWaterMark = this.lowWaterMark;
    next.recordedMark = this.lowWaterMark;
    next.endOffset = this.endOffset;
    return next;
  }

  /** What a start finds when the process was killed now. */
  killed(): MemoryLaneLog {
    const next = this.reopened();
    next.lowWaterMark = this.recordedMark;
    next.recordedMark = this.recordedMark;
    return next;
  }

  /** The stored messages that are not settled. */
  unsettled(): LaneMessage[] {
    const all = [...this.#records].filter(([offset]) => offset >= this.lowWaterMark);
    return all.map(([, message]) => message);
  }

  async read(offset: number, maxCount: number): Promise<LogChunk> {
    const messages: StoredMessage[] = [];
    const lost: LostRecords[] = [];
    const limit = this.#slowReads ? Math.min(maxCount, SLOW_READ_COUNT) : maxCount;
    let at = Math.max(offset, this.lowWaterMark);
    while (at < this.endOffset && messages.length < limit) {
      const message = this.#records.get(at);
      if (message !== undefined)
        messages.push({
          offset: at,
          message: { ...message, fromStore: true },
          isReleased: this.#releasedOffsets.has(at),
        });
      else if (!this.#told.has(at)) {
        lost.push({ fromOffset: at, count: 1, detail: 'missing' });
        this.#told.add(at);
      }
      at += 1;
    }
    if (this.#slowReads) await new Promise((resolve) => setTimeout(resolve, SLOW_READ_MS));
    return { messages, lost, nextOffset: at };
  }

  async endRead(): Promise<void> {}

  settle(lowWaterMark: number): void {
    this.lowWaterMark = lowWaterMark;
  }

  record(): Promise<void> {
    const mark = this.lowWaterMark;
    const write = () => {
      this.recordedMark = mark;
    };
    if (this.#manualMarks) return this.#write(write);
    return Promise.resolve().then(write);
  }

  park(message: LaneMessage, note: ParkNote): Promise<boolean> {
    return this.#write(() => {
      const at = this.parkedNow.findIndex((one) => identity(one.message) === identity(message));
      const before = this.parkedNow[at]?.note ?? this.#released.get(identity(message));
      const joined: ParkNote =
        before === undefined
          ? note
          : {
              ...note,
              firstAttemptMs: before.firstAttemptMs,
              attempts: before.attempts + note.attempts,
              ...(before.uncertain === true ? { uncertain: true } : {}),
            };
      if (at >= 0) this.parkedNow.splice(at, 1);
      this.parkedNow.push({ message, note: joined });
      return at < 0;
    });
  }

  async parked(maxCount: number, reason?: ParkReason): Promise<readonly ParkedMessage[]> {
    const wanted = this.parkedNow.filter(
      (one) => reason === undefined || one.note.reason === reason,
    );
    return wanted.slice(0, maxCount);
  }

  async unpark(maxCount: number, reason?: ParkReason): Promise<Unparked> {
    const moved = await this.parked(maxCount, reason);
    for (const one of moved) {
      this.parkedNow.splice(this.parkedNow.indexOf(one), 1);
      this.#released.set(identity(one.message), one.note);
    }
    const appends = moved.map(({ message }) => this.#append(message, true));
    if (this.#manual) this.flush();
    await Promise.all(appends);
    const sizes = moved.map(
      ({ message: { payload, topic, clientId } }) =>
        payload.length + topic.length + clientId.length,
    );
    return { messages: moved.length, bytes: sizes.reduce((sum, bytes) => sum + bytes, 0) };
  }

  async discardParked(messages: readonly Identified[]): Promise<number> {
    const before = this.parkedNow.length;
    const gone = new Set(messages.map(identity));
    const kept = this.parkedNow.filter(({ message }) => !gone.has(identity(message)));
    this.parkedNow.splice(0, before, ...kept);
    return before - kept.length;
  }

  #write<T>(write: () => T): Promise<T> {
    return new Promise((resolve) => {
      this.#pending.push(() => resolve(write()));
      if (!this.#manual) queueMicrotask(() => this.flush());
    });
  }
}

function identity({ epoch, seq }: Identified): string {
  return `${epoch}.${seq}`;
}
