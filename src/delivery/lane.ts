import type { FailureAction } from '../config/types.ts';
import { errorText, GatewayError } from '../shared/errors.ts';
import type { DeviceMessage, LaneMessage } from '../shared/message.ts';
import { AppendQueue } from './append-queue.ts';
import { Backlog } from './backlog.ts';
import { Caution } from './caution.ts';
import { DirectMode } from './direct-mode.ts';
import { arrivedEntry, type Entry, nothingToTell } from './entry.ts';
import { InFlightWindow } from './in-flight-window.ts';
import { LaneCounters } from './lane-counters.ts';
import type { LaneParts, LaneState } from './lane-parts.ts';
import { LinkState } from './link-state.ts';
import { Parking } from './parking.ts';
import { type CloseReason, type PublishOutcome, UNENCODABLE } from './ports.ts';
import { ProgressWatch } from './progress-watch.ts';
import { RetryPause } from './retry-pause.ts';
import { Settlement } from './settlement.ts';

const READ_RETRY_MS = 250;

/**
 * One mapping's ordered way to the broker. `accept` resolves when the message is safe: confirmed by the
 * broker, or on disk. A message ahead is never overtaken:
 *
 * - `direct`: nothing waits in the log, so a message is published at once and safe by its confirm.
 * - otherwise: it is appended to the log and published from there, in order.
 *
 * Leaving `direct` appends everything in flight first ("spill"). So whenever something is in the log, all that
 * arrived later is in the log behind it, and a lost channel can always be made good by reading it again.
 */
export class Lane {
  readonly name: string;
  readonly #parts: LaneParts;
  /** What is published and not answered; for looking at only. */
  readonly window: InFlightWindow;
  readonly #settlement: Settlement;
  readonly #backlog: Backlog;
  readonly #appending: AppendQueue;
  readonly #caution = new Caution();
  readonly #parking: Parking;
  readonly #direct: DirectMode;
  readonly #link = new LinkState();
  readonly #retry = new RetryPause();
  readonly #progress: ProgressWatch;
  readonly counters: LaneCounters = new LaneCounters();
  #seq = 0;
  #stopped = false;
  #accepting = true;

