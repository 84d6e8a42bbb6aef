import type { LaneBackfill } from './backfill.ts';
import type { Backlog } from './backlog.ts';
import type { Departures } from './departures.ts';
import type { Entry } from './entry.ts';
import type { InFlightWindow } from './in-flight-window.ts';
import type { LaneParts } from './lane-parts.ts';
import type { LaneLog } from './ports.ts';
import { recordBytes } from './retention.ts';

/** The part of a window that is settled and not recorded when that is seen to. */
const RECORD_AT = 0.25;

export interface DrainParts {
  readonly lane: Pick<LaneParts, 'epoch' | 'elapsedMs'>;
  readonly backlog: Backlog;
  readonly window: InFlightWindow;
  readonly departures: Pick<Departures, 'isCrowded'>;
  readonly log: Pick<LaneLog, 'lowWaterMark' | 'recordedMark' | 'record'>;
  readonly backfill: LaneBackfill;
  /** Of the window. */
  readonly maxMessages: number;
  /** False when there is no room for it in flight: `onDue` is called when there may be. */
  readonly publish: (entry: Entry) => boolean;
  /** The time may have come for a message that had to wait. */
  readonly onDue: () => void;
}

/**
 * Lets the backlog of one lane out, in order, as far as the window and the backfill allow, and never further than a
 * window beyond what a start after a kill would find settled: so a kill repeats at most one window of what was stored.
 */
export class Drain {
  readonly #parts: DrainParts;
  #timer: NodeJS.Timeout | undefined;
  #isRecording = false;

  constructor(parts: DrainParts) {
    this.#parts = parts;
  }

  /** Publishes what may go now. What has to wait is looked at again by `onDue`, or when an answer came. */
  run(): void {
    const { backlog, backfill, window, publish, lane } = this.#parts;
    const now = performance.now();
    const elapsedMs = lane.elapsedMs();
    this.#record();
    for (let next = backlog.peek(); next !== undefined; next = backlog.peek()) {
      if (!this.#hasRoomFor(next)) return;
      const ageMs = this.#ageMs(next, elapsedMs);
      const waitMs = backfill.waitMs(ageMs, window.size, now);
      if (waitMs > 0) {
        this.#runIn(waitMs);
        return;
      }
      if (!publish(next)) return;
      backlog.shift();
      backfill.published(ageMs, recordBytes(next), now);
    }
    backfill.caughtUp();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** The mark is being recorded; then it goes on. */
  get isRecording(): boolean {
    return this.#isRecording;
  }

  /** What an earlier run has left is backlog, however soon this one came after it. */
  #ageMs({ message }: Entry, elapsedMs: number): number {
    if (message.epoch !== this.#parts.lane.epoch) return Number.POSITIVE_INFINITY;
    return elapsedMs - (message.elapsedMs ?? 0);
  }

  /** In the window, and with all that a kill would repeat in a window too. */
  #hasRoomFor(next: Entry): boolean {
    const { window, departures, log, maxMessages } = this.#parts;
    if (!window.hasRoomFor(next) || departures.isCrowded) return false;
    return next.offset - log.recordedMark < maxMessages;
  }

  /** Early enough that the window seldom has to wait for it, and not for each message. */
  #record(): void {
    const { log, maxMessages, onDue } = this.#parts;
    const unrecorded = log.lowWaterMark - log.recordedMark;
    if (this.#isRecording || unrecorded === 0 || unrecorded < maxMessages * RECORD_AT) return;
    this.#isRecording = true;
    void log.record().then(() => {
      this.#isRecording = false;
      onDue();
    });
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
