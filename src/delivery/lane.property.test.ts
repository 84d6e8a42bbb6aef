import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FakePublisher } from '../../test/helpers/fake-publisher.ts';
import { roomyLane } from '../../test/helpers/lane-room.ts';
import { MemoryLaneLog } from '../../test/helpers/memory-store.ts';
import type { DeviceMessage, LaneMessage } from '../shared/message.ts';
import { promised } from '../shared/receipt.ts';
import { Lane } from './lane.ts';

/** What may happen to a lane. `amount` is how many, how far or for how long. */
interface Step {
  readonly kind: (typeof ORDERLY)[number] | (typeof REFUSALS)[number];
  readonly amount: number;
}

/** What happens more often stands more often. */
const ORDERLY = [
  'accept',
  'accept',
  'accept',
  'flush',
  'flush',
  'confirm',
  'confirm',
  'confirm',
  'close',
  'open',
  'open',
  'block',
  'unblock',
  'advance',
  'advance',
  'crash',
] as const;
const REFUSALS = ['nack', 'return', 'refuse'] as const;
const WINDOW = 4;

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'],
  });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A lane with its surroundings in the hands of the test. Messages are numbered in order of arrival. */
class World {
  readonly mode: 'adaptive' | 'disk-first';
  log = new MemoryLaneLog({ manual: true, manualMarks: true, slowReads: true });
  publisher = new FakePublisher();
  lane: Lane;
  epoch = 1;
  accepted = 0;
  /** The last message that a crash may have taken before it was safe. */
  crashedAt = 0;
  readonly safe = new Set<number>();
  readonly confirmed = new Set<number>();
  readonly firstPublished: number[] = [];
  /** Most messages that one crash made the lane publish again. */
  mostRepeated = 0;
  readonly #seen = new Set<number>();
  #seenBeforeCrash = new Set<number>();
  #repeated = new Set<number>();
  #publishedBefore = 0;

  constructor(mode: 'adaptive' | 'disk-first') {
    this.mode = mode;
    this.lane = this.#startLane();
    this.publisher.open(); // so that every run begins on the write-free path
  }

  async take(step: Step): Promise<void> {
    this.#act(step);
    await vi.advanceTimersByTimeAsync(step.kind === 'advance' ? step.amount * 40 : 0);
    for (const message of this.publisher.published.slice(this.#publishedBefore)) {
      const number = numberOf(message);
      if (!this.#seen.has(number)) this.firstPublished.push(number);
      if (this.#seenBeforeCrash.has(number)) this.#repeated.add(number);
      this.#seen.add(number);
    }
    this.mostRepeated = Math.max(this.mostRepeated, this.#repeated.size);
    this.#publishedBefore = this.publisher.published.length;
  }

  /** What is safe and would be gone after a crash at this moment. Must be empty always. */
  lost(): number[] {
    const kept = new Set([...this.confirmed, ...this.log.unsettled().map(numberOf)]);
    for (const { message } of this.log.parkedNow) kept.add(numberOf(message));
    return [...this.safe].filter((number) => !kept.has(number));
  }

  /** The link is good and the disk quick until nothing moves any more. */
  async settle(): Promise<void> {
    for (let round = 0; round < 400; round += 1) {
      const before = `${this.confirmed.size}/${this.publisher.published.length}`;
      await this.take({ kind: 'open', amount: 0 });
      await this.take({ kind: 'unblock', amount: 0 });
      await this.take({ kind: 'flush', amount: 1_000 });
      await this.take({ kind: 'advance', amount: 1_000 }); // longer than any pause before a retry
      while (this.publisher.inFlight.length > 0) await this.take({ kind: 'confirm', amount: 0 });
      const isQuiet = before === `${this.confirmed.size}/${this.publisher.published.length}`;
      if (isQuiet && this.lane.backlogMessages === 0) return;
    }
  }

  async end(): Promise<void> {
    const stopped = this.lane.stop(AbortSignal.abort());
    await vi.advanceTimersByTimeAsync(100);
    await stopped;
  }

  #act({ kind, amount }: Step): void {
    const { publisher } = this;
    const count = publisher.inFlight.length;
    const at = count === 0 ? 0 : amount % count;
    if (kind === 'accept') for (let n = 0; n <= amount % 5; n += 1) this.#accept();
    else if (kind === 'flush') this.log.flush(amount);
    else if (kind === 'crash') this.#crash();
    else if (kind === 'open' && !publisher.isOpen) publisher.open();
    else if (kind === 'close' && publisher.isOpen) {
      publisher.close({ scope: amount % 2 === 0 ? 'channel' : 'connection', text: 'test' });
    } else if (kind === 'block' && publisher.isOpen) publisher.block();
    else if (kind === 'unblock' && publisher.isOpen) publisher.unblock();
    else if (kind === 'confirm' && count > 0) this.#confirm(at);
    else if (kind === 'nack' && count > 0) publisher.nack(at);
    else if (kind === 'return' && count > 0) publisher.return(at);
    else if (kind === 'refuse' && publisher.isOpen) {
      publisher.close({ scope: 'channel', replyCode: 406, text: 'test' });
    }
  }

  #accept(): void {
    this.accepted += 1;
    const number = this.accepted;
    promised((receipt) => this.lane.accept(message(number), 'key', receipt)).then(
      () => this.safe.add(number),
      () => undefined,
    );
  }

  #confirm(index: number): void {
    const confirmed = this.publisher.inFlight[index];
    if (confirmed !== undefined) this.confirmed.add(numberOf(confirmed));
    this.publisher.confirmAt(index);
  }

  #crash(): void {
    void this.lane.stop(AbortSignal.abort()); // only its timers: the log it has is not looked at any more
    this.log = this.log.killed();
    this.publisher = new FakePublisher();
    this.#publishedBefore = 0;
    this.#seenBeforeCrash = new Set(this.#seen);
    this.#repeated = new Set();
    this.epoch += 1;
    this.crashedAt = this.accepted;
    this.lane = this.#startLane();
  }

