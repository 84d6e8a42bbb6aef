import type { ClockNote, MessageStore } from '../delivery/ports.ts';
import type { ClockJudge } from './clock-judge.ts';

export interface ClockNoteParts {
  readonly store: Pick<MessageStore, 'noteRun'>;
  readonly start: Pick<ClockNote, 'bootId' | 'startMs' | 'uptimeMs'>;
  readonly judge: Pick<ClockJudge, 'trueOffsetMs' | 'sureUntilMs'>;
  /** Time of the gateway now, in ms. */
  readonly elapsedMs: () => number;
  /** Something is stored whose age will matter. */
  readonly hasBacklog: () => boolean;
}

/** Two notes are at least so far apart. */
const LEAST_PAUSE_MS = 10_000;
/** What a power cut takes from the time of the gateway at most, while something is stored. */
const BACKLOG_PAUSE_MS = 600_000;
/** The same while nothing is: then the store is left alone, but for one small write a day. */
const IDLE_PAUSE_MS = 86_400_000;
/** A confirmed offset that moves by less is what it was. */
const SAME_OFFSET_MS = 1_000;

/**
 * Keeps the note of the time of this run in the store: when the clock was confirmed or set, and now and then, so that the
 * next run knows how long this one has lasted. A run that ends without a word loses half of its time at the most.
 */
export class ClockNotes {
  readonly #parts: ClockNoteParts;
  #noted: ClockNote | undefined;
  #isWriting = false;

  constructor(parts: ClockNoteParts) {
    this.#parts = parts;
  }

  /** To be called often. Writes the note when it is due. */
  look(): void {
    if (!this.#isWriting && this.#isDue) void this.write();
  }

  /** Resolves when the note is durable, or cannot become it: then it is tried again when it is due. Never rejects. */
  async write(): Promise<void> {
    const { store, start, judge, elapsedMs } = this.#parts;
    const { trueOffsetMs, sureUntilMs } = judge;
    const clock: ClockNote = {
      ...start,
      seenMs: elapsedMs(),
      ...(trueOffsetMs === undefined ? {} : { trueOffsetMs }),
      ...(sureUntilMs === undefined ? {} : { sureUntilMs }),
    };
    this.#isWriting = true;
    try {
      await store.noteRun({ clock });
      this.#noted = clock;
    } catch {
      // The store is closing, or cannot be written: it has said so itself.
    }
    this.#isWriting = false;
  }

  get #isDue(): boolean {
    const noted = this.#noted;
    if (noted === undefined || this.#makesOlder(noted)) return true;
    const sinceMs = this.#parts.elapsedMs() - noted.seenMs;
    if (sinceMs < LEAST_PAUSE_MS) return false;
    return this.#isOutdated(noted) || sinceMs >= this.#pauseMs(noted);
  }

  /** With this note the next run would take messages that come now for older than they are. That cannot wait. */
  #makesOlder({ trueOffsetMs, sureUntilMs }: ClockNote): boolean {
    if (trueOffsetMs === undefined || sureUntilMs !== undefined) return false;
    const { judge } = this.#parts;
    const hasGrown = (judge.trueOffsetMs ?? 0) - trueOffsetMs > SAME_OFFSET_MS;
    return judge.sureUntilMs !== undefined || hasGrown;
  }

  /** In a run that has just begun more often: the next one may end early, too. */
  #pauseMs({ seenMs, startMs }: ClockNote): number {
    if (!this.#parts.hasBacklog()) return IDLE_PAUSE_MS;
    return Math.min(BACKLOG_PAUSE_MS, seenMs - startMs);
  }

  #isOutdated({ trueOffsetMs, sureUntilMs }: ClockNote): boolean {
    const { judge } = this.#parts;
    if (sureUntilMs !== judge.sureUntilMs) return true;
    if (trueOffsetMs === undefined || judge.trueOffsetMs === undefined)
      return trueOffsetMs !== judge.trueOffsetMs;
    return Math.abs(trueOffsetMs - judge.trueOffsetMs) > SAME_OFFSET_MS;
  }
}
