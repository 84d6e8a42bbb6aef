import type { LaneMessage } from '../shared/message.ts';
import type { LaneLog, ParkReason } from './ports.ts';

/** Puts messages of one lane apart. They leave the order of the lane and are kept until somebody decides. */
export class Parking {
  readonly #log: LaneLog;
  #underWay = 0;
  #parked: number;

  constructor(log: LaneLog, parkedBefore: number) {
    this.#log = log;
    this.#parked = parkedBefore;
  }

  /** Messages on the way to be parked; bounded by the lane, which publishes no further meanwhile. */
  get underWay(): number {
    return this.#underWay;
  }

  /** Resolves when the message is durable. */
  async park(message: LaneMessage, reason: ParkReason, detail: string): Promise<void> {
    this.#underWay += 1;
    try {
      await this.#log.park(message, reason, detail);
      this.#parked += 1;
    } finally {
      this.#underWay -= 1;
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
