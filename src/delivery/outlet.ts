import type { AppendQueue } from './append-queue.ts';
import type { LaneBackfill } from './backfill.ts';
import type { Backlog } from './backlog.ts';
import { Caution } from './caution.ts';
import type { Departures } from './departures.ts';
import { DirectMode } from './direct-mode.ts';
import { Drain } from './drain.ts';
import { type Entry, tellSafe } from './entry.ts';
import { InFlightWindow } from './in-flight-window.ts';
import type { Intake } from './intake.ts';
import type { LaneCounters } from './lane-counters.ts';
import type { LaneParts } from './lane-parts.ts';
import { LinkState } from './link-state.ts';
import type { CloseReason, PublishOutcome } from './ports.ts';
import { ProgressWatch } from './progress-watch.ts';
import { refusalOf } from './refusal.ts';
import { RetryPause } from './retry-pause.ts';
import type { Settlement } from './settlement.ts';
import type { BudgetShare } from './shared-budget.ts';
import type { Suspects } from './suspects.ts';

export interface OutletParts {
  readonly lane: LaneParts;
  readonly settlement: Settlement;
  readonly suspects: Suspects;
  readonly backlog: Backlog;
  readonly appending: AppendQueue;
  readonly intake: Intake;
  readonly departures: Departures;
  readonly backfill: LaneBackfill;
  readonly counters: LaneCounters;
  /** What the broker said about a message: whether it was confirmed. */
  readonly onAnswer: (entry: Entry, isConfirmed: boolean) => void;
}

/**
 * The way of one lane's messages to the broker: from the log in order, or directly while nothing waits there.
 *
 * Leaving `direct` appends everything in flight first ("spill"). So whenever something is in the log, all that
 * arrived later is in the log behind it, and a lost channel can always be made good by reading it again.
 */
export class Outlet {
  readonly #parts: OutletParts;
  /** What is published and not answered; for looking at only. */
  readonly window: InFlightWindow;
  readonly #share: BudgetShare;
  readonly #caution = new Caution();
  readonly #direct: DirectMode;
  readonly #link = new LinkState();
  readonly #retry = new RetryPause();
  readonly #progress: ProgressWatch;
  readonly #drain: Drain;
  #mayDrain = true;
  #stopped = false;

