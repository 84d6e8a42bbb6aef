import { vi } from 'vitest';
import { GatewayClock } from '../../src/clock/gateway-clock.ts';
import type { Stamped } from '../../src/clock/message-ages.ts';
import type { RunNote } from '../../src/delivery/ports.ts';

/** Some day in 2026. */
const BEGIN_MS = 1_780_000_000_000;

/** What the store keeps of runs, in memory. */
export interface NotedRuns {
  epoch: number;
  run: string;
  readonly runs: Map<number, RunNote>;
}

/** A message with the moment at which it truly came. */
export interface TimedMessage {
  readonly stamp: Stamped;
  readonly trueMs: number;
}

/**
 * A machine with its clocks, and the gateway's clock on it. Time goes on by fake timers, which must be on. True is what the
 * world knows; the gateway sees the wall clock, the monotonic one, and what the system says.
 */
export class ClockWorld {
  readonly store: NotedRuns = { epoch: 0, run: '', runs: new Map() };
  readonly events: string[] = [];
  /** Wall clock minus true time, in ms. */
  wallErrorMs = 0;
  /** What the system says when it is asked; undefined: nothing can tell. */
  isSynced: boolean | undefined = true;
  /** Notes that were written, over all runs. */
  notes = 0;
  hasBacklog = true;
  isDiskFailing = false;
  /** Notes are never written, and never fail. */
  isDiskHanging = false;
  /** When the system was asked, by fake time. */
  readonly askedMs: number[] = [];
  /** In place of `isSynced`. */
  answer: (() => Promise<boolean>) | undefined;
  clock: GatewayClock;
  #boot = 1;
  /** True time at which the monotonic clock was 0, had the machine never slept. */
  #bootedMs = 0;
  /** Time that the monotonic clock of the timers has not seen. */
  #unseenMs = 0;
  #startedMs = 0;
  #ranMs = 0;

  constructor() {
    this.clock = this.#create();
  }

  get trueMs(): number {
    return BEGIN_MS + performance.now() + this.#unseenMs;
  }

  /** Monotonic time in this run and in those that ended by `stop`, in ms. */
  get ranMs(): number {
    return this.#ranMs + performance.now() - this.#startedMs;
  }

  /** Time since the start of this run, in ms. */
  get runMs(): number {
    return performance.now() - this.#startedMs;
  }

  /** Makes the next run, on an open store. */
  async start(): Promise<void> {
    this.store.epoch += 1;
    this.store.run = `run-${this.store.epoch}`;
    this.store.runs.set(this.store.epoch, { epoch: this.store.epoch, run: this.store.run });
    this.clock = this.#create();
    this.#startedMs = performance.now();
    const { store } = this;
    await this.clock.open({
      get epoch() {
        return store.epoch;
      },
      get run() {
        return store.run;
      },
      runs: store.runs,
      noteRun: (change) => this.#note(change),
    });
    await this.advance(0);
  }

  async stop(): Promise<void> {
    this.#ranMs = this.ranMs;
    await this.clock.stop();
  }

  /** The process ends without a word. */
  async kill(): Promise<void> {
    const { runs } = this.store;
    const kept = runs.get(this.store.epoch);
    await this.clock.stop();
    if (kept !== undefined) runs.set(this.store.epoch, kept);
  }

  /** The machine runs on, with or without the gateway. */
  async advance(ms: number): Promise<void> {
    await vi.advanceTimersByTimeAsync(ms);
  }

  /** The machine sleeps: its wall clock is told so, its monotonic one stands still. */
  sleep(ms: number): void {
    this.#unseenMs += ms;
  }

  /** The machine is off for so long. When the gateway is started on it, or on another one, that was on for `onMs` already. */
  boot(offMs: number, onMs: number): void {
    this.#unseenMs += offMs;
    this.#boot += 1;
    this.#bootedMs = performance.now() - onMs;
  }

  message(): TimedMessage {
    const { epoch, run } = this.store;
    const stamp = { epoch, run, elapsedMs: this.clock.elapsedMs() };
    return { stamp, trueMs: this.trueMs };
  }

  /** Of a message, in ms. */
  trueAgeMs({ trueMs }: TimedMessage): number {
    return this.trueMs - trueMs;
  }

  async #note(change: Pick<RunNote, 'clock'>): Promise<void> {
    if (this.isDiskHanging) await new Promise(() => undefined);
    if (this.isDiskFailing) throw new Error('the disk fails');
    this.notes += 1;
    this.store.runs.set(this.store.epoch, {
      epoch: this.store.epoch,
      run: this.store.run,
      ...change,
    });
  }

  #create(): GatewayClock {
    const startedMs = performance.now();
    return new GatewayClock({
      clocks: {
        wallMs: () => this.trueMs + this.wallErrorMs,
        monotonicMs: () => performance.now() - startedMs,
        sinceBootMs: () => performance.now() - this.#bootedMs,
        bootId: async () => `boot-${this.#boot}`,
      },
      inquiry: async () => {
        this.askedMs.push(performance.now());
        return this.answer?.() ?? this.isSynced;
      },
      hasBacklog: () => this.hasBacklog,
      onStep: (byMs) => this.events.push(`set by ${byMs}`),
      onQuality: (quality) => this.events.push(quality),
    });
  }
}
