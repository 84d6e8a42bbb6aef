import { expect, test } from 'vitest';
import type { ParkedMessage, ParkReason } from '../delivery/ports.ts';
import type { Route } from '../mapping/route-table.ts';
import type { CheckOutcome } from '../payload/check-queue.ts';
import type { PayloadCheck } from '../payload/payload-checks.ts';
import type { LaneMessage } from '../shared/message.ts';
import { CheckedRelease, type ReleasingLane } from './checked-release.ts';

const NOTE = { detail: '', firstAttemptMs: 1, lastAttemptMs: 1, attempts: 1 };

function parkedMessage(seq: number, reason: ParkReason): ParkedMessage {
  const rest = { qos: 1, dup: false, retain: false, clientId: 'c', receivedAtMs: 1 } as const;
  const payload = Buffer.from(`payload ${seq}`);
  const identity = { gatewayId: 'g', epoch: 1, seq, routingKey: '' };
  return { message: { topic: 'a/b', payload, ...rest, ...identity }, note: { ...NOTE, reason } };
}

/** A lane that only has parked messages. */
class ParkedOnlyLane implements ReleasingLane {
  readonly name = 'one';
  held: ParkedMessage[];
  readonly released: LaneMessage[] = [];

  constructor(held: ParkedMessage[]) {
    this.held = held;
  }

  get parkedMessages(): number {
    return this.held.length;
  }

  async parked(maxCount: number, reason?: ParkReason): Promise<ParkedMessage[]> {
    return this.#find(maxCount, reason);
  }

  async repark(message: LaneMessage, reason: ParkReason, detail: string): Promise<void> {
    const note = { ...NOTE, reason, detail };
    this.held = this.held.map((one) => (one.message.seq === message.seq ? { message, note } : one));
  }

  async releaseParked(maxCount: number, reason?: ParkReason): Promise<number> {
    const found = this.#find(maxCount, reason);
    this.held = this.held.filter((one) => !found.includes(one));
    this.released.push(...found.map(({ message }) => message));
    return found.length;
  }

  async discardParked(maxCount: number): Promise<number> {
    return this.held.splice(0, maxCount).length;
  }

  #find(maxCount: number, reason?: ParkReason): ParkedMessage[] {
    const isWanted = ({ note }: ParkedMessage): boolean =>
      reason === undefined || note.reason === reason;
    return this.held.filter(isWanted).slice(0, maxCount);
  }
}

const ROUTE: Route = {
  lane: 'one',
  key: { ok: true, routingKey: 'a.b' },
  properties: { type: 't' },
};

/** The lane as it is released from, by a check with these outcomes, by seq. */
function releasing(held: ParkedMessage[], outcomes: Record<number, CheckOutcome>, route = ROUTE) {
  const lane = new ParkedOnlyLane(held);
  const check: PayloadCheck = {
    isFull: false,
    check(message, checked) {
      const { seq } = message as LaneMessage;
      setImmediate(() => checked(outcomes[seq] ?? { kind: 'filtered' }));
    },
  };
  const checks = new Map([['one', check]]);
  const release = new CheckedRelease({ route: () => [route], checks });
  return { lane, release: release.of(lane) };
}

test('what its check parked is released when it passes now, shaped and with its routing key', async () => {
  const { lane, release } = releasing([parkedMessage(1, 'payload_invalid')], {
    1: { kind: 'passed', body: 'new' },
  });
  expect(await release.releaseParked(10)).toBe(1);
  expect(lane.released).toMatchObject([
    { epoch: 1, seq: 1, routingKey: 'a.b', amqp: { type: 't' } },
  ]);
  expect(lane.released[0]?.payload).toEqual(Buffer.from('new'));
  expect(release.parkedMessages).toBe(0);
});

test('what does not pass stays parked with the reason of today, and others go', async () => {
  const held = [
    parkedMessage(1, 'payload_timeout'),
    parkedMessage(2, 'unroutable'),
    parkedMessage(3, 'when_failed'),
  ];
  const failure = { kind: 'failed', reason: 'payload_invalid', detail: 'no' } as const;
  const { lane, release } = releasing(held, { 1: failure });
  expect(await release.releaseParked(10)).toBe(1);
  expect(lane.released.map(({ seq }) => seq)).toEqual([2]);
  expect(lane.held.map(({ note }) => note.reason)).toEqual(['payload_invalid', 'when_failed']);
});

test('what passes and has no routing key is parked for that', async () => {
  const key = { ok: false, reason: 'template_failed', detail: 'no field' } as const;
  const held = [parkedMessage(1, 'payload_invalid')];
  const { lane, release } = releasing(held, { 1: { kind: 'passed' } }, { lane: 'one', key });
  expect(await release.releaseParked(10, 'payload_invalid')).toBe(0);
  expect(lane.held[0]?.note).toMatchObject({ reason: 'template_failed', detail: 'no field' });
});

test('no more are released than asked for, also by two requests at once', async () => {
  const held = Array.from({ length: 5 }, (_, n) => parkedMessage(n, 'payload_invalid'));
  const passed = { kind: 'passed' } as const;
  const outcomes = Object.fromEntries(held.map(({ message }) => [message.seq, passed]));
  const { lane, release } = releasing(held, outcomes);
  const both = [release.releaseParked(2), release.releaseParked(2)];
  expect(await Promise.all(both)).toEqual([2, 2]);
  expect(lane.released.map(({ seq }) => seq)).toEqual([0, 1, 2, 3]);
});

test('a lane whose mapping has no check is released as it is', async () => {
  const lane = new ParkedOnlyLane([parkedMessage(1, 'payload_invalid')]);
  const release = new CheckedRelease({ route: () => [ROUTE], checks: new Map() }).of(lane);
  expect(await release.releaseParked(10)).toBe(1);
  expect(lane.released[0]?.routingKey).toBe('');
});
