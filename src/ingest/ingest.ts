import { setTimeout as delay } from 'node:timers/promises';
import type { ParkRequest } from '../delivery/lane.ts';
import type { Route } from '../mapping/route-table.ts';
import type { CheckOutcome } from '../payload/check-queue.ts';
import type { PayloadCheck } from '../payload/payload-checks.ts';
import type { CheckFailure } from '../payload/protocol.ts';
import { GatewayError } from '../shared/errors.ts';
import type { DeviceMessage, MappedMessage, MessageProperties } from '../shared/message.ts';
import { shaped } from './shaped.ts';

/** What ingest needs of a lane. */
export interface IngestLane {
  accept(message: MappedMessage, routingKey: string): Promise<void>;
  park(message: MappedMessage, request: ParkRequest): Promise<void>;
}

export interface IngestParts {
  readonly route: (message: DeviceMessage) => readonly Route[];
  readonly lanes: ReadonlyMap<string, IngestLane>;
  /** Of the lanes that do not take payloads as they are. */
  readonly checks: ReadonlyMap<string, PayloadCheck>;
  readonly maxPayloadBytes: number;
  /** Payloads accepted and not yet safe, over all clients. */
  readonly maxPendingBytes: number;
}

/** Why a message was acknowledged and not passed on as it is, or its connection closed. */
type RefusalReason = 'payload_too_large' | 'overloaded' | 'filtered' | CheckFailure;

const IDLE_CHECK_MS = 5;

const SAFE = Promise.resolve();

/** Memory one pending message holds beside its payload, roughly. */
const PENDING_OVERHEAD_BYTES = 512;

/**
 * The way from the MQTT side to the lanes. `accept` resolves when the message is safe in every lane it goes
 * to. What cannot be passed on at all is counted with its reason.
 */
export class Ingest {
  readonly #parts: IngestParts;
  #pendingBytes = 0;
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
   * checked for that lane.
   * @throws {GatewayError} INGEST_OVERLOADED, or what a lane throws: it is not safe, do not acknowledge it.
   */
  accept(message: DeviceMessage): Promise<void> {
    // A device would send it again for ever if it were not acknowledged.
    if (message.payload.length > this.#parts.maxPayloadBytes)
      return this.#refuse('payload_too_large');
    if (this.#pendingBytes >= this.#parts.maxPendingBytes) return this.#overloaded();
    const routes = this.#parts.route(message);
    if (routes.length === 0) {
      this.#unmatched += 1;
      return SAFE;
    }
    const [only] = routes;
    if (routes.length === 1 && only !== undefined)
      return this.#pend(message, this.#hand(message, only));
    const all = routes.map((route) => this.#hand(message, route));
    return this.#pend(
      message,
      Promise.all(all).then(() => undefined),
    );
  }

  /** Waits until everything accepted is safe, or `signal` aborts. */
  async idle(signal: AbortSignal): Promise<void> {
    while (this.#pendingBytes > 0 && !signal.aborted) await delay(IDLE_CHECK_MS);
  }

  stats(): {
    readonly unmatchedTotal: number;
    readonly refusedTotal: Readonly<Record<string, number>>;
    readonly pendingBytes: number;
  } {
    return {
      unmatchedTotal: this.#unmatched,
      refusedTotal: this.#refused,
      pendingBytes: this.#pendingBytes,
    };
  }

  #hand(message: DeviceMessage, route: Route): Promise<void> {
    const lane = this.#parts.lanes.get(route.lane);
    if (lane === undefined) throw new Error(`No lane is named ${route.lane}.`);
    const check = this.#parts.checks.get(route.lane);
    if (check !== undefined) return this.#check({ message, route, lane, check });
    return handTo(lane, message, route);
  }

  /** What is not JSON, does not fit or takes too long would be the same when the device sent it again: it is parked. */
  #check({ message, route, lane, check }: Checking): Promise<void> {
    if (check.isFull) return this.#overloaded();
    return new Promise((resolve, reject) => {
      check.check(message, (outcome) => {
        this.#settled(outcome, { message, route, lane }).then(resolve, reject);
      });
    });
  }

  /** Called in order, and hands over at once: the order of the lane is that of arrival. */
  #settled(
    outcome: CheckOutcome,
    { message, route, lane }: Omit<Checking, 'check'>,
  ): Promise<void> {
    switch (outcome.kind) {
      case 'passed':
        return handTo(lane, shaped(message, outcome.body), route);
      case 'filtered':
        return this.#refuse('filtered');
      case 'failed':
        this.#refused[outcome.reason] += 1;
        return lane.park(message, { ...outcome, routingKey: route.key.routingKey });
      case 'closed':
        return Promise.reject(new GatewayError('LANE_CLOSED', 'The gateway stops.'));
    }
  }

  #refuse(reason: RefusalReason): Promise<void> {
    this.#refused[reason] += 1;
    return SAFE;
  }

  #overloaded(): Promise<void> {
    this.#refused.overloaded += 1;
    return Promise.reject(
      new GatewayError(
        'INGEST_OVERLOADED',
        'Too much is waiting to become safe (mqtt.maxPendingBytes).',
      ),
    );
  }

  #pend(message: DeviceMessage, safe: Promise<void>): Promise<void> {
    const bytes = message.payload.length + PENDING_OVERHEAD_BYTES;
    this.#pendingBytes += bytes;
    const release = (): void => {
      this.#pendingBytes -= bytes;
    };
    safe.then(release, release);
    return safe;
  }
}

interface Checking {
  readonly message: DeviceMessage;
  readonly route: Route;
  readonly lane: IngestLane;
  readonly check: PayloadCheck;
}

function handTo(lane: IngestLane, message: DeviceMessage, route: Route): Promise<void> {
  const { key, properties } = route;
  if (!key.ok) return lane.park(withProperties(message, key.properties), key);
  return lane.accept(withProperties(message, properties), key.routingKey);
}

function withProperties(
  message: DeviceMessage,
  amqp: MessageProperties | undefined,
): MappedMessage {
  return amqp === undefined ? message : { ...message, amqp };
}
