import fc from 'fast-check';
import { expect, onTestFinished, test, vi } from 'vitest';
import { ClockWorld, type TimedMessage } from '../../test/helpers/clock-world.ts';

const DAY_MS = 86_400_000;
const TEN_YEARS_MS = 3_650 * DAY_MS;
/** What a run loses at most that ends without a word. */
const LOST_AT_KILL_MS = 605_000;
/** A wall clock that is off by less is taken for right. */
const AGREEMENT_MS = 2_000;
const NOTICED_MS = 3_000;
const RUNS = 300;

const offset = fc.oneof(
  fc.constantFrom(-TEN_YEARS_MS, TEN_YEARS_MS, -30 * DAY_MS, 30 * DAY_MS, -1_500, 1_500, 0),
  fc.integer({ min: -TEN_YEARS_MS, max: TEN_YEARS_MS }),
);
/** The clock looks once a second: long ones take the test long. */
const span = fc.oneof(
  { arbitrary: fc.integer({ min: 1, max: 20_000 }), weight: 9 },
  { arbitrary: fc.integer({ min: 20_000, max: 900_000 }), weight: 1 },
);
const away = fc.oneof(
  fc.integer({ min: 1, max: 60_000 }),
  fc.integer({ min: 60_000, max: TEN_YEARS_MS }),
);
const step = fc.oneof(
  fc.record({ kind: fc.constant('run' as const), ms: span }),
  fc.record({ kind: fc.constant('message' as const) }),
  fc.record({ kind: fc.constant('set' as const), errorMs: offset }),
  fc.record({ kind: fc.constant('sync' as const) }),
  fc.record({ kind: fc.constant('unsync' as const) }),
  fc.record({ kind: fc.constant('sleep' as const), ms: away }),
  fc.record({
    kind: fc.constant('restart' as const),
    isKill: fc.boolean(),
    ms: span,
    sleepMs: fc.oneof(fc.constant(0), away),
  }),
  fc.record({
    kind: fc.constant('boot' as const),
    isKill: fc.boolean(),
    offMs: away,
    onMs: away,
    errorMs: offset,
  }),
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Known extends TimedMessage {
  readonly ranMs: number;
}

async function take(world: ClockWorld, one: Step, messages: Known[]): Promise<void> {
  if (one.kind === 'run') await world.advance(one.ms);
  else if (one.kind === 'message') messages.push({ ...world.message(), ranMs: world.ranMs });
  else if (one.kind === 'set') {
    world.wallErrorMs = one.errorMs;
    world.isSynced = false;
    await world.advance(NOTICED_MS);
  } else if (one.kind === 'sync') {
    world.wallErrorMs = 0;
    world.isSynced = true;
    await world.advance(NOTICED_MS);
  } else if (one.kind === 'unsync') world.isSynced = false;
  else if (one.kind === 'sleep') {
    world.sleep(one.ms);
    await world.advance(NOTICED_MS);
  } else {
    await (one.isKill ? world.kill() : world.stop());
    if (one.kind === 'restart') {
      await world.advance(one.ms);
      world.sleep(one.sleepMs);
    } else {
      world.boot(one.offMs, one.onMs);
      world.wallErrorMs = one.errorMs;
      world.isSynced = false;
    }
    await world.start();
  }
}

test('no message is ever taken for older than it is, and each grows older while the gateway runs', async () => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'],
  });
  onTestFinished(() => void vi.useRealTimers());
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30, size: 'max' }), async (steps) => {
      const world = new ClockWorld();
      world.isSynced = false;
      await world.start();
      const messages: Known[] = [];
      for (const one of steps) {
        await take(world, one, messages);
        for (const message of messages) {
          const ageMs = world.clock.ageMs(message.stamp);
          expect(ageMs).toBeLessThanOrEqual(world.trueAgeMs(message) + AGREEMENT_MS + 1);
          expect(ageMs).toBeGreaterThanOrEqual(world.ranMs - message.ranMs - LOST_AT_KILL_MS);
        }
      }
      await world.kill();
    }),
    { numRuns: RUNS },
  );
}, 60_000);
