import type { LaneLog, LogChunk, ParkReason, StoredMessage } from '../../src/delivery/ports.ts';
import type { LaneMessage } from '../../src/shared/message.ts';

interface Pending {
  readonly message: LaneMessage;
  readonly resolve: (offset: number) => void;
}

/**
 * A lane's log in memory. With `manual` an append is durable only after `flush`, so that a test decides what a
 * crash would leave.
 */
export class MemoryLaneLog implements LaneLog {
  readonly #manual: boolean;
  readonly #records = new Map<number, LaneMessage>();
  #pending: Pending[] = [];
  readonly parked: { message: LaneMessage; reason: ParkReason; detail: string }[] = [];
  lowWaterMark = 0;
  endOffset = 0;
  appendsTotal = 0;

  constructor(options: { manual?: boolean } = {}) {
    this.#manual = options.manual ?? false;
  }

  append(message: LaneMessage): Promise<number> {
    this.appendsTotal += 1;
    return new Promise((resolve) => {
      this.#pending.push({ message, resolve });
      if (!this.#manual) queueMicrotask(() => this.flush());
    });
  }

  /** Makes the first `count` appends durable. */
  flush(count: number = this.#pending.length): void {
    for (const { message, resolve } of this.#pending.splice(0, count)) {
      this.#records.set(this.endOffset, message);
      resolve(this.endOffset);
      this.endOffset += 1;
    }
  }

  /** What a start after a crash finds. */
  reopened(): MemoryLaneLog {
    const next = new MemoryLaneLog({ manual: this.#manual });
    for (const [offset, message] of this.#records) next.#records.set(offset, message);
    next.parked.push(...this.parked);
    next.lowWaterMark = this.lowWaterMark;
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
    let at = offset;
    while (at < this.endOffset && messages.length < maxCount) {
      const message = this.#records.get(at);
      if (message !== undefined)
        messages.push({ offset: at, message: { ...message, fromStore: true } });
      at += 1;
    }
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

  async park(message: LaneMessage, reason: ParkReason, detail: string): Promise<void> {
    this.parked.push({ message, reason, detail });
  }
}
