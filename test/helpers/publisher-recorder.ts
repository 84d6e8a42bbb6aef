import { expect } from 'vitest';
import type {
  CloseReason,
  Publisher,
  PublisherListener,
  PublishOutcome,
} from '../../src/delivery/ports.ts';
import type { LaneMessage } from '../../src/shared/message.ts';
import { eventually } from './eventually.ts';

/** Longest wait for something the broker does; a restart of a node takes about 10 s. */
const PATIENCE_MS = 60_000;

/** A message of lane tests; only what matters to the test is given. */
export function laneMessage(
  seq: number,
  routingKey: string,
  more: Partial<LaneMessage> = {},
): LaneMessage {
  return {
    topic: `devices/d1/${routingKey}`,
    payload: Buffer.from(`payload ${seq}`),
    qos: 1,
    dup: false,
    retain: false,
    clientId: 'd1',
    receivedAtMs: 1_700_000_000_123,
    gatewayId: 'site-a',
    epoch: 3,
    seq,
    routingKey,
    ...more,
  };
}

/** A lane that only writes down what its publisher tells it, in order. */
export class PublisherRecorder implements PublisherListener {
  readonly events: string[] = [];
  readonly closed: CloseReason[] = [];
  readonly blocked: string[] = [];
  /** Every outcome that came, by seq: more than one is a fault. */
  readonly outcomes: Map<number, PublishOutcome[]> = new Map();

  onOpen(): void {
    this.events.push('open');
  }

  onClosed(reason: CloseReason): void {
    this.events.push('closed');
    this.closed.push(reason);
  }

  onBlocked(reason: string): void {
    this.events.push('blocked');
    this.blocked.push(reason);
  }

  onUnblocked(): void {
    this.events.push('unblocked');
  }

  outcome(seq: number): PublishOutcome | undefined {
    const outcomes = this.outcomes.get(seq) ?? [];
    expect(outcomes.length, `outcomes of ${seq}`).toBeLessThanOrEqual(1);
    return outcomes[0];
  }

  /** Publishes and notes what comes back. */
  publish(publisher: Publisher, message: LaneMessage): void {
    publisher.publish(message, (outcome) => {
      this.outcomes.set(message.seq, [...(this.outcomes.get(message.seq) ?? []), outcome]);
    });
  }

  /** Waits for the outcome of one message. */
  async answered(seq: number): Promise<PublishOutcome | undefined> {
    await eventually(() => expect(this.outcomes.has(seq), `an outcome of ${seq}`).toBe(true), {
      withinMs: PATIENCE_MS,
    });
    return this.outcome(seq);
  }

  /** Waits until exactly these events have come since the start. */
  async told(...events: string[]): Promise<void> {
    await eventually(() => expect(this.events).toEqual(events), { withinMs: PATIENCE_MS });
  }
}