  #startLane(): Lane {
    const lane = new Lane({
      name: 'lane',
      gatewayId: 'gateway',
      epoch: this.epoch,
      run: 'aaaaaaaaaaaaaaaa',
      elapsedMs: () => Math.round(performance.now()),
      config: {
        mode: this.mode,
        spillAfterMs: 50,
        directAfterMs: 100,
        window: { maxMessages: WINDOW, maxBytes: 1_000_000 },
        parkedRetryMs: 1_000_000_000,
      },
      onUnroutable: 'park',
      onReject: 'retry',
      confirmTimeoutMs: 1_000_000,
      parkedBefore: 0,
      ...roomyLane(),
      log: this.log,
      publisher: this.publisher,
      onEvent: () => undefined,
    });
    lane.start();
    return lane;
  }
}

function message(number: number): DeviceMessage {
  const payload = Buffer.from(String(number));
  const rest = { qos: 1, dup: false, retain: false, clientId: 'c', receivedAtMs: 1 } as const;
  return { topic: 't', payload, ...rest };
}

function numberOf(laneMessage: LaneMessage): number {
  return Number(laneMessage.payload.toString());
}

const anyMode = fc.constantFrom('adaptive' as const, 'disk-first' as const);
const stepsOf = (kinds: readonly Step['kind'][]): fc.Arbitrary<Step[]> =>
  fc.array(fc.record({ kind: fc.constantFrom(...kinds), amount: fc.nat(20) }), {
    minLength: 1,
    maxLength: 80,
    size: 'max',
  });
/** Half of the runs without a crash, which would hide what was forgotten before it. */
const steps = (kinds: readonly Step['kind'][]): fc.Arbitrary<Step[]> =>
  fc.oneof(stepsOf(kinds), stepsOf(kinds.filter((kind) => kind !== 'crash')));

test('whatever happens, what is safe is confirmed, stored or parked, and all of it arrives in the end', async () => {
  await fc.assert(
    fc.asyncProperty(anyMode, steps([...ORDERLY, ...REFUSALS]), async (mode, all) => {
      const world = new World(mode);
      for (const step of all) {
        await world.take(step);
        expect(world.lost()).toEqual([]);
      }
      await world.settle();
      const parked = new Set(world.log.parkedNow.map((one) => numberOf(one.message)));
      const missing = [...world.safe].filter((n) => !world.confirmed.has(n) && !parked.has(n));
      expect(missing).toEqual([]);
      expect(world.lane.backlogMessages).toBe(0);
      // No PUBACK is forgotten.
      for (let n = world.crashedAt + 1; n <= world.accepted; n += 1)
        expect(world.safe).toContain(n);
      await world.end();
    }),
    { numRuns: 1_000 },
  );
}, 60_000);

test('while nothing is refused, messages are first published in the order in which they arrived', async () => {
  await fc.assert(
    fc.asyncProperty(anyMode, steps(ORDERLY), async (mode, all) => {
      const world = new World(mode);
      for (const step of all) await world.take(step);
      await world.settle();
      expect(world.firstPublished).toEqual(world.firstPublished.toSorted((a, b) => a - b));
      await world.end();
    }),
    { numRuns: 1_000 },
  );
}, 60_000);

test('a crash makes a lane that stores all publish at most a window again', async () => {
  await fc.assert(
    fc.asyncProperty(stepsOf([...ORDERLY, ...REFUSALS]), async (all) => {
      const world = new World('disk-first');
      for (const step of all) await world.take(step);
      await world.settle();
      expect(world.mostRepeated).toBeLessThanOrEqual(WINDOW);
      await world.end();
    }),
    { numRuns: 500 },
  );
}, 60_000);

test('while the link holds, nothing is published or parked twice', async () => {
  const kinds = [...ORDERLY, 'return' as const].filter(
    (kind) => kind !== 'crash' && kind !== 'close',
  );
  await fc.assert(
    fc.asyncProperty(anyMode, stepsOf(kinds), async (mode, all) => {
      const world = new World(mode);
      for (const step of all) await world.take(step);
      await world.settle();
      const published = world.publisher.published.map(numberOf);
      expect(published.length).toBe(new Set(published).size);
      expect(world.lane.parkedMessages).toBe(world.lane.counters.returned);
      await world.end();
    }),
    { numRuns: 500 },
  );
}, 60_000);
