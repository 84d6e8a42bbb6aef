/**
 * What the wall clock of this moment is worth.
 *
 * - `synced`: it tells the time that the system has confirmed.
 * - `corrected`: the same, but it was set since the start of the process: earlier stamps of it may be wrong.
 * - `unsynced`: nobody has confirmed what it tells.
 */
export type ClockQuality = 'synced' | 'corrected' | 'unsynced';

/** Both clocks at one moment, in ms. */
export interface ClockReading {
  readonly wallMs: number;
  /** Time of the gateway. */
  readonly elapsedMs: number;
}

/** A wall clock that moves against the monotonic one by more than this was set. Less is adjustment. */
const STEP_MS = 1_000;
/** A wall clock that tells a confirmed time, within this, is right. */
const AGREEMENT_MS = 2_000;
/** 2024-01-01. This software is younger: a clock that tells an earlier time is wrong, whoever confirms it. */
const EARLIEST_MS = 1_704_067_200_000;

/**
 * Judges the wall clock. What it tells counts from the moment at which the system confirms it. From then on the true
 * time follows the monotonic clock, whatever becomes of the wall clock, until it is confirmed again.
 */
export class ClockJudge {
  #aheadMs: number;
  #lookedAtMs: number;
  #trueOffsetMs: number | undefined;
  #sureUntilMs: number | undefined;
  #steps = 0;

  /** `trueOffsetMs` is that of an earlier run of the same boot, if it has one. */
  constructor(first: ClockReading, trueOffsetMs?: number) {
    this.#aheadMs = first.wallMs - first.elapsedMs;
    this.#lookedAtMs = first.elapsedMs;
    this.#trueOffsetMs = trueOffsetMs;
    this.#doubt();
  }

  /** To be called often. Returns by how much the clock was set since the last look, in ms; 0 when it was not. */
  look(now: ClockReading): number {
    const aheadMs = now.wallMs - now.elapsedMs;
    const stepMs = aheadMs - this.#aheadMs;
    const isStep = Math.abs(stepMs) > STEP_MS;
    if (isStep) {
      this.#steps += 1;
      this.#aheadMs = aheadMs;
      this.#doubt();
    }
    this.#lookedAtMs = now.elapsedMs;
    return isStep ? Math.round(stepMs) : 0;
  }

  /** The system says that the clock was synchronised at that moment. */
  confirm(now: ClockReading): void {
    if (now.wallMs < EARLIEST_MS) return;
    this.#trueOffsetMs = Math.round(now.wallMs - now.elapsedMs);
    this.#sureUntilMs = undefined;
  }

  quality(now: ClockReading): ClockQuality {
    if (!this.#isAgreeing(now.wallMs - now.elapsedMs)) return 'unsynced';
    return this.#steps > 0 ? 'corrected' : 'synced';
  }

  /** How often the clock was set since the start of the process. */
  get steps(): number {
    return this.#steps;
  }

  /** True time minus time of the gateway, or less, for it only grows; undefined until it is known. */
  get trueOffsetMs(): number | undefined {
    return this.#trueOffsetMs;
  }

  /** See `ClockNote.sureUntilMs`. */
  get sureUntilMs(): number | undefined {
    return this.#sureUntilMs;
  }

  /**
   * A clock that disagrees may be wrong, or the machine may have slept and been told the time it has missed. Then the true
   * offset has grown, and messages that came since the last look are younger than the known one makes them.
   */
  #doubt(): void {
    if (this.#trueOffsetMs === undefined || this.#isAgreeing(this.#aheadMs)) return;
    this.#sureUntilMs ??= this.#lookedAtMs;
  }

  #isAgreeing(aheadMs: number): boolean {
    const offsetMs = this.#trueOffsetMs;
    return offsetMs !== undefined && Math.abs(aheadMs - offsetMs) <= AGREEMENT_MS;
  }
}
