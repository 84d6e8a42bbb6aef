import type { MessageStore } from '../delivery/ports.ts';
import { ClockJudge, type ClockQuality, type ClockReading } from './clock-judge.ts';
import { ClockNotes } from './clock-notes.ts';
import { MessageAges, type Stamped } from './message-ages.ts';
import type { SyncInquiry } from './sync-inquiry.ts';
import type { SystemClocks } from './system-clocks.ts';
import { startOfTime } from './time-start.ts';

export interface GatewayClockParts {
  readonly clocks: SystemClocks;
  readonly inquiry: SyncInquiry;
  /** Something is stored whose age will matter. */
  readonly hasBacklog: () => boolean;
  /** The wall clock was set by so much, in ms. */
  readonly onStep: (byMs: number) => void;
  readonly onQuality: (quality: ClockQuality) => void;
}

/** What the store keeps of runs, and who is asking. */
type RunStore = Pick<MessageStore, 'epoch' | 'run' | 'runs' | 'noteRun'>;

interface Opened {
  readonly judge: ClockJudge;
  readonly notes: ClockNotes;
  readonly ages: MessageAges;
}

const LOOK_EVERY_MS = 1_000;
/** After the start and after each step the system is asked so soon again, then half as often each time. */
const FIRST_PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 300_000;
/** A clock that was set while the system was asked: the answer may be about either time. */
const STEP_MS = 1_000;
/** The note of the end must not hold a stop up on a disk that fails. */
const LAST_NOTE_LIMIT_MS = 1_000;

/**
 * The clock by which messages age. Time of the gateway is the time that is known to have passed since the store was made:
 * it goes by the monotonic clock and never back, and stands still while nobody can tell. The wall clock counts only as
 * far as the system has confirmed it.
 */
export class GatewayClock {
  readonly #parts: GatewayClockParts;
  readonly #stopping = new AbortController();
  /** Time of the gateway when the monotonic clock of this process was 0. */
  #zeroMs: number;
  #opened: Opened | undefined;
  #timer: NodeJS.Timeout | undefined;
  #quality: ClockQuality = 'unsynced';
  #isAsking = false;
  #askAtMs = 0;
  #pauseMs = FIRST_PAUSE_MS;

  constructor(parts: GatewayClockParts) {
    this.#parts = parts;
    this.#zeroMs = -parts.clocks.monotonicMs();
  }

  /** Goes on where the earlier runs of that open store ended, notes that this run has begun, and begins to watch the wall clock. */
  async open(store: RunStore): Promise<void> {
    const { clocks, hasBacklog } = this.#parts;
    const bootId = await clocks.bootId();
    const [uptimeMs, monotonicMs] = [clocks.sinceBootMs(), clocks.monotonicMs()];
    const now = { bootId, sinceBootMs: uptimeMs };
    const { startMs, trueOffsetMs } = startOfTime(store.runs.values(), now);
    this.#zeroMs = startMs - monotonicMs;
    const elapsedMs = (): number => this.elapsedMs();
    const judge = new ClockJudge(this.#reading(), trueOffsetMs);
    const start = { bootId, startMs, uptimeMs };
    const notes = new ClockNotes({ store, start, judge, elapsedMs, hasBacklog });
    const ages = new MessageAges({
      store,
      startMs,
      elapsedMs,
      trueOffsetMs: () => judge.trueOffsetMs,
    });
    const opened = { judge, notes, ages };
    this.#opened = opened;
    // At once, with what a start writes anyway: a small key amid the records of a backlog makes LevelDB write them again.
    await notes.write();
    this.#timer = setInterval(() => this.#look(opened), LOOK_EVERY_MS);
    void this.#ask(opened);
  }

  /** Stops watching and notes how long the run has lasted, unless the disk fails. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopping.abort();
    const { notes } = this.#opened ?? {};
    if (notes === undefined) return;
    this.#opened = undefined;
    let limit: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      limit = setTimeout(resolve, LAST_NOTE_LIMIT_MS);
    });
    await Promise.race([notes.write(), late]);
    clearTimeout(limit);
  }

  /** Time of the gateway now, in whole ms. */
  elapsedMs(): number {
    return Math.floor(this.#zeroMs + this.#parts.clocks.monotonicMs());
  }

  /** See {@link MessageAges.of}. 0 while the clock is not open. */
  ageMs(message: Stamped): number {
    return this.#opened?.ages.of(message) ?? 0;
  }

  /** `unsynced` while the clock is not open. */
  get quality(): ClockQuality {
    return this.#opened?.judge.quality(this.#reading()) ?? 'unsynced';
  }

  /** How often the wall clock was set since the start of the process. */
  get steps(): number {
    return this.#opened?.judge.steps ?? 0;
  }

  #look(opened: Opened): void {
    const now = this.#reading();
    const byMs = opened.judge.look(now);
    if (byMs !== 0) {
      this.#parts.onStep(byMs);
      this.#pauseMs = FIRST_PAUSE_MS;
      this.#askAtMs = now.elapsedMs;
    }
    this.#tellQuality();
    if (now.elapsedMs >= this.#askAtMs) void this.#ask(opened);
    else if (!this.#isAsking) opened.notes.look();
  }

  async #ask({ judge, notes }: Opened): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const before = this.#reading();
    const isSynced = await this.#parts.inquiry(this.#stopping.signal);
    this.#isAsking = false;
    if (this.#stopping.signal.aborted) return;
    const now = this.#reading();
    if (Math.abs(aheadMs(now) - aheadMs(before)) > STEP_MS) return; // the next look asks again
    if (isSynced === true) judge.confirm(now);
    this.#tellQuality();
    // Where nothing can tell there is nothing to wait for; and each question costs a process, which stops this one for a moment.
    if (isSynced === undefined || this.quality !== 'unsynced') this.#pauseMs = LONGEST_PAUSE_MS;
    this.#askAtMs = now.elapsedMs + this.#pauseMs;
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
    notes.look();
  }

  #tellQuality(): void {
    const { quality } = this;
    if (quality === this.#quality) return;
    this.#quality = quality;
    this.#parts.onQuality(quality);
  }

  #reading(): ClockReading {
    return { wallMs: this.#parts.clocks.wallMs(), elapsedMs: this.elapsedMs() };
  }
}

function aheadMs({ wallMs, elapsedMs }: ClockReading): number {
  return wallMs - elapsedMs;
}
