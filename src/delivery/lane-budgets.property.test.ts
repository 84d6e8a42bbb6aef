import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FakePublisher } from '../../test/helpers/fake-publisher.ts';
import { roomyLane } from '../../test/helpers/lane-room.ts';
import { MemoryLaneLog } from '../../test/helpers/memory-store.ts';
import type { LaneMessage } from '../shared/message.ts';
import { Lane } from './lane.ts';
import { LaneBudgets } from './lane-budgets.ts';

const LANES = 4;
const IN_FLIGHT_BYTES = 3_000;
/** One read of the log reserves more than that. */
const READ_AHEAD_BYTES = 100_000;
const LEAVING_BYTES = 1_000;
/** What entries take beside their payload; see `publishedBytes`. */
const OVERHEAD_BYTES = 201;

const KINDS = [
  'accept',
  'accept',
  'accept',
  'flush',
  'flush',
  'confirm',
  'confirm',
  'close',
  'open',
  'open',
  'return',
  'advance',
  'stop',
] as const;

interface Step {
  readonly kind: (typeof KINDS)[number];
  readonly lane: number;
  readonly amount: number;
}

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'],
  });
});
afterEach(() => {
  vi.useRealTimers();
});

/** One of the lanes that share the budgets. */
class OneLane {
  readonly log = new MemoryLaneLog({ manual: true, slowReads: true });
  readonly publisher = new FakePublisher();
  readonly lane: Lane;
  readonly safe = new Set<string>();
  readonly confirmed = new Set<string>();
  isStopped = false;
  #accepted = 0;

  constructor(name: string, mode: 'adaptive' | 'disk-first', budgets: LaneBudgets) {
    this.lane = new Lane({
      name,
      gatewayId: 'gateway',
      epoch: 1,
      run: 'aaaaaaaaaaaaaaaa',
      elapsedMs: () => Math.round(performance.now()),
      config: {
        mode,
        spillAfterMs: 50,
        directAfterMs: 100,
        window: { maxMessages: 8, maxBytes: 100_000 },
        parkedRetryMs: 1_000_000_000,
      },
      onUnroutable: 'park',
      onReject: 'retry',
      confirmTimeoutMs: 1_000_000,
      parkedBefore: 0,
      ...roomyLane(),
      budgets,
      log: this.log,
      publisher: this.publisher,
      onEvent: () => undefined,
    });
    this.lane.start();
    this.publisher.open();
  }

  accept(payloadBytes: number): void {
    this.#accepted += 1;
    const text = String(this.#accepted);
    const payload = Buffer.from(text.padEnd(payloadBytes, ' '));
    const rest = { qos: 1, dup: false, retain: false, clientId: 'c', receivedAtMs: 1 } as const;
    this.lane.accept({ topic: 't', payload, ...rest }, 'key', {
      safe: () => this.safe.add(text),
      unsafe: () => undefined,
    });
  }

  act({ kind, amount }: Step): void {
    const { publisher, log } = this;
    if (kind === 'accept' && !this.isStopped) this.accept(amount * 50);
    else if (kind === 'flush') log.flush(amount);
    else if (kind === 'confirm') this.#confirm(amount % 4);
    else if (kind === 'return' && publisher.inFlight.length > 0) publisher.return();
    else if (kind === 'open') publisher.open();
    else if (kind === 'close') publisher.close();
    else if (kind === 'stop' && amount === 0) this.#stop();
  }

  confirmAll(): void {
    this.#confirm(this.publisher.inFlight.length);
  }

  get inFlightBytes(): number {
    const sizes = this.publisher.inFlight.map(({ payload }) => 2 * payload.length + OVERHEAD_BYTES);
    return sizes.reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Safe and neither confirmed nor parked. */
  get missing(): string[] {
    const parked = new Set(this.log.parkedNow.map(({ message }) => textOf(message)));
    return [...this.safe].filter((text) => !this.confirmed.has(text) && !parked.has(text));
  }

  #confirm(count: number): void {
    for (let n = 0; n < count && this.publisher.inFlight.length > 0; n += 1) {
      for (const message of this.publisher.inFlight.slice(0, 1)) {
        this.confirmed.add(textOf(message));
      }
      this.publisher.confirm(1);
    }
  }

  #stop(): void {
    this.isStopped = true;
    void this.lane.stop(AbortSignal.abort());
  }
}

function textOf({ payload }: LaneMessage): string {
  return payload.toString().trim();
}

const steps = fc.array(
  fc.record({
    kind: fc.constantFrom(...KINDS),
    lane: fc.nat(LANES - 1),
    amount: fc.nat(20),
  }),
  { minLength: 10, maxLength: 150, size: 'max' },
);

test('lanes that share too little room for all keep within it, and none stands still', async () => {
  const mode = fc.constantFrom('adaptive' as const, 'disk-first' as const);
  await fc.assert(
    fc.asyncProperty(mode, steps, async (chosen, all) => {
      const others = { readAheadBytes: READ_AHEAD_BYTES, leavingBytes: LEAVING_BYTES };
      const budgets = new LaneBudgets(IN_FLIGHT_BYTES, others);
      const lanes = Array.from({ length: LANES }, (_, n) => new OneLane(`${n}`, chosen, budgets));
      const expectBounded = (): void => {
        const messages = lanes.reduce((sum, one) => sum + one.publisher.inFlight.length, 0);
        const bytes = lanes.reduce((sum, one) => sum + one.inFlightBytes, 0);
        if (messages > 1) expect(bytes).toBeLessThanOrEqual(IN_FLIGHT_BYTES);
      };
      for (const step of all) {
        lanes[step.lane]?.act(step);
        await vi.advanceTimersByTimeAsync(step.kind === 'advance' ? step.amount * 40 : 0);
        expectBounded();
      }
      const running = lanes.filter((one) => !one.isStopped);
      for (let round = 0; round < 400; round += 1) {
        for (const one of lanes) one.log.flush();
        for (const one of running) one.publisher.open();
        await vi.advanceTimersByTimeAsync(300);
        expectBounded();
        for (const one of running) one.confirmAll();
        if (running.every((one) => one.lane.backlogMessages + one.publisher.inFlight.length === 0))
          break;
      }
      for (const one of running) expect(one.missing).toEqual([]);
      await Promise.all([
        ...running.map(({ lane }) => lane.stop(AbortSignal.abort())),
        vi.advanceTimersByTimeAsync(100),
      ]);
      const { inFlight, readAhead, leaving } = budgets;
      expect([inFlight.usedBytes, readAhead.usedBytes, leaving.usedBytes]).toEqual([0, 0, 0]);
    }),
    { numRuns: 200 },
  );
}, 60_000);