  constructor(parts: OutletParts) {
    this.#parts = parts;
    const { config, confirmTimeoutMs } = parts.lane;
    this.#share = parts.lane.budgets.inFlight.share({ onRoom: () => this.pump() });
    this.window = new InFlightWindow(config.window, this.#share);
    this.#drain = new Drain({
      ...parts,
      log: parts.lane.log,
      window: this.window,
      maxMessages: config.window.maxMessages,
      publish: (entry) => this.#publish(entry),
      onDue: () => this.pump(),
    });
    this.#direct = new DirectMode(
      config,
      () => this.window.entries().find((entry) => !entry.stored)?.publishedAtMs,
      () => this.spill(),
    );
    this.#progress = new ProgressWatch({
      timeoutMs: confirmTimeoutMs,
      oldest: () => (this.#link.mayPublish ? this.window.oldest() : undefined),
      onStalled: (scope) => this.#noProgress(scope),
    });
  }

  start(): void {
    this.#parts.lane.publisher.start({
      onOpen: () => this.#opened(),
      onClosed: (reason) => this.#closed(reason),
      onBlocked: (reason) => this.#blocked(reason),
      onUnblocked: () => {
        this.#link.unblocked();
        this.#parts.backfill.opened(performance.now());
        this.#progress.begin(performance.now());
        this.pump();
      },
    });
    this.#progress.start();
  }

  /** From now on nothing more is taken out of the log than is in reach: what is left is for the next start. */
  stopDraining(): void {
    const { backlog, lane } = this.#parts;
    this.#mayDrain = backlog.messages <= lane.config.window.maxMessages;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#drain.stop();
    this.#progress.stop();
    this.#direct.stop();
    this.#retry.cancel();
    await this.#parts.lane.publisher.stop();
    this.#share.close();
  }

  get isOpen(): boolean {
    return this.#link.isOpen;
  }

  /** Answers of the broker are due, or what waits for the mark goes out when that is recorded. */
  get isUnderWay(): boolean {
    return this.window.size > 0 || this.#drain.isRecording;
  }

  /** True when a message that arrived now would be published and not stored. */
  get isDirect(): boolean {
    if (this.#direct.isOn) return true;
    return this.#mayEnterDirect && this.#parts.appending.entries.length === 0;
  }

  /** Why nothing is published at present, if that is so. */
  get stalledBy(): string | undefined {
    if (!this.#link.mayPublish) return this.#link.closedBy;
    return this.#retry.isPending ? 'a refused message waits for its next attempt' : undefined;
  }

  /** Time since the answer of the oldest message in flight came, in ms. */
  get silentMs(): number {
    return this.#progress.silentMs;
  }

  get canPublish(): boolean {
    return this.stalledBy === undefined && this.#mayDrain && !this.#stopped;
  }

  /** Publishes a message that just arrived, if nothing is ahead of it and there is room in the window. */
  publishDirectly(entry: Entry): boolean {
    if (!this.#direct.isOn && !this.#enterDirect()) return false;
    return this.#link.mayPublish && this.#publish(entry);
  }

  /** Leaves `direct`: what is in flight goes into the log, in order, before anything newer. */
  spill(): void {
    if (!this.#direct.isOn) return;
    this.#direct.leave();
    for (const entry of this.window.entries()) {
      if (!entry.stored) this.#parts.intake.append(entry);
    }
  }

  /** An append became durable. Called in the order of the appends. */
  appended(entry: Entry): void {
    const { backlog, departures, counters } = this.#parts;
    counters.stored += 1;
    this.#caution.appended(entry);
    this.#parts.suspects.appended(entry);
    tellSafe(entry);
    if (this.#isTakenCareOf(entry)) backlog.claim(entry.offset);
    else {
      entry.message.fromStore = true; // it may have been in flight on a lost link
      backlog.appended(entry);
    }
    if (entry.settled) departures.settle(entry);
    this.pump();
  }

  /** Publishes from the log as far as the window and the backfill allow. */
  pump(): void {
    const { intake, settlement } = this.#parts;
    if (this.#isHeldUp) {
      this.#takeBack();
      this.#rewind();
    }
    if (intake.isPressed) intake.makeRoom();
    if (!this.canPublish) return;
    this.window.cautious = this.#caution.isNeeded(settlement.lowWaterMark);
    this.#drain.run();
  }

  /**
   * Back to write-free: everything durable is published and confirms have been quick for `directAfterMs`.
   * Appends still under way are published now, so that what follows cannot overtake them.
   */
  #enterDirect(): boolean {
    if (!this.#mayEnterDirect) return false;
    for (const entry of this.#parts.appending.entries) {
      if (this.#isTakenCareOf(entry)) continue;
      if (!this.#publish(entry)) return false;
    }
    this.#direct.enter();
    return true;
  }

  get #mayEnterDirect(): boolean {
    const { backlog, intake, settlement } = this.#parts;
    if (!this.#direct.mayEnter || !this.canPublish || !backlog.isHandedOut) return false;
    return intake.waiting === 0 && !this.#caution.isNeeded(settlement.lowWaterMark);
  }

  /** It has left the log's order for good or is in flight: it must not be published from the log. */
  #isTakenCareOf(entry: Entry): boolean {
    return entry.inFlight || entry.settled || this.#parts.departures.has(entry);
  }

  /** False when there is no room for it in flight; then it is looked at again when there may be. */
  #publish(entry: Entry): boolean {
    if (!this.window.add(entry)) return false;
    const now = performance.now();
    if (this.window.size === 1) this.#progress.begin(now, entry);
    entry.inFlight = true;
    entry.publishedAtMs = now;
    if (!entry.stored) this.#direct.watch();
    this.#parts.counters.published += 1;
    this.#parts.lane.publisher.publish(entry.message, (outcome) => this.#answered(entry, outcome));
    return true;
  }

  #answered(entry: Entry, outcome: PublishOutcome): void {
    if (!entry.inFlight) return;
    const now = performance.now();
    this.#progress.answered(entry, now);
    this.#parts.onAnswer(entry, outcome.kind === 'confirmed');
    if (outcome.kind === 'confirmed') this.#confirmed(entry, now);
    else this.#refused(entry, outcome);
    // Only when all answers are in: what was refused then goes out again in order.
    if (this.window.size === 0) {
      this.#retry.begin(() => {
        this.#rewind();
        this.pump();
      });
    }
    this.pump();
  }

  #confirmed(entry: Entry, now: number): void {
    const { counters, backfill, departures } = this.#parts;
    this.#leave(entry);
    counters.confirmed += 1;
    this.#retry.succeeded();
    const latencyMs = now - entry.publishedAtMs;
    this.#direct.confirmedAfter(latencyMs, now);
    backfill.confirmed(latencyMs, now);
    if (!entry.stored) counters.direct += 1;
    departures.settle(entry);
  }

  #leave(entry: Entry): void {
    this.window.remove(entry);
    entry.inFlight = false;
  }

  #refused(entry: Entry, outcome: Exclude<PublishOutcome, { kind: 'confirmed' }>): void {
    const { appending, departures, lane, counters } = this.#parts;
    const refusal = refusalOf(outcome, lane, counters);
    if (refusal.action === 'retry') {
      this.spill(); // while it still has its place among the others
      this.#leave(entry);
      this.#retry.request();
      this.#caution.extendTo(entry, appending.placeOf(entry));
      return;
    }
    this.#leave(entry);
    if (refusal.action === 'park') void departures.park(entry, refusal.reason, refusal.detail);
    else void departures.drop(entry, refusal.reason);
  }

  #opened(): void {
    const { lane, backlog, backfill } = this.#parts;
    this.#link.opened();
    backfill.opened(performance.now());
    this.#progress.begin(performance.now());
    lane.onEvent('lane-open', { lane: lane.name, backlog: backlog.messages });
    this.pump();
  }

  #blocked(reason: string): void {
    const { lane, backfill } = this.#parts;
    this.#link.blocked(reason);
    backfill.closed(performance.now());
    lane.onEvent('lane-blocked', { lane: lane.name, reason });
  }

  #closed(reason: CloseReason): void {
    const { lane, counters, appending, backfill, departures } = this.#parts;
    this.#link.closed(reason.text);
    backfill.closed(performance.now());
    counters.channelLosses += 1;
    lane.onEvent('lane-closed', { lane: lane.name, ...reason, inFlight: this.window.size });
    const lost = this.#takeBack();
    const culprit = this.#caution.closed(reason.replyCode, lost);
    // Whatever was in flight is suspect, up to the last of it; it is in the log by now or on the way there.
    const last = lost.at(-1);
    if (reason.scope === 'channel' && last !== undefined) {
      this.#caution.extendTo(last, appending.placeOf(last));
    }
    this.#retry.cancel();
    if (culprit !== undefined) void departures.park(culprit, 'rejected', reason.text);
    this.#rewind();
  }

  /**
   * A broker that blocks answers nothing, and what is in flight to it keeps all in the log that is given up
   * behind it. Out of order come no more confirms than a window.
   */
  get #isHeldUp(): boolean {
    const { settlement, lane } = this.#parts;
    if (!this.#link.isOpen || this.#link.mayPublish || this.window.size === 0) return false;
    if (lane.whenFull !== 'drop-oldest' && lane.limits.maxAgeMs === undefined) return false;
    return settlement.aboveCount > lane.config.window.maxMessages;
  }

  /** What is in flight has its place in the log again, and is not waited for. */
  #takeBack(): readonly Entry[] {
    this.spill();
    const unanswered = this.window.entries();
    this.window.clear();
    for (const entry of unanswered) {
      entry.inFlight = false;
      this.#parts.suspects.add(entry);
    }
    return unanswered;
  }

  /** What is unanswered is published again from the log, except what is on its way out. */
  #rewind(): void {
    const { backlog, departures } = this.#parts;
    backlog.rewind();
    for (const entry of departures.entries) backlog.claim(entry.offset);
  }

  #noProgress(scope: 'channel' | 'connection'): void {
    const { name, publisher, onEvent } = this.#parts.lane;
    onEvent('lane-no-progress', { lane: name, recycling: scope, inFlight: this.window.size });
    publisher.recycle(scope, 'no confirm within amqp.confirmTimeoutMs');
  }
}
