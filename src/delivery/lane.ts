import type { DeliveryConfig, FailureAction } from '../config/types.ts';
import { errorText, GatewayError } from '../shared/errors.ts';
import type { DeviceMessage, LaneMessage } from '../shared/message.ts';
import { Backlog } from './backlog.ts';
import { Caution } from './caution.ts';
import { arrivedEntry, type Entry } from './entry.ts';
import { InFlightWindow } from './in-flight-window.ts';
import { LaneCounters } from './lane-counters.ts';
import { Parking } from './parking.ts';
import type { CloseReason, LaneLog, Publisher, PublishOutcome } from './ports.ts';
import { ProgressWatch } from './progress-watch.ts';
import { RetryPause } from './retry-pause.ts';
import { Settlement } from './settlement.ts';

/** How a lane stands, for people and metrics. */
export type LaneState = 'direct' | 'spilling' | 'draining' | 'stalled';

export interface LaneParts {
  readonly name: string;
  readonly gatewayId: string;
  readonly epoch: number;
  readonly config: Pick<DeliveryConfig, 'mode' | 'spillAfterMs' | 'directAfterMs' | 'window'>;
  readonly onUnroutable: FailureAction;
  readonly onReject: FailureAction;
  /** Without any confirm for this long the channel, then the connection is given up. */
  readonly confirmTimeoutMs: number;
  readonly log: LaneLog;
  readonly publisher: Publisher;
  readonly onEvent: (event: string, detail: Readonly<Record<string, unknown>>) => void;
}

