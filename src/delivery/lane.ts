import { errorText, GatewayError } from '../shared/errors.ts';
import type { Draft, LaneMessage, MappedMessage } from '../shared/message.ts';
import { promised, type Receipt } from '../shared/receipt.ts';
import { AppendQueue } from './append-queue.ts';
import { Backlog } from './backlog.ts';
import { Departures } from './departures.ts';
import { arrivedEntry, type OwnMessage } from './entry.ts';
import type { InFlightWindow } from './in-flight-window.ts';
import { Intake } from './intake.ts';
import { LaneCounters } from './lane-counters.ts';
import type { LaneParts, LaneState } from './lane-parts.ts';
import { Outlet } from './outlet.ts';
import { ParkedProbe } from './parked-probe.ts';
import type { ParkedMessage, ParkReason } from './ports.ts';
import { Retention } from './retention.ts';
import { Settlement } from './settlement.ts';
import { Suspects } from './suspects.ts';

const READ_RETRY_MS = 250;
/** What no event announces is looked for so often: room in the store, the age of the oldest message. */
const LOOK_EVERY_MS = 250;
const STOP_CHECK_MS = 5;

/** Why a message is parked on arrival. */
export interface ParkRequest {
  readonly reason: ParkReason;
  readonly detail: string;
  /** Absent when none could be rendered. */
  readonly routingKey?: string | undefined;
}

/**
 * One mapping's ordered way to the broker. `accept` tells the receipt when the message is safe: confirmed by the
 * broker, or on disk. A message ahead is never overtaken:
 *
 * - `direct`: nothing waits in the log, so a message is published at once and safe by its confirm.
 * - otherwise: it is appended to the log and published from there, in order.
 *
 *     accept ──▶ intake ──▶ log ──▶ backlog ──▶ outlet ──▶ broker
 *           └───────────── direct ──────────────▲  │ settled, parked, given up
 *                                                  └──▶ departures
 */
export class Lane {
  readonly name: string;
  readonly counters: LaneCounters = new LaneCounters();
  readonly #parts: LaneParts;
  readonly #retention: Retention;
  readonly #departures: Departures;
  readonly #appending: AppendQueue;
  readonly #backlog: Backlog;
  readonly #intake: Intake;
  readonly #outlet: Outlet;
  readonly #probe: ParkedProbe;
  #looking: NodeJS.Timeout | undefined;
  #seq = 0;
  #isAccepting = true;
  /** The first seq that was refused because the lane ended; none that was acknowledged is above. */
  #safeEnd = Number.POSITIVE_INFINITY;

  /** The lane was stopped first: what a consumer may count on ends before this one. */
  readonly #onUnsafe = (seq: number): void => {
    if (!this.#isAccepting) this.#safeEnd = Math.min(this.#safeEnd, seq);
  };

