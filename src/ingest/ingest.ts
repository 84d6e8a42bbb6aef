import { setTimeout as delay } from 'node:timers/promises';
import type { ParkRequest } from '../delivery/lane.ts';
import type { Route } from '../mapping/route-table.ts';
import type { CheckOutcome } from '../payload/check-queue.ts';
import type { PayloadCheck } from '../payload/payload-checks.ts';
import type { CheckFailure } from '../payload/protocol.ts';
import { GatewayError } from '../shared/errors.ts';
import type { DeviceMessage, Draft, MappedMessage, MessageProperties } from '../shared/message.ts';
import type { Receipt } from '../shared/receipt.ts';
import { shaped } from './shaped.ts';

/** What ingest needs of a lane. */
export interface IngestLane {
  accept(message: MappedMessage, routingKey: string, receipt: Receipt): void;
  park(message: MappedMessage, request: ParkRequest): Promise<void>;
}

export interface IngestParts {
  readonly route: (message: DeviceMessage) => readonly Route[];
  readonly lanes: ReadonlyMap<string, IngestLane>;
  /** Of the lanes that do not take payloads as they are. */
  readonly checks: ReadonlyMap<string, PayloadCheck>;
  readonly maxPayloadBytes: number;
  /** Of what is accepted and not yet safe, over all clients: payloads, those made by a transform, and what each lane adds. */
  readonly maxPendingBytes: number;
}

/** Why a message was acknowledged and not passed on as it is, or its connection closed. */
type RefusalReason = 'payload_too_large' | 'overloaded' | 'filtered' | CheckFailure;

const IDLE_CHECK_MS = 5;

/** Memory one pending message holds in each of its lanes beside its payload, roughly. */
const PENDING_OVERHEAD_BYTES = 512;

/**
 * The way from the MQTT side to the lanes. A message is safe when it is in every lane it goes to. What cannot be passed on at all is counted with its reason.
 */
export class Ingest {
  readonly #parts: IngestParts;
  readonly #pending: PendingBytes = { bytes: 0 };
  #unmatched = 0;
  readonly #refused: Record<RefusalReason, number> = {
    payload_too_large: 0,
    overloaded: 0,
    filtered: 0,
    payload_invalid: 0,
    when_failed: 0,
    transform_failed: 0,
    payload_timeout: 0,
    payload_crashed: 0,
  };

  constructor(parts: IngestParts) {
    this.#parts = parts;
  }

  /**
   * Hands the message to its lanes, in order of the calls for each lane; synchronously, unless its payload has to be
   * checked for that lane. The receipt may be told within this call. It is told INGEST_OVERLOADED, or what a lane
   * tells, when the message is not safe.
   */
  accept(message: DeviceMessage, receipt: Receipt): void {
    const bytes = message.payload.length;
    // A device would send it again for ever if it were not acknowledged.
    if (bytes > this.#parts.maxPayloadBytes) this.#refuse('payload_too_large', receipt);
    else if (this.#pending.bytes >= this.#parts.maxPendingBytes) this.#overloaded(receipt);
    else this.#route(message, receipt);
  }

  #route(message: DeviceMessage, receipt: Receipt): void {
    const routes = this.#parts.route(message);
    if (routes.length === 0) {
      this.#unmatched += 1;
      receipt.safe();
      return;
    }
    const bytes = message.payload.length + routes.length * PENDING_OVERHEAD_BYTES;
    const pending = new Pending(routes.length, bytes, this.#pending, receipt);
    for (const route of routes) this.#hand(message, route, pending);
  }

  /** Waits until everything accepted is safe, or `signal` aborts. */
  async idle(signal: AbortSignal): Promise<void> {
    while (this.#pending.bytes > 0 && !signal.aborted) await delay(IDLE_CHECK_MS);
  }

  stats(): {
    readonly unmatchedTotal: number;
    readonly refusedTotal: Readonly<Record<string, number>>;
    readonly pendingBytes: number;
  } {
    return {
      unmatchedTotal: this.#unmatched,
      refusedTotal: this.#refused,
      pendingBytes: this.#pending.bytes,
    };
  }

  #hand(message: DeviceMessage, route: Route, receipt: Pending): void {
    const lane = this.#parts.lanes.get(route.lane);
    if (lane === undefined) throw new Error(`No lane is named ${route.lane}.`);
    const check = this.#parts.checks.get(route.lane);
    if (check !== undefined) this.#check({ message, route, lane, check }, receipt);
    else handTo(lane, message, route, receipt);
  }

  /** What is not JSON, does not fit or takes too long would be the same when the device sent it again: it is parked. */
  #check({ message, route, lane, check }: Checking, receipt: Pending): void {
    if (check.isFull) this.#overloaded(receipt);
    else
      check.check(message, (outcome) => this.#settled(outcome, { message, route, lane }, receipt));
  }

  /** Called in order, and hands over at once: the order of the lane is that of arrival. */
  #settled(
    outcome: CheckOutcome,
    { message, route, lane }: Omit<Checking, 'check'>,
    receipt: Pending,
  ): void {
    switch (outcome.kind) {
      case 'passed':
        this.#pass(shaped(message, outcome.body), { message, route, lane }, receipt);
        break;
      case 'filtered':
        this.#refuse('filtered', receipt);
        break;
      case 'failed':
        this.#refused[outcome.reason] += 1;
        parkIn(lane, message, { ...outcome, routingKey: route.key.routingKey }, receipt);
        break;
      case 'closed':
        receipt.unsafe(new GatewayError('LANE_CLOSED', 'The gateway stops.'));
    }
  }

  /** A payload that was made for this lane is in memory beside that of the device. */
  #pass(
    made: DeviceMessage,
    { message, route, lane }: Omit<Checking, 'check'>,
    receipt: Pending,
  ): void {
    if (made !== message) receipt.grow(made.payload.length);
    handTo(lane, made, route, receipt);
  }

  #refuse(reason: RefusalReason, receipt: Receipt): void {
    this.#refused[reason] += 1;
    receipt.safe();
  }

  #overloaded(receipt: Receipt): void {
    this.#refused.overloaded += 1;
    receipt.unsafe(
      new GatewayError(
        'INGEST_OVERLOADED',
        'Too much is waiting to become safe (mqtt.maxPendingBytes).',
      ),
    );
  }
}

