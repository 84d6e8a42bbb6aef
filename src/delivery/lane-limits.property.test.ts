import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FakePublisher } from '../../test/helpers/fake-publisher.ts';
import { roomyLane } from '../../test/helpers/lane-room.ts';
import { MemoryLaneLog } from '../../test/helpers/memory-store.ts';
import type { FailureAction, WhenFull } from '../config/types.ts';
import type { QoS } from '../shared/message.ts';
import { promised } from '../shared/receipt.ts';
import { type Gap, GapManifest } from './gap-manifest.ts';
import { Lane } from './lane.ts';
import type { Identified } from './ports.ts';

/** What happens more often stands more often. `name` makes events of the gap manifest safe. */
const KINDS = [
  ...['accept', 'accept', 'accept', 'accept', 'flush', 'flush', 'name', 'name'],
  ...['confirm', 'confirm', 'return', 'close', 'open', 'open', 'block', 'unblock'],
  ...['advance', 'store-full', 'store-roomy', 'crash'],
] as const;
interface Step {
  readonly kind: (typeof KINDS)[number] | (typeof BY_HAND)[number];
  readonly amount: number;
}

/** What operators do with what is parked, and brokers that refuse. */
const BY_HAND = ['discard', 'release', 'nack'] as const;

const WINDOW = 3;
const MAX_MESSAGES = 5;
const MAX_AGE_MS = 3_600_000;

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'],
  });
});
afterEach(() => {
  vi.useRealTimers();
});

const id = ({ epoch, seq }: Identified): string => `${epoch}.${seq}`;

/** A lane with limits, and what the world outside can tell about it. Messages go by `epoch.seq`. */
class World {
  readonly whenFull: WhenFull;
  readonly #onFailure: FailureAction;
  log = new MemoryLaneLog({ manual: true, manualMarks: true, slowReads: true });
  publisher = new FakePublisher();
  lane: Lane;
  epoch = 1;
  storeFullness = 0;
  readonly safe = new Set<string>();
  readonly confirmed = new Set<string>();
  /** The broker has them, and its answer was lost. */
  readonly arrived = new Set<string>();
  /** Named as what has not arrived for certain. What a crash brings back afterwards may arrive yet. */
  readonly namedForCertain = new Set<string>();
  /** The same of what had arrived by then: must be empty always. */
  readonly namedWrongly = new Set<string>();
  /** How often each message is named in events that are safe. */
  readonly named = new Map<string, number>();
  #events: { readonly gap: Gap; readonly safe: () => void }[] = [];

  constructor(whenFull: WhenFull, onFailure: FailureAction = 'park') {
    this.whenFull = whenFull;
    this.#onFailure = onFailure;
    this.lane = this.#startLane();
    this.publisher.open();
  }

  async take({ kind, amount }: Step): Promise<void> {
    this.#act(kind, amount);
    await vi.advanceTimersByTimeAsync(kind === 'advance' ? amount * 40 : 0);
  }

  /** Whether somebody answers for this message: the broker, the store or the gap manifest. */
  accounted(): (message: string) => boolean {
    const kept = new Set(this.log.unsettled().map(id));
    for (const { message } of this.log.parkedNow) kept.add(id(message));
    return (one) => this.confirmed.has(one) || kept.has(one) || this.named.has(one);
  }

  /** Disk and manifest are quick, the link as it is, until all that can move has moved. */
  async quiet(): Promise<void> {
    for (let round = 0; round < 10; round += 1) {
      await this.take({ kind: 'flush', amount: 1_000 });
      await this.take({ kind: 'name', amount: 1_000 });
      await this.take({ kind: 'advance', amount: 10 });
    }
  }

  async stop(): Promise<void> {
    const stopped = this.lane.stop(AbortSignal.abort());
    await vi.advanceTimersByTimeAsync(100);
    await stopped;
    await vi.advanceTimersByTimeAsync(100);
  }