  constructor(parts: LaneParts) {
    this.name = parts.name;
    this.#parts = parts;
    this.window = new InFlightWindow(parts.config.window);
    this.#settlement = new Settlement(parts.log.lowWaterMark);
    this.#appending = new AppendQueue(parts.log, (entry) => this.#appended(entry));
    this.#parking = new Parking(parts.log, parts.parkedBefore);
    this.#direct = new DirectMode(
      parts.config,
      () => this.window.entries().find((entry) => !entry.stored)?.publishedAtMs,
      () => this.#spill(),
    );
    this.#progress = new ProgressWatch(
      parts.confirmTimeoutMs,
      () => this.#link.mayPublish && this.window.size > 0,
      (scope) => this.#noProgress(scope),
    );
    this.#backlog = new Backlog(parts.log, this.#settlement, {
      onLoaded: () => this.#pump(),
      onReadError: (error) => {
        parts.onEvent('lane-read-failed', { lane: parts.name, reason: errorText(error) });
        setTimeout(() => this.#pump(), READ_RETRY_MS).unref();
      },
      onLost: async (lost) => {
        this.counters.damaged += lost.count;
        parts.onEvent('records-lost', { lane: parts.name, ...lost });
      },
    });
  }

  start(): void {
    this.#parts.publisher.start({
      onOpen: () => this.#opened(),
      onClosed: (reason) => this.#closed(reason),
      onBlocked: (reason) => {
        this.#link.blocked(reason);
        this.#parts.onEvent('lane-blocked', { lane: this.name, reason });
      },
      onUnblocked: () => {
        this.#link.unblocked();
        this.#progress.begin(performance.now());
        this.#pump();
      },
    });
    this.#progress.start();
  }

  /**
   * Takes a message; its seq is given synchronously, in order of the calls. Resolves when it is safe.
   * @throws {GatewayError} LANE_CLOSED or STORE_CLOSED: it is not safe and must not be acknowledged.
   */
  accept(message: DeviceMessage, routingKey: string): Promise<void> {
    if (!this.#accepting) {
      return Promise.reject(new GatewayError('LANE_CLOSED', `Lane ${this.name} is closed.`));
    }
    return new Promise((resolve, reject) => {
      const entry = arrivedEntry(this.#identify(message, routingKey), resolve, reject);
      if (this.#canGoDirect(entry)) this.#publish(entry);
      else {
        if (this.#direct.isOn) this.#spill(); // what is in flight is older and goes first
        this.#appending.append(entry);
      }
    });
  }

  /** Keeps a message apart that cannot be published at all. Resolves when that is durable. */
  park(message: DeviceMessage, reason: 'routing_key_too_long', detail: string): Promise<void> {
    const entry = arrivedEntry(this.#identify(message, ''), nothingToTell, nothingToTell);
    return this.#parking.park(entry, reason, detail);
  }

  /** Puts up to `maxCount` parked messages back to the end of the lane. Resolves with how many. */
  async releaseParked(maxCount: number): Promise<number> {
    const released = await this.#parking.release(maxCount);
    this.#pump();
    return released;
  }

  /**
   * Ends the lane: nothing new is accepted, all in flight is made safe at once, and confirms are waited for
   * until `signal` aborts. What is then unconfirmed is in the store and is delivered by the next start.
   */
  async stop(signal: AbortSignal): Promise<void> {
    this.#accepting = false;
    if (this.#direct.isOn) this.#spill();
    const isBusy = (): boolean =>
      this.window.size + this.#appending.entries.length + this.#parking.underWay > 0;
    while (this.#link.isOpen && isBusy() && !signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    this.#stopped = true;
    this.#progress.stop();
    this.#direct.stop();
    this.#retry.cancel();
    await this.#parts.publisher.stop();
    await this.#backlog.idle();
  }

  get state(): LaneState {
    if (this.stalledBy !== undefined) return 'stalled';
    if (this.#direct.isOn) return 'direct';
    return this.#backlog.isHandedOut ? 'spilling' : 'draining';
  }

  /** Why nothing is published at present, if that is so. */
  get stalledBy(): string | undefined {
    if (!this.#link.mayPublish) return this.#link.closedBy;
    return this.#retry.isPending ? 'a refused message waits for its next attempt' : undefined;
  }

  /** Stored and not settled. */
  get backlogMessages(): number {
    return this.#parts.log.endOffset - this.#settlement.lowWaterMark - this.#settlement.aboveCount;
  }

  /** How long confirms are due without any progress, in ms. */
  get stalledMs(): number {
    const isWaiting = this.window.size > 0 || this.backlogMessages > 0;
    return isWaiting ? this.#progress.silentMs : 0;
  }

  get parkedMessages(): number {
    return this.#parking.count;
  }

  #identify(message: DeviceMessage, routingKey: string): LaneMessage {
    this.#seq += 1;
    this.counters.accepted += 1;
    const { gatewayId, epoch } = this.#parts;
    return { ...message, gatewayId, epoch, seq: this.#seq, routingKey };
  }

  #canGoDirect(entry: Entry): boolean {
    if (!this.#direct.isOn && !this.#enterDirect()) return false;
    return this.#link.mayPublish && this.window.hasRoomFor(entry);
  }

  /**
   * Back to write-free: everything durable is published and confirms have been quick for `directAfterMs`.
   * Appends still under way are published now, so that what follows cannot overtake them.
   */
  #enterDirect(): boolean {
    if (!this.#direct.mayEnter || !this.#canPublish() || !this.#backlog.isHandedOut) return false;
    if (this.#caution.isNeeded(this.#settlement.lowWaterMark)) return false;
    for (const entry of this.#appending.entries) {
      if (this.#isTakenCareOf(entry)) continue;
      if (!this.window.hasRoomFor(entry)) return false;
      this.#publish(entry);
    }
    this.#direct.enter();
    return true;
  }

  #spill(): void {
    this.#direct.leave();
    for (const entry of this.window.entries()) if (!entry.stored) this.#appending.append(entry);
  }

  /** Called in the order of the appends. */
  #appended(entry: Entry): void {
    this.counters.stored += 1;
    entry.safe();
    if (this.#isTakenCareOf(entry)) this.#backlog.claim(entry.offset);
    else {
      entry.message = { ...entry.message, fromStore: true }; // it may have been in flight on a lost link
      this.#backlog.appended(entry);
    }
    if (entry.settled) this.#settle(entry);
    this.#pump();
  }

  /** It has left the log's order for good or is in flight: it must not be published from the log. */
  #isTakenCareOf(entry: Entry): boolean {
    return entry.inFlight || entry.settled || this.#parking.has(entry);
  }

  #canPublish(): boolean {
    return this.stalledBy === undefined && !this.#stopped;
  }

  /** Publishes from the log as far as the window allows. */
  #pump(): void {
    if (!this.#canPublish()) return;
    this.window.cautious = this.#caution.isNeeded(this.#settlement.lowWaterMark);
    for (;;) {
      const next = this.#backlog.peek();
      if (next === undefined || !this.window.hasRoomFor(next)) return;
      if (this.#parking.underWay >= this.#parts.config.window.maxMessages) return;
      this.#backlog.shift();
      this.#publish(next);
    }
  }

  #publish(entry: Entry): void {
    const now = performance.now();
    if (this.window.size === 0) this.#progress.begin(now);
    entry.inFlight = true;
    entry.publishedAtMs = now;
    this.window.add(entry);
    if (!entry.stored) this.#direct.watch();
    this.counters.published += 1;
    this.#parts.publisher.publish(entry.message, (outcome) => this.#answered(entry, outcome));
  }

  #answered(entry: Entry, outcome: PublishOutcome): void {
    if (!entry.inFlight) return;
    const now = performance.now();
    this.#progress.answered(now);
    switch (outcome.kind) {
      case 'confirmed':
        this.#leave(entry);
        this.#confirmed(entry, now);
        break;
      case 'returned': {
        this.counters.returned += 1;
        if (outcome.replyCode === UNENCODABLE)
          this.#refused(entry, 'park', 'rejected', outcome.replyText);
        else this.#refused(entry, this.#parts.onUnroutable, 'unroutable', outcome.replyText);
        break;
      }
      case 'nacked':
        this.counters.nacked += 1;
        this.#refused(entry, this.#parts.onReject, 'rejected', 'basic.nack');
        break;
    }
    // Only when all answers are in: what was refused then goes out again in order.
    if (this.window.size === 0) {
      this.#retry.begin(() => {
        this.#rewind();
        this.#pump();
      });
    }
    this.#pump();
  }

  #confirmed(entry: Entry, now: number): void {
    this.counters.confirmed += 1;
    this.#retry.succeeded();
    this.#direct.confirmedAfter(now - entry.publishedAtMs, now);
    if (!entry.stored) this.counters.direct += 1;
    this.#settle(entry);
  }

  #leave(entry: Entry): void {
    this.window.remove(entry);
    entry.inFlight = false;
  }

  /** The message needs nothing more from this lane. */
  #settle(entry: Entry): void {
    entry.settled = true;
    entry.safe();
    if (entry.offset >= 0) this.#parts.log.settle(this.#settlement.settle(entry.offset));
  }

  #refused(
    entry: Entry,
    action: FailureAction,
    reason: 'unroutable' | 'rejected',
    detail: string,
  ): void {
    if (action === 'retry') {
      if (this.#direct.isOn) this.#spill(); // while it still has its place among the others
      this.#leave(entry);
      this.#retry.request();
      this.#caution.extendTo(this.#appending.placeOf(entry));
      return;
    }
    this.#leave(entry);
    if (action === 'park') this.#park(entry, reason, detail);
    else {
      this.counters.drop(reason);
      this.#settle(entry);
    }
  }

  #park(entry: Entry, reason: 'unroutable' | 'rejected', detail: string): void {
    this.#parking.park(entry, reason, detail).then(
      () => {
        this.#settle(entry);
        this.#pump();
      },
      (error: unknown) => entry.unsafe(error),
    );
  }

  #opened(): void {
    this.#link.opened();
    this.#progress.begin(performance.now());
    this.#parts.onEvent('lane-open', { lane: this.name, backlog: this.backlogMessages });
    this.#pump();
  }

  #closed(reason: CloseReason): void {
    this.#link.closed(reason.text);
    this.counters.channelLosses += 1;
    this.#parts.onEvent('lane-closed', { lane: this.name, ...reason, inFlight: this.window.size });
    if (this.#direct.isOn) this.#spill();
    const lost = this.window.entries();
    this.window.clear();
    for (const entry of lost) entry.inFlight = false;
    const culprit = this.#caution.closed(reason.replyCode, lost);
    // All that was in flight is in the log or on the way there: nothing behind that is suspect.
    if (reason.scope === 'channel') this.#caution.extendTo(this.#appending.endOffset);
    this.#retry.cancel();
    if (culprit !== undefined) this.#park(culprit, 'rejected', reason.text);
    this.#rewind();
  }

  /** What is unanswered is published again from the log, except what is being parked. */
  #rewind(): void {
    this.#backlog.rewind();
    for (const entry of this.#parking.entries) this.#backlog.claim(entry.offset);
  }

  #noProgress(scope: 'channel' | 'connection'): void {
    const inFlight = this.window.size;
    this.#parts.onEvent('lane-no-progress', { lane: this.name, recycling: scope, inFlight });
    this.#parts.publisher.recycle(scope, 'no confirm within amqp.confirmTimeoutMs');
  }
}