/** Payloads that are accepted and not safe. */
interface PendingBytes {
  bytes: number;
}

/**
 * One message on its way to its lanes: safe when it is safe in each, not safe when it is not in one of them. It is in memory
 * until the last of them is done with it.
 */
class Pending implements Receipt {
  #open: number;
  #isTold = false;
  #bytes: number;
  readonly #all: PendingBytes;
  readonly #receipt: Receipt;

  constructor(lanes: number, bytes: number, all: PendingBytes, receipt: Receipt) {
    this.#open = lanes;
    this.#bytes = bytes;
    this.#all = all;
    this.#receipt = receipt;
    all.bytes += bytes;
  }

  /** It holds so many bytes more. */
  grow(bytes: number): void {
    this.#bytes += bytes;
    this.#all.bytes += bytes;
  }

  safe(): void {
    if (this.#isLast() && !this.#isTold) this.#receipt.safe();
  }

  unsafe(error: unknown): void {
    this.#isLast();
    if (this.#isTold) return;
    this.#isTold = true;
    this.#receipt.unsafe(error);
  }

  #isLast(): boolean {
    this.#open -= 1;
    if (this.#open > 0) return false;
    this.#all.bytes -= this.#bytes;
    return true;
  }
}

interface Checking {
  readonly message: DeviceMessage;
  readonly route: Route;
  readonly lane: IngestLane;
  readonly check: PayloadCheck;
}

function handTo(lane: IngestLane, message: DeviceMessage, route: Route, receipt: Receipt): void {
  const { key, properties } = route;
  if (!key.ok) parkIn(lane, withProperties(message, key.properties), key, receipt);
  else lane.accept(withProperties(message, properties), key.routingKey, receipt);
}

function parkIn(
  lane: IngestLane,
  message: MappedMessage,
  request: ParkRequest,
  receipt: Receipt,
): void {
  lane.park(message, request).then(
    () => receipt.safe(),
    (error: unknown) => receipt.unsafe(error),
  );
}

function withProperties(
  message: DeviceMessage,
  amqp: MessageProperties | undefined,
): MappedMessage {
  if (amqp === undefined) return message;
  const { topic, payload, qos, dup, retain, clientId, receivedAtMs, username } = message;
  const mapped: Draft<MappedMessage> = {
    topic,
    payload,
    qos,
    dup,
    retain,
    clientId,
    receivedAtMs,
    amqp,
  };
  if (username !== undefined) mapped.username = username;
  return mapped;
}
