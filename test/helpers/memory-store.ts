import type { LaneLog, LogChunk, ParkReason, StoredMessage } from '../../src/delivery/ports.ts';
import type { LaneMessage } from '../../src/shared/message.ts';

const SLOW_READ_MS = 30;
const SLOW_READ_COUNT = 3;

/**
 * A lane's log in memory. With `manual` an append and a park are durable only after `flush`, in the order of
 * the calls, so that a test decides what a crash would leave.
 */
export class MemoryLaneLog implements LaneLog {
  readonly #manual: boolean;
  readonly #slowReads: boolean;
  readonly #records = new Map<number, LaneMessage>();
  #pending: (() => void)[] = [];
  readonly parked: { message: LaneMessage; reason: ParkReason; detail: string }[] = [];
  lowWaterMark = 0;
  endOffset = 0;
  appendsTotal = 0;

  /** With `slowReads` a read takes 30 ms and brings three records at most. */
  constructor(options: { manual?: boolean; slowReads?: boolean } = {}) {
    this.#manual = options.manual ?? false;
    this.#slowReads = options.slowReads ?? false;
  }

  append(message: LaneMessage): Promise<number> {
    this.appendsTotal += 1;
    return this.#write(() => {
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

  /** What a start after a crash finds. The low-water mark may be older by `markBehind` messages. */
  reopened(markBehind: number = 0): MemoryLaneLog {
    const next = new MemoryLaneLog({ manual: this.#manual, slowReads: this.#slowReads });
    for (const [offset, message] of this.#records) next.#records.set(offset, message);
    next.parked.push(...this.parked);
    next.lowWaterMark = Math.max(0, this.lowWaterMark - markBehind);
    next.endOffset = this.endOffset;
    return next;
  }

  /** The stored messages that are not settled. */
  unsettled(): LaneMessage[] {
    const all = [...this.#records].filter(([offset]) => offset >= this.lowWaterMark);
    return all.map(([, message]) => message);
  }

  async read(offset: number, maxCount: number): Promise<LogChunk> {
    const messages: StoredMessage[] = [];
    const limit = this.#slowReads ? Math.min(maxCount, SLOW_READ_COUNT) : maxCount;
    let at = offset;
    while (at < this.endOffset && messages.length < limit) {
      const message = this.#records.get(at);
      if (message !== undefined)
        messages.push({ offset: at, message: { ...message, fromStore: true } });
      at += 1;
    }
    if (this.#slowReads) await new Promise((resolve) => setTimeout(resolve, SLOW_READ_MS));
    return { messages, nextOffset: at };
  }

  async endRead(): Promise<void> {}

  settle(lowWaterMark: number): void {
    this.lowWaterMark = lowWaterMark;
  }

  async unpark(maxCount: number): Promise<number> {
    const moved = this.parked.splice(0, maxCount);
    const appends = moved.map(({ message }) => this.append(message));
    if (this.#manual) this.flush();
    await Promise.all(appends);
    return moved.length;
  }

  park(message: LaneMessage, reason: ParkReason, detail: string): Promise<void> {
    return this.#write(() => {
      this.parked.push({ message, reason, detail });
    });
  }

  #write<T>(write: () => T): Promise<T> {
    return new Promise((resolve) => {
      this.#pending.push(() => resolve(write()));
      if (!this.#manual) queueMicrotask(() => this.flush());
    });
  }
}
