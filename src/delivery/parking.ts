import type { LaneMessage } from '../shared/message.ts';
import type { LaneLog, ParkReason } from './ports.ts';

/** Puts messages of one lane apart. They leave the order of the lane and are kept until somebody decides. */
export class Parking {
  readonly #log: LaneLog;
  #underWay = 0;
  parkedTotal = 0;

  constructor(log: LaneLog) {
    this.#log = log;
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
      this.parkedTotal += 1;
    } finally {
      this.#underWay -= 1;
    }
  }
}