  #act(kind: Step['kind'], amount: number): void {
    const { publisher } = this;
    const count = publisher.inFlight.length;
    const at = count === 0 ? 0 : amount % count;
    if (kind === 'accept') for (let n = 0; n <= amount % 5; n += 1) this.#accept(amount + n);
    else if (kind === 'flush') this.log.flush(amount);
    else if (kind === 'name') this.#name(amount);
    else if (kind === 'crash') this.#crash(amount);
    else if (kind === 'discard') void this.lane.discardParked(amount);
    else if (kind === 'release') void this.lane.releaseParked(amount);
    else if (kind === 'store-full') this.storeFullness = 1.5;
    else if (kind === 'store-roomy') this.storeFullness = 0;
    else if (kind === 'open') publisher.open();
    else if (kind === 'close') {
      this.#loseAnswers(amount);
      publisher.close({ scope: amount % 2 === 0 ? 'channel' : 'connection', text: 'test' });
    } else if (kind === 'block' && publisher.isOpen) publisher.block();
    else if (kind === 'unblock' && publisher.isOpen) publisher.unblock();
    else if (kind === 'confirm' && count > 0) this.#confirm(at);
    else if (kind === 'return' && count > 0) publisher.return(at);
    else if (kind === 'nack' && count > 0) publisher.nack(at);
  }

  /** One of three is QoS 0, one of seven is older than it may be. */
  #accept(choice: number): void {
    const before = this.lane.lastSeq;
    const qos: QoS = choice % 3 === 0 ? 0 : 1;
    const receivedAtMs = Date.now() - (choice % 7 === 0 ? 2 * MAX_AGE_MS : 0);
    const rest = { qos, receivedAtMs, dup: false, retain: false, clientId: 'c' };
    const accepted = promised((receipt) =>
      this.lane.accept({ topic: 't', payload: Buffer.alloc(1), ...rest }, 'key', receipt),
    );
    const { lastSeq: seq } = this.lane;
    const one = id({ epoch: this.epoch, seq });
    if (seq === before) expect(this.whenFull).toBe('reject');
    accepted.then(
      () => this.safe.add(one),
      () => undefined,
    );
  }

  #confirm(index: number): void {
    const message = this.publisher.inFlight[index];
    if (message !== undefined) this.confirmed.add(id(message));
    this.publisher.confirmAt(index);
  }

  #name(count: number): void {
    for (const { gap, safe } of this.#events.splice(0, count)) {
      const { epoch = 0, fromSeq = 0, toSeq = 0 } = gap;
      expect(gap.count).toBe(toSeq - fromSeq + 1);
      for (let seq = fromSeq; seq <= toSeq; seq += 1) {
        const one = id({ epoch, seq });
        this.named.set(one, (this.named.get(one) ?? 0) + 1);
        if (gap.uncertain === true) continue;
        this.namedForCertain.add(one);
        if (this.confirmed.has(one) || this.arrived.has(one)) this.namedWrongly.add(one);
      }
      safe();
    }
  }

  /** Of what is in flight the first have arrived, however the link ends now. */
  #loseAnswers(amount: number): void {
    const { inFlight } = this.publisher;
    for (const message of inFlight.slice(0, amount % (inFlight.length + 1))) {
      this.arrived.add(id(message));
    }
  }

  #crash(amount: number): void {
    this.#loseAnswers(amount);
    void this.lane.stop(AbortSignal.abort()); // only its timers: the log it has is not looked at any more
    this.log = this.log.killed();
    this.publisher = new FakePublisher();
    this.#events = [];
    this.epoch += 1;
    this.lane = this.#startLane();
  }

  #startLane(): Lane {
    const gaps = new GapManifest(
      (_key, gap) =>
        new Promise((safe) => {
          this.#events.push({ gap: gap as Gap, safe });
        }),
      () => 'aaaaaaaaaaaaaaaa',
    );
    const lane = new Lane({
      name: 'lane',
      gatewayId: 'gateway',
      epoch: this.epoch,
      run: 'aaaaaaaaaaaaaaaa',
      elapsedMs: () => Math.round(performance.now()),
      config: {
        mode: 'adaptive',
        spillAfterMs: 50,
        directAfterMs: 100,
        window: { maxMessages: WINDOW, maxBytes: 1_000_000 },
        parkedRetryMs: 500,
      },
      onUnroutable: this.#onFailure,
      onReject: this.#onFailure === 'park' ? 'retry' : this.#onFailure,
      confirmTimeoutMs: 1_000_000,
      parkedBefore: 0,
      ...roomyLane(),
      ageMs: ({ receivedAtMs }) => Date.now() - receivedAtMs,
      limits: { maxMessages: MAX_MESSAGES, maxAgeMs: MAX_AGE_MS },
      whenFull: this.whenFull,
      storeFullness: () => this.storeFullness,
      gaps,
      log: this.log,
      publisher: this.publisher,
      onEvent: () => undefined,
    });
    lane.start();
    return lane;
  }
}

