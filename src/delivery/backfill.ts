import type { BackfillConfig } from '../config/types.ts';
import { RateLimit } from './rate-limit.ts';

/** Younger messages are live traffic on its way through the store: only older ones are governed. */
const BACKLOG_AGE_MS = 1_000;
/** The wait after an outage is at most this part of it. */
const START_DELAY_SHARE = 0.1;
/** A window to begin with; it doubles with each round trip as long as confirms stay quick. */
const FIRST_WINDOW = 100;
/** Below this a link with long round trips would stand still. */
const LEAST_WINDOW = 8;
/** As in TCP: gently up, steeply down. */
const DECREASE = 0.7;
/** The shortest latency is forgotten after so long: the route may have changed. */
const FORGET_SHORTEST_AFTER_MS = 60_000;

/** What the lanes share while they catch up: messages in flight and rates. */
export class BackfillGovernor {
  readonly #config: BackfillConfig;
  readonly #random: () => number;
  readonly #messageRate: RateLimit;
  readonly #byteRate: RateLimit;
  readonly #lanes = new Set<LaneBackfill>();

  /** `random` gives numbers from 0 to 1. */
  constructor(config: BackfillConfig, random: () => number = Math.random) {
    this.#config = config;
    this.#random = random;
    this.#messageRate = new RateLimit(config.maxMessagesPerSecond);
    this.#byteRate = new RateLimit(config.maxBytesPerSecond);
  }

  /** The part of one lane; `maxWindow` is its limit of messages in flight. */
  lane(maxWindow: number): LaneBackfill {
    return new LaneBackfill(this, this.#config.targetConfirmMs, maxWindow);
  }

  /** The lane catches up from now on, or does not any more. */
  enlist(lane: LaneBackfill, isCatchingUp: boolean): void {
    if (isCatchingUp) this.#lanes.add(lane);
    else this.#lanes.delete(lane);
  }

  /** Messages each lane that catches up may have in flight. */
  get share(): number {
    return Math.max(
      1,
      Math.floor(this.#config.maxInFlightMessages / Math.max(1, this.#lanes.size)),
    );
  }

  /** A random wait after an outage of that length, so that many gateways do not come back at once; in ms. */
  startDelayMs(outageMs: number): number {
    return this.#random() * Math.min(this.#config.maxStartDelayMs, outageMs * START_DELAY_SHARE);
  }

  /** How long until the rates allow one more message, in ms. */
  rateWaitMs(nowMs: number): number {
    return Math.max(this.#messageRate.waitMs(nowMs), this.#byteRate.waitMs(nowMs));
  }

  take(bytes: number, nowMs: number): void {
    this.#messageRate.take(1, nowMs);
    this.#byteRate.take(bytes, nowMs);
  }
}

/**
 * How fast one lane catches up. Its window follows the confirm latency: when confirms get slow, the broker or
 * the link has more than it can do, and more in flight would only keep the live messages of other lanes
 * waiting. Messages that arrived just now are not governed.
 */
export class LaneBackfill {
  readonly #governor: BackfillGovernor;
  readonly #targetMs: number;
  readonly #maxWindow: number;
  #window: number;
  #isDoubling = true;
  #notBeforeMs = 0;
  #lostAtMs: number | undefined;
  #shortestMs = Number.POSITIVE_INFINITY;
  #shortestAtMs = 0;
  #loweredAtMs = 0;

  constructor(governor: BackfillGovernor, targetMs: number, maxWindow: number) {
    this.#governor = governor;
    this.#targetMs = targetMs;
    this.#maxWindow = maxWindow;
    this.#window = Math.min(FIRST_WINDOW, maxWindow);
  }

  /** Messages in flight that the lane may have at present. */
  get window(): number {
    return Math.max(1, Math.min(Math.floor(this.#window), this.#governor.share));
  }

  opened(nowMs: number): void {
    const outageMs = this.#lostAtMs === undefined ? 0 : nowMs - this.#lostAtMs;
    this.#notBeforeMs = nowMs + this.#governor.startDelayMs(outageMs);
    this.#lostAtMs = undefined;
    this.#window = Math.min(FIRST_WINDOW, this.#maxWindow);
    this.#isDoubling = true;
    this.#shortestMs = Number.POSITIVE_INFINITY;
  }

  /** The link is gone. The first opening after the start ends no outage: nobody knows how long it was. */
  closed(nowMs: number): void {
    this.#lostAtMs ??= nowMs;
    this.#governor.enlist(this, false);
  }

  /** Everything the lane has is published. */
  caughtUp(): void {
    this.#governor.enlist(this, false);
  }

  /**
   * How long the lane must wait before it publishes a message of that age, in ms: 0 = not at all, infinite = until
   * something in flight is confirmed.
   */
  waitMs(ageMs: number, inFlight: number, nowMs: number): number {
    if (ageMs <= BACKLOG_AGE_MS) return 0;
    this.#governor.enlist(this, true);
    if (nowMs < this.#notBeforeMs) return this.#notBeforeMs - nowMs;
    if (inFlight >= this.window) return Number.POSITIVE_INFINITY;
    return this.#governor.rateWaitMs(nowMs);
  }

  published(ageMs: number, bytes: number, nowMs: number): void {
    if (ageMs > BACKLOG_AGE_MS) this.#governor.take(bytes, nowMs);
  }

  confirmed(latencyMs: number, nowMs: number): void {
    if (latencyMs <= this.#shortestMs || nowMs - this.#shortestAtMs > FORGET_SHORTEST_AFTER_MS) {
      this.#shortestMs = latencyMs;
      this.#shortestAtMs = nowMs;
    }
    if (latencyMs <= Math.max(this.#targetMs, 2 * this.#shortestMs)) this.#raise();
    else if (nowMs - this.#loweredAtMs > latencyMs) this.#lower(nowMs); // once a round trip
  }

  #raise(): void {
    const step = this.#isDoubling ? 1 : LEAST_WINDOW / this.#window;
    this.#window = Math.min(this.#maxWindow, this.#window + step);
  }

  #lower(nowMs: number): void {
    this.#loweredAtMs = nowMs;
    this.#isDoubling = false;
    this.#window = Math.max(Math.min(LEAST_WINDOW, this.#maxWindow), this.#window * DECREASE);
  }
}
