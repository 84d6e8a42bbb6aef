import { GatewayError } from '../shared/errors.ts';
import type { AppendQueue } from './append-queue.ts';
import type { Backlog } from './backlog.ts';
import type { Departures } from './departures.ts';
import { type Entry, tellUnsafe } from './entry.ts';
import type { LaneCounters } from './lane-counters.ts';
import type { Retention } from './retention.ts';

export interface IntakeParts {
  readonly lane: string;
  readonly appending: AppendQueue;
  readonly backlog: Backlog;
  readonly departures: Departures;
  readonly retention: Retention;
  readonly counters: LaneCounters;
}

/** The way of one lane's messages into its log, as far as there is room ({@link Retention} decides). */
export class Intake {
  readonly #parts: IntakeParts;
  /** What must be stored and finds no room (`block`), in order. Its PUBACKs are held back. */
  #waiting: Entry[] = [];

  constructor(parts: IntakeParts) {
    this.#parts = parts;
  }

  /** Messages that wait for room. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Stores the message, or lets it wait, or gives it up.
   * @returns false when it is refused (`reject`): it was never here.
   */
  take(entry: Entry): boolean {
    const { retention, departures, counters, lane } = this.#parts;
    const admission = retention.admit(entry);
    if (admission === 'reject') {
      counters.refusedFull += 1;
      tellUnsafe(entry, new GatewayError('LANE_FULL', `Lane ${lane} has no room in the store.`));
      return false;
    }
    if (admission === 'drop') void departures.drop(entry, 'full');
    else if (admission === 'wait' || this.#waiting.length > 0) this.#waiting.push(entry);
    else this.append(entry);
    this.makeRoom();
    return true;
  }

  /** Stores it whatever there is room for: it is in flight already and has its place in the order. */
  append(entry: Entry): void {
    this.#parts.retention.add(entry);
    this.#parts.appending.append(entry);
  }

  /** Gives up what has to go, then stores what has waited for room, in order. */
  makeRoom(): void {
    const { retention, departures, backlog } = this.#parts;
    while (retention.mayHaveToShed && !departures.isCrowded) {
      const oldest = backlog.peek();
      const reason = oldest === undefined ? undefined : retention.mustShed(oldest);
      if (oldest === undefined || reason === undefined) break;
      backlog.shift();
      void departures.drop(oldest, reason);
    }
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const admission = retention.admit(next);
      if (admission !== 'store' && admission !== 'drop') return;
      this.#waiting.shift();
      if (admission === 'store') this.append(next);
      else void departures.drop(next, 'full'); // QoS 0, which must not keep those behind it waiting
    }
  }

  /** True when {@link Intake.makeRoom} may find something to do. */
  get isPressed(): boolean {
    return this.#waiting.length > 0 || this.#parts.retention.mayHaveToShed;
  }

  /** What still waits is told that it is not safe. */
  stop(): void {
    const error = new GatewayError('LANE_CLOSED', `Lane ${this.#parts.lane} is closed.`);
    for (const entry of this.#waiting) tellUnsafe(entry, error);
    this.#waiting = [];
  }
}
