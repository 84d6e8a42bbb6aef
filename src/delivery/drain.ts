import type { LaneBackfill } from './backfill.ts';
import type { Backlog } from './backlog.ts';
import type { Departures } from './departures.ts';
import type { Entry } from './entry.ts';
import type { InFlightWindow } from './in-flight-window.ts';
import { recordBytes } from './retention.ts';
import type { Settlement } from './settlement.ts';

export interface DrainParts {
  readonly backlog: Backlog;
  readonly window: InFlightWindow;
  readonly departures: Pick<Departures, 'underWay'>;
  readonly settlement: Settlement;
  readonly backfill: LaneBackfill;
  /** Of the window. */
  readonly maxMessages: number;
  readonly publish: (entry: Entry) => void;
  /** The time has come for a message that had to wait. */
  readonly onDue: () => void;
}

/** Lets the backlog of one lane out, in order, as far as the window and the backfill allow. */
export class Drain {
  readonly #parts: DrainParts;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: DrainParts) {
    this.#parts = parts;
  }

  /** Publishes what may go now. What has to wait is looked at again by `onDue`, or when an answer came. */
  run(): void {
    const { backlog, backfill, window, publish } = this.#parts;
    const now = performance.now();
    for (let next = backlog.peek(); next !== undefined; next = backlog.peek()) {
      if (!this.#hasRoomFor(next)) return;
      const { receivedAtMs } = next.message;
      const waitMs = backfill.waitMs(receivedAtMs, window.size, now);
      if (waitMs > 0) {
        this.#runIn(waitMs);
        return;
      }
      backlog.shift();
      backfill.published(receivedAtMs, recordBytes(next), now);
      publish(next);
    }
    backfill.caughtUp();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #hasRoomFor(next: Entry): boolean {
    const { window, departures, settlement, maxMessages } = this.#parts;
    if (!window.hasRoomFor(next) || departures.underWay >= maxMessages) return false;
    return !settlement.isTooFarAhead(next.offset, maxMessages);
  }

  /** An infinite wait ends with the next confirm. */
  #runIn(waitMs: number): void {
    if (this.#timer !== undefined || waitMs === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#parts.onDue();
    }, waitMs);
  }
}