const anyPolicy = fc.constantFrom<WhenFull>('block', 'reject', 'drop-oldest', 'drop-newest');
const stepsOf = (kinds: readonly Step['kind'][]): fc.Arbitrary<Step[]> =>
  fc.array(fc.record({ kind: fc.constantFrom(...kinds), amount: fc.nat(20) }), {
    minLength: 1,
    maxLength: 60,
    size: 'max',
  });

test('whatever happens to a lane with limits, what is safe is confirmed, stored, parked or named in a gap', async () => {
  await fc.assert(
    fc.asyncProperty(anyPolicy, stepsOf(KINDS), async (whenFull, all) => {
      const world = new World(whenFull);
      for (const step of all) {
        await world.take(step);
        const isAccounted = world.accounted();
        expect([...world.safe].filter((one) => !isAccounted(one))).toEqual([]);
      }
      await world.stop();
    }),
    { numRuns: 400 },
  );
}, 60_000);

test('every seq of an epoch without a crash is confirmed, stored or parked, or named in one gap', async () => {
  const kinds = KINDS.filter((kind) => kind !== 'crash');
  await fc.assert(
    fc.asyncProperty(anyPolicy, stepsOf(kinds), async (whenFull, all) => {
      const world = new World(whenFull);
      for (const step of all) await world.take(step);
      await world.quiet();
      await world.stop();
      await world.quiet();
      expect(world.lane.isAllSafe).toBe(true);
      const isAccounted = world.accounted();
      for (let seq = 1; seq <= world.lane.lastSeq; seq += 1) {
        const one = id({ epoch: 1, seq });
        expect(isAccounted(one), `${one} is missing and unnamed`).toBe(true);
        // What a blocking broker held up may be given up, and confirmed after all.
        const isElsewhere = world.confirmed.has(one) && !all.some(({ kind }) => kind === 'block');
        expect(world.named.get(one) ?? 0, `${one}`).toBeLessThanOrEqual(isElsewhere ? 0 : 1);
      }
    }),
    { numRuns: 400 },
  );
}, 60_000);

test('what has arrived, whether its answer came or was lost, is named only as uncertain', async () => {
  const kinds = [...KINDS, ...BY_HAND];
  const withoutCrash = kinds.filter((kind) => kind !== 'crash');
  const steps = fc.oneof(stepsOf(kinds), stepsOf(withoutCrash));
  const onFailure = fc.constantFrom<FailureAction>('park', 'drop', 'retry');
  await fc.assert(
    fc.asyncProperty(anyPolicy, onFailure, steps, async (whenFull, action, all) => {
      const world = new World(whenFull, action);
      for (const step of all) await world.take(step);
      await world.quiet();
      await world.stop();
      await world.quiet();
      expect([...world.namedWrongly]).toEqual([]);
      if (all.some(({ kind }) => kind === 'crash')) return;
      const arrived = new Set([...world.confirmed, ...world.arrived]);
      expect([...world.namedForCertain].filter((one) => arrived.has(one))).toEqual([]);
    }),
    { numRuns: 400 },
  );
}, 60_000);
