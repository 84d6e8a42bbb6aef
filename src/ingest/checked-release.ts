import type { ParkedMessage, ParkReason } from '../delivery/ports.ts';
import type { Route } from '../mapping/route-table.ts';
import type { CheckOutcome } from '../payload/check-queue.ts';
import type { PayloadCheck } from '../payload/payload-checks.ts';
import type { CheckFailure } from '../payload/protocol.ts';
import type { DeviceMessage, LaneMessage } from '../shared/message.ts';
import { shaped } from './shaped.ts';

/** Messages read at once to be checked: bounds the memory. */
const READ_COUNT = 200;

/** Checks go on for so long in one request, in ms; a message that runs out of time each time takes the time of many. */
const CHECK_FOR_MS = 5_000;

/** Whether what is parked for a reason has to pass its check before it may be released. As a table, so that none is forgotten. */
const NEEDS_CHECK: Readonly<Record<ParkReason, boolean>> = {
  unroutable: false,
  rejected: false,
  routing_key_too_long: false,
  template_failed: false,
  property_invalid: false,
  checked_again: false,
  payload_invalid: true,
  when_failed: true,
  transform_failed: true,
  payload_timeout: true,
  payload_crashed: true,
} satisfies Record<Exclude<ParkReason, CheckFailure>, false> & Record<CheckFailure, true>;

/** What the release needs of a lane. */
export interface ReleasingLane {
  readonly name: string;
  readonly parkedMessages: number;
  parked(maxCount: number, reason?: ParkReason): Promise<readonly ParkedMessage[]>;
  repark(message: LaneMessage, reason: ParkReason, detail: string): Promise<void>;
  releaseParked(maxCount: number, reason?: ParkReason): Promise<number>;
  discardParked(maxCount: number): Promise<number>;
}

export interface CheckedReleaseParts {
  readonly route: (message: DeviceMessage) => readonly Route[];
  readonly checks: ReadonlyMap<string, PayloadCheck>;
}

/**
 * Releases parked messages. Those that their check parked never were as the consumers of their lane expect them: they are
 * checked again, by what the config says now, and only what passes is released, shaped and with the routing key that it would
 * have had. What does not pass stays parked.
 */
export class CheckedRelease {
  readonly #parts: CheckedReleaseParts;
  /** One at a time: a message must not be released twice. */
  #working: Promise<unknown> = Promise.resolve();

  constructor(parts: CheckedReleaseParts) {
    this.#parts = parts;
  }

  /** The lane as it is released from. A lane without a check is released as it is. */
  of(lane: ReleasingLane): Omit<ReleasingLane, 'repark'> {
    const check = this.#parts.checks.get(lane.name);
    return {
      name: lane.name,
      get parkedMessages(): number {
        return lane.parkedMessages;
      },
      parked: (maxCount, reason) => lane.parked(maxCount, reason),
      releaseParked: (maxCount, reason) =>
        this.#alone(() =>
          check === undefined
            ? lane.releaseParked(maxCount, reason)
            : this.#release({ lane, check, maxCount }, reason),
        ),
      discardParked: (maxCount) => this.#alone(() => lane.discardParked(maxCount)),
    };
  }

  #alone<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#working.then(task);
    this.#working = done.catch(() => undefined); // whoever asked is told
    return done;
  }

  async #release(request: Request, reason: ParkReason | undefined): Promise<number> {
    const reasons = reason === undefined ? (Object.keys(NEEDS_CHECK) as ParkReason[]) : [reason];
    const { lane, maxCount } = request;
    let released = 0;
    const untilMs = performance.now() + CHECK_FOR_MS;
    for (const each of reasons) {
      if (released >= maxCount) break;
      if (NEEDS_CHECK[each]) await this.#checkAgain(request, each, untilMs);
      const ready = NEEDS_CHECK[each] ? 'checked_again' : each;
      released += await lane.releaseParked(maxCount - released, ready);
    }
    return released;
  }

  /** Those go first that were not tried for the longest time, so that in the end all are. */
  async #checkAgain(request: Request, reason: ParkReason, untilMs: number): Promise<void> {
    const parked = await request.lane.parked(READ_COUNT, reason);
    const byAge = [...parked].sort((a, b) => a.note.lastAttemptMs - b.note.lastAttemptMs);
    for (const { message } of byAge.slice(0, request.maxCount)) {
      if (performance.now() > untilMs) return;
      const outcome = await new Promise<CheckOutcome>((resolve) => {
        request.check.check(message, resolve);
      });
      await this.#note(request.lane, message, outcome);
    }
  }

  /** The note changes in place: at every moment the message is parked, or released. */
  async #note(lane: ReleasingLane, message: LaneMessage, outcome: CheckOutcome): Promise<void> {
    if (outcome.kind === 'failed') await lane.repark(message, outcome.reason, outcome.detail);
    if (outcome.kind !== 'passed') return;
    const route = this.#parts.route(message).find((one) => one.lane === lane.name);
    if (route === undefined) return; // the mapping does not match it any more
    const { key, properties } = route;
    if (!key.ok) {
      await lane.repark(message, key.reason, key.detail);
      return;
    }
    const amqp = properties === undefined ? {} : { amqp: properties };
    const ready = { ...shaped(message, outcome.body), routingKey: key.routingKey, ...amqp };
    await lane.repark(ready, 'checked_again', 'passed its check; the next release takes it');
  }
}

interface Request {
  readonly lane: ReleasingLane;
  readonly check: PayloadCheck;
  readonly maxCount: number;
}