  constructor(parts: LaneParts) {
    const { name, log, config } = parts;
    this.name = name;
    this.#parts = parts;
    this.#seq = parts.lastSeq ?? 0;
    const settlement = new Settlement(log.lowWaterMark);
    this.#retention = new Retention({
      policy: parts,
      held: { messages: log.endOffset - log.lowWaterMark, bytes: log.initialBytes },
      storeFullness: parts.storeFullness,
      ageMs: parts.ageMs,
    });
    const suspects = new Suspects(log.endOffset);
    const { counters } = this;
    const shared = { counters, retention: this.#retention, settlement, suspects };
    this.#departures = new Departures({
      lane: name,
      log,
      gaps: parts.gaps,
      parkedBefore: parts.parkedBefore,
      budgets: parts.budgets,
      maxUnderWay: config.window.maxMessages,
      onRoom: () => this.#outlet.pump(),
      onGone: (entry) => {
        this.#probe.answered(entry.message, false); // given up, it gets no answer any more
        this.#outlet.pump();
      },
      ...shared,
    });
    this.#appending = new AppendQueue(log, (entry) => this.#outlet.appended(entry));
    this.#backlog = new Backlog(log, settlement, parts.budgets.readAhead, {
      onLoaded: () => this.#outlet.pump(),
      isInUse: () => this.#outlet.canPublish,
      onLost: (records) => {
        this.#probe.recordsLost();
        return this.#departures.lost(records);
      },
      onReadError: (error) => this.#readFailed(error),
    });
    const ways = {
      appending: this.#appending,
      backlog: this.#backlog,
      departures: this.#departures,
      ...shared,
    };
    this.#intake = new Intake({ lane: name, ...ways });
    this.#outlet = new Outlet({
      lane: parts,
      intake: this.#intake,
      backfill: parts.backfill,
      onAnswer: (entry, isConfirmed) => this.#probe.answered(entry.message, isConfirmed),
      ...ways,
    });
    this.#probe = new ParkedProbe({
      log: this,
      everyMs: config.parkedRetryMs,
      isOpen: () => this.#outlet.canPublish,
      parkedMessages: () => this.parkedMessages,
      release: (maxCount) => this.releaseParked(maxCount, 'unroutable'),
    });
  }

  start(): void {
    this.#outlet.start();
    this.#probe.start();
    this.#looking = setInterval(() => {
      if (this.#intake.isPressed) this.#outlet.pump();
    }, LOOK_EVERY_MS);
  }

  /**
   * Takes a message; its seq is given synchronously, in order of the calls. The receipt is told when it is safe, or
   * given up as the lane's limits say and named in the gap manifest; or that it is not safe and must not be
   * acknowledged: LANE_CLOSED, LANE_FULL, STORE_CLOSED.
   */
  accept(message: MappedMessage, routingKey: string, receipt: Receipt): void {
    if (!this.#isAccepting) {
      receipt.unsafe(this.#closedError());
      return;
    }
    const entry = arrivedEntry(this.#identify(message, routingKey), receipt, this.#onUnsafe);
    if (this.#outlet.publishDirectly(entry)) return;
    this.#outlet.spill(); // what is in flight is older and goes first
    if (this.#intake.take(entry)) return;
    this.#seq -= 1; // refused: it was never here
    this.counters.accepted -= 1;
  }

  /**
   * Keeps a message apart that cannot be published as its mapping says, with what could be rendered of that: it is
   * published so when it is released. Resolves when that is durable.
   */
  park(message: MappedMessage, { reason, detail, routingKey = '' }: ParkRequest): Promise<void> {
    return promised((receipt) => {
      const entry = arrivedEntry(this.#identify(message, routingKey), receipt);
      void this.#departures.park(entry, reason, detail);
    });
  }

  /** Up to `maxCount` parked messages, of that reason only if one is given, oldest first. */
  parked(maxCount: number, reason?: ParkReason): Promise<readonly ParkedMessage[]> {
    const { budgets, log } = this.#parts;
    return budgets.alone(() => log.parked(maxCount, reason));
  }

  /** Puts a message in the place of the parked one with its identity, with another reason. Durable when it resolves. */
  async repark(message: LaneMessage, reason: ParkReason, detail: string): Promise<void> {
    const nowMs = Date.now();
    const attempt = { firstAttemptMs: nowMs, lastAttemptMs: nowMs, attempts: 1 };
    await this.#parts.log.park(message, { reason, detail, ...attempt });
  }

  /** Puts up to `maxCount` parked messages back to the end of the lane. Resolves with how many. */
  async releaseParked(maxCount: number, reason?: ParkReason): Promise<number> {
    const released = await this.#departures.release(maxCount, reason);
    this.#outlet.pump();
    return released;
  }

  /** Gives up to `maxCount` parked messages up; the gap manifest names them. Resolves with how many. */
  discardParked(maxCount: number): Promise<number> {
    return this.#departures.discard(maxCount);
  }

  /**
   * Ends the lane: nothing new is accepted, all in flight is made safe at once, and confirms are waited for
   * until `signal` aborts. What is then unconfirmed is in the store and is delivered by the next start, as is
   * a backlog of more than a window.
   */
  async stop(signal: AbortSignal): Promise<void> {
    this.#isAccepting = false;
    clearInterval(this.#looking);
    this.#probe.stop();
    this.#outlet.spill();
    this.#outlet.stopDraining();
    while (
      !signal.aborted &&
      (this.#isWriting || (this.#outlet.isOpen && this.#outlet.isUnderWay))
    ) {
      await new Promise((resolve) => setTimeout(resolve, STOP_CHECK_MS));
    }
    await this.#outlet.stop();
    await this.#backlog.stop();
    this.#departures.stop();
    this.#intake.stop();
  }

  /** What is published and not answered; for looking at only. */
  get window(): InFlightWindow {
    return this.#outlet.window;
  }

  get state(): LaneState {
    if (this.stalledBy !== undefined) return 'stalled';
    if (this.#outlet.isDirect) return 'direct';
    return this.#backlog.isHandedOut ? 'spilling' : 'draining';
  }

  /** Why nothing is published at present, if that is so. */
  get stalledBy(): string | undefined {
    return this.#outlet.stalledBy;
  }

  /** Stored and not settled. */
  get backlogMessages(): number {
    return this.#backlog.messages;
  }

  /** Bytes of it, roughly. */
  get backlogBytes(): number {
    return this.#retention.bytes;
  }

  /** Messages whose PUBACK is held back until there is room for them. */
  get waitingMessages(): number {
    return this.#intake.waiting;
  }

  /** How long confirms are due without any progress, in ms. */
  get stalledMs(): number {
    const isWaiting = this.window.size > 0 || this.backlogMessages > 0;
    return isWaiting ? this.#outlet.silentMs : 0;
  }

  get parkedMessages(): number {
    return this.#departures.parkedMessages;
  }

  /**
   * The seq of the message that arrived last; 0 when none has. After `stop` that of the last before those that
   * were still waiting for room then and are not safe.
   */
  get lastSeq(): number {
    return Math.min(this.#seq, this.#safeEnd - 1);
  }

  /** After `stop`: every message up to `lastSeq` is safe or named in the gap manifest. */
  get isAllSafe(): boolean {
    return this.window.size === 0 && !this.#isWriting;
  }

  get #isWriting(): boolean {
    return this.#appending.entries.length + this.#departures.underWay > 0;
  }

  #identify(message: MappedMessage, routingKey: string): OwnMessage {
    this.#seq += 1;
    this.counters.accepted += 1;
    const { gatewayId, epoch, run } = this.#parts;
    const own: Draft<LaneMessage> = {
      topic: message.topic,
      payload: message.payload,
      qos: message.qos,
      dup: message.dup,
      retain: message.retain,
      clientId: message.clientId,
      receivedAtMs: message.receivedAtMs,
      gatewayId,
      epoch,
      run,
      seq: this.#seq,
      elapsedMs: this.#parts.elapsedMs(),
      routingKey,
      fromStore: false,
    };
    if (message.username !== undefined) own.username = message.username;
    if (message.amqp !== undefined) own.amqp = message.amqp;
    return own;
  }

  #readFailed(error: unknown): void {
    this.#parts.onEvent('lane-read-failed', { lane: this.name, reason: errorText(error) });
    setTimeout(() => this.#outlet.pump(), READ_RETRY_MS).unref();
  }

  #closedError(): GatewayError {
    return new GatewayError('LANE_CLOSED', `Lane ${this.name} is closed.`);
  }
}