const READ_RETRY_MS = 250;
/** The broker's answer to a message that does not fit into AMQP at all (syntax-error, AMQP 0-9-1 §1.1). */
const UNENCODABLE = 502;

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
  readonly #parts: LaneParts;
  readonly #window: InFlightWindow;
  readonly #settlement: Settlement;
  readonly #backlog: Backlog;
  readonly #caution = new Caution();
  readonly #parking: Parking;
  readonly #retry = new RetryPause();
  readonly #progress: ProgressWatch;
  readonly counters: LaneCounters = new LaneCounters();
  /** On the way into the log, in order. */
  #appending: Entry[] = [];
  #seq = 0;
  #direct = false;
  #isOpen = false;
  #blockedReason: string | undefined;
  #closedReason: CloseReason | undefined;
  #stopped = false;
  #accepting = true;
  #notDirectBeforeMs = 0;
  #spillTimer: NodeJS.Timeout | undefined;

  constructor(parts: LaneParts) {
    this.#parts = parts;
    this.#window = new InFlightWindow(parts.config.window);
    this.#settlement = new Settlement(parts.log.lowWaterMark);
    this.#parking = new Parking(parts.log);
    this.#progress = new ProgressWatch(
      parts.confirmTimeoutMs,
      () => this.#canPublish() && this.#window.size > 0,
      (scope) => this.#noProgress(scope),
    );
    this.#backlog = new Backlog(parts.log, this.#settlement, {
      onLoaded: () => this.#pump(),
      onReadError: (error) => this.#readFailed(error),
    });
  }

  get name(): string {
    return this.#parts.name;
  }

  start(): void {
    this.#parts.publisher.start({
      onOpen: () => this.#opened(),
      onClosed: (reason) => this.#closed(reason),
      onBlocked: (reason) => {
        this.#blockedReason = reason;
        this.#event('lane-blocked', { reason });
      },
      onUnblocked: () => {
        this.#blockedReason = undefined;
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
      if (this.#canGoDirect(entry)) this.#publishDirect(entry);
      else this.#store(entry);
    });
  }

  /** Keeps a message apart that cannot be published at all. Resolves when that is durable. */
  async park(
    message: DeviceMessage,
    reason: 'routing_key_too_long',
    detail: string,
  ): Promise<void> {
    const laneMessage = this.#identify(message, '');
    await this.#parking.park(laneMessage, reason, detail);
  }

  /**
   * Ends the lane: nothing new is accepted, all in flight is made safe at once, and confirms are waited for
   * until `signal` aborts. What is then unconfirmed is in the store and is delivered by the next start.
   */
  async stop(signal: AbortSignal): Promise<void> {
    this.#accepting = false;
    if (this.#direct) this.#spill();
    while (this.#isOpen && this.#hasWork() && !signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    this.#stopped = true;
    this.#progress.stop();
    clearTimeout(this.#spillTimer);
    this.#retry.cancel();
    await this.#parts.publisher.stop();
    await this.#backlog.idle();
  }

  get state(): LaneState {
    if (!this.#isOpen || this.#blockedReason !== undefined || this.#retry.isPending)
      return 'stalled';
    if (this.#direct) return 'direct';
    return this.#backlog.isHandedOut ? 'spilling' : 'draining';
  }

  /** Why nothing is published at present, if that is so. */
  get stalledBy(): string | undefined {
    if (!this.#isOpen) return this.#closedReason?.text ?? 'not connected yet';
    if (this.#blockedReason !== undefined) return `blocked by the broker: ${this.#blockedReason}`;
    return this.#retry.isPending ? 'a refused message waits for its next attempt' : undefined;
  }

  /** Stored and not settled. */
  get backlogMessages(): number {
    return this.#parts.log.endOffset - this.#settlement.lowWaterMark - this.#settlement.aboveCount;
  }

  get inFlight(): { readonly messages: number; readonly bytes: number } {
    return { messages: this.#window.size, bytes: this.#window.bytes };
  }

  /** How long confirms are due without any progress, in ms. */
  get stalledMs(): number {
    const isWaiting = this.#window.size > 0 || this.backlogMessages > 0;
    return isWaiting ? this.#progress.silentMs : 0;
  }

  get parkedTotal(): number {
    return this.#parking.parkedTotal;
  }

  #identify(message: DeviceMessage, routingKey: string): LaneMessage {
    this.#seq += 1;
    this.counters.accepted += 1;
    const { gatewayId, epoch } = this.#parts;
    return { ...message, gatewayId, epoch, seq: this.#seq, routingKey };
  }

  #canGoDirect(entry: Entry): boolean {
    if (!this.#direct && !this.#enterDirect()) return false;
    return this.#blockedReason === undefined && this.#window.hasRoomFor(entry);
  }

  /**
   * Back to write-free: everything durable is published and confirms have been quick for `directAfterMs`.
   * Appends still under way are published now, so that what follows cannot overtake them.
   */
  #enterDirect(): boolean {
    const isHealthy =
      this.#parts.config.mode === 'adaptive' && this.#canPublish() && this.#backlog.isHandedOut;
    if (!isHealthy || this.#caution.isNeeded(this.#settlement.lowWaterMark)) return false;
    if (performance.now() < this.#notDirectBeforeMs) return false;
    for (const entry of this.#appending) {
      if (entry.inFlight || entry.settled) continue;
      if (!this.#window.hasRoomFor(entry)) return false;
      this.#publish(entry);
    }
    this.#direct = true;
    return true;
  }

  #publishDirect(entry: Entry): void {
    this.#publish(entry);
    this.#spillTimer ??= setTimeout(() => this.#checkSpill(), this.#parts.config.spillAfterMs);
  }

  /** Appends what arrived; what is still unsafe in flight is older and goes first. */
  #store(entry: Entry): void {
    if (this.#direct) this.#spill();
    this.#append(entry);
  }

  #spill(): void {
    this.#direct = false;
    this.#notDirectBeforeMs = performance.now() + this.#parts.config.directAfterMs;
    for (const entry of this.#window.entries()) if (!entry.stored) this.#append(entry);
  }

  #checkSpill(): void {
    this.#spillTimer = undefined;
    const oldest = this.#window.entries().find((entry) => !entry.stored);
    if (!this.#direct || oldest === undefined) return;
    const { spillAfterMs } = this.#parts.config;
    const restMs = oldest.publishedAtMs + spillAfterMs - performance.now();
    if (restMs <= 0) this.#spill();
    else this.#spillTimer = setTimeout(() => this.#checkSpill(), restMs);
  }

  #append(entry: Entry): void {
    entry.stored = true;
    if (!entry.inFlight) entry.message = { ...entry.message, fromStore: true };
    this.#appending.push(entry);
    this.#parts.log.append(entry.message).then(
      (offset) => this.#appended(entry, offset),
      (error: unknown) => entry.unsafe(error),
    );
  }

  /** Called in the order of the appends. */
  #appended(entry: Entry, offset: number): void {
    this.#appending.shift();
    entry.offset = offset;
    this.counters.stored += 1;
    entry.safe();
    if (entry.inFlight || entry.settled) this.#backlog.claim(offset);
    else this.#backlog.appended(entry);
    if (entry.settled) this.#settle(entry);
    this.#pump();
  }

  #canPublish(): boolean {
    if (!this.#isOpen || this.#stopped) return false;
    return this.#blockedReason === undefined && !this.#retry.isPending;
  }

  /** Publishes from the log as far as the window allows. */
  #pump(): void {
    if (!this.#canPublish()) return;
    this.#window.cautious = this.#caution.isNeeded(this.#settlement.lowWaterMark);
    for (;;) {
      const next = this.#backlog.peek();
      if (next === undefined || !this.#window.hasRoomFor(next)) return;
      if (this.#parking.underWay >= this.#parts.config.window.maxMessages) return;
      this.#backlog.shift();
      this.#publish(next);
    }
  }

  #publish(entry: Entry): void {
    const now = performance.now();
    if (this.#window.size === 0) this.#progress.begin(now);
    entry.inFlight = true;
    entry.publishedAtMs = now;
    this.#window.add(entry);
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
        const isHopeless = outcome.replyCode === UNENCODABLE;
        const action = isHopeless ? 'park' : this.#parts.onUnroutable;
        this.#refused(entry, action, isHopeless ? 'rejected' : 'unroutable', outcome.replyText);
        break;
      }
      case 'nacked':
        this.counters.nacked += 1;
        this.#refused(entry, this.#parts.onReject, 'rejected', 'basic.nack');
        break;
    }
    // Only when all answers are in: what was refused then goes out again in order.
    if (this.#window.size === 0) this.#retry.begin(() => this.#rewind());
    this.#pump();
  }

  #confirmed(entry: Entry, now: number): void {
    this.counters.confirmed += 1;
    this.#retry.succeeded();
    const { spillAfterMs, directAfterMs } = this.#parts.config;
    if (now - entry.publishedAtMs > spillAfterMs) this.#notDirectBeforeMs = now + directAfterMs;
    if (!entry.stored) this.counters.direct += 1;
    this.#settle(entry);
  }

  #leave(entry: Entry): void {
    this.#window.remove(entry);
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
      if (this.#direct) this.#spill(); // while it still has its place among the others
      this.#leave(entry);
      this.#retry.request();
      this.#caution.extendTo(Math.max(entry.offset, this.#settlement.lowWaterMark));
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
    this.#parking.park(entry.message, reason, detail).then(
      () => {
        this.#settle(entry);
        this.#pump();
      },
      (error: unknown) => entry.unsafe(error),
    );
  }

  #rewind(): void {
    this.#backlog.rewind();
    this.#pump();
  }

  #opened(): void {
    this.#isOpen = true;
    this.#blockedReason = undefined;
    this.#closedReason = undefined;
    this.#progress.begin(performance.now());
    this.#event('lane-open', { backlog: this.backlogMessages });
    this.#pump();
  }

  #closed(reason: CloseReason): void {
    this.#isOpen = false;
    this.#blockedReason = undefined;
    this.#closedReason = reason;
    this.counters.channelLosses += 1;
    this.#event('lane-closed', { ...reason, inFlight: this.#window.size });
    if (this.#direct) this.#spill();
    const lost = this.#window.entries();
    this.#window.clear();
    for (const entry of lost) entry.inFlight = false;
    const culprit = this.#caution.closed(reason.replyCode, lost);
    if (reason.scope === 'channel') this.#caution.extendTo(this.#parts.log.endOffset);
    this.#retry.cancel();
    this.#backlog.rewind();
    if (culprit !== undefined) this.#park(culprit, 'rejected', reason.text);
  }

  #readFailed(error: unknown): void {
    this.#event('lane-read-failed', { reason: errorText(error) });
    if (!this.#stopped) setTimeout(() => this.#pump(), READ_RETRY_MS).unref();
  }

  #noProgress(scope: 'channel' | 'connection'): void {
    this.#event('lane-no-progress', { recycling: scope, inFlight: this.#window.size });
    this.#parts.publisher.recycle(scope, 'no confirm within amqp.confirmTimeoutMs');
  }

  #hasWork(): boolean {
    return this.#window.size > 0 || this.#appending.length > 0 || this.#parking.underWay > 0;
  }

  #event(event: string, detail: Readonly<Record<string, unknown>>): void {
    this.#parts.onEvent(event, { lane: this.name, ...detail });
  }
}
