import type { Entry } from './entry.ts';
import type { LaneLog, ParkReason } from './ports.ts';

/** Puts messages of one lane apart. They leave the order of the lane and are kept until somebody decides. */
export class Parking {
  readonly #log: LaneLog;
  readonly #underWay = new Set<Entry>();
  #parked: number;

  constructor(log: LaneLog, parkedBefore: number) {
    this.#log = log;
    this.#parked = parkedBefore;
  }

  /** Messages on the way to be parked; bounded by the lane, which publishes no further meanwhile. */
  get underWay(): number {
    return this.#underWay.size;
  }

  /** What is on the way to be parked. It must not be published meanwhile. */
  get entries(): Iterable<Entry> {
    return this.#underWay;
  }

  has(entry: Entry): boolean {
    return this.#underWay.has(entry);
  }

  /** Resolves when the message is durable. */
  async park(entry: Entry, reason: ParkReason, detail: string): Promise<void> {
    this.#underWay.add(entry);
    try {
      const now = Date.now();
      const note = { reason, detail, firstAttemptMs: now, lastAttemptMs: now, attempts: 1 };
      await this.#log.park(entry.message, note);
      this.#parked += 1;
    } finally {
      this.#underWay.delete(entry);
    }
  }

  /** Messages that are parked now. */
  get count(): number {
    return this.#parked;
  }

  /** Puts up to `maxCount` of them back into the lane, at its end. Resolves with how many. */
  async release(maxCount: number): Promise<number> {
    const released = await this.#log.unpark(maxCount);
    this.#parked = Math.max(0, this.#parked - released);
    return released;
  }
}
