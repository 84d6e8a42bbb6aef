import { expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { type FalseClock, falseClock } from '../helpers/false-clock.ts';
import { connectDevice, createLimitedSite, publishRange } from '../helpers/limited-site.ts';
import { LANE } from '../helpers/site.ts';

const DAY_MS = 86_400_000;
const PATIENCE = { withinMs: 60_000 };
const BATCH = 25;
const SHORT_AGE_MS = 2_000;

type LimitedSite = Awaited<ReturnType<typeof createLimitedSite>>;

/** A gateway without uplink that gives up what is older than `maxAgeMs`, under a clock in the hands of the test. */
class ClockRun {
  readonly clock: FalseClock;
  readonly #limited: LimitedSite;
  #published = 0;

  constructor(clock: FalseClock, limited: LimitedSite) {
    this.clock = clock;
    this.#limited = limited;
  }

  static async create(maxAgeMs: number): Promise<ClockRun> {
    const clock = await falseClock();
    const limited = await createLimitedSite({ mapping: { limits: { maxAgeMs } } });
    await limited.site.proxy.cut();
    return new ClockRun(clock, limited);
  }

  async begin(): Promise<void> {
    await this.#limited.site.start([], this.clock.start);
  }

  stop(): Promise<number | null> {
    return this.#limited.site.gateway.stop();
  }

  kill(): Promise<void> {
    return this.#limited.site.gateway.kill();
  }

  async setClock(offset: string, sync: 'yes' | 'no'): Promise<void> {
    await this.clock.sync(sync);
    await this.clock.set(offset);
  }

  /** Resolves when the gateway says that of the clock. */
  async isJudged(quality: string): Promise<void> {
    const url = `http://127.0.0.1:${this.#limited.site.adminPort}/api/status`;
    await eventually(async () => {
      const status = await (await fetch(url)).json();
      expect(status).toMatchObject({ clock: { quality } });
    }, PATIENCE);
  }

  /** Resolves when all are acknowledged, with the moment before. */
  async publish(): Promise<number> {
    const { site } = this.#limited;
    const sinceMs = performance.now();
    const [first, last] = [this.#published + 1, this.#published + BATCH];
    this.#published = last;
    const device = await connectDevice(site);
    expect(await publishRange(device, first, last)).toHaveLength(BATCH);
    await device.endAsync();
    return sinceMs;
  }

  backlog(): Promise<number> {
    return this.#limited.site.laneMetric('backlog_messages');
  }

  async expired(): Promise<number> {
    const values = await this.#limited.site.metrics();
    return values.get(`tidegate_lane_dropped_total{lane="${LANE}",reason="expired"}`) ?? 0;
  }

  /** One batch that was published since then expires, and has had its time. */
  async allExpire(sinceMs: number): Promise<void> {
    await eventually(async () => expect(await this.backlog()).toBe(0), PATIENCE);
    expect(performance.now() - sinceMs).toBeGreaterThan(SHORT_AGE_MS);
  }

  /** Lets the uplink come back: all that was published is named, and nothing is delivered. */
  async allNamed(): Promise<void> {
    const { site, account, payloads, consume } = this.#limited;
    await site.proxy.restore();
    consume();
    await eventually(() => {
      const counts = account.epochs.map((epoch) => account.namedCount(epoch));
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(this.#published);
    }, PATIENCE);
    expect(payloads).toEqual([]);
  }

  /** Lets the uplink come back: all that was published is delivered, and nothing was given up. */
  async allDelivered(): Promise<void> {
    await this.deliveredFrom(1);
    expect(this.#limited.account.events.filter(({ event }) => event === 'gap')).toEqual([]);
  }

  /** Lets the uplink come back: what was published from that number on is delivered, in order, and nothing else. */
  async deliveredFrom(first: number): Promise<void> {
    const { site, payloads, consume } = this.#limited;
    const expected = Array.from({ length: this.#published - first + 1 }, (_, n) => first + n);
    await site.proxy.restore();
    consume();
    await site.drained();
    await eventually(() => expect(payloads.map(Number)).toEqual(expected), PATIENCE);
  }
}

const OFFSETS = [
  ['+3650d', '-3650d'],
  ['-3650d', '+3650d'],
] as const;
const IS_ROOT = process.getuid?.() === 0;

test('a clock that is ahead at the start makes nothing expire', async () => {
  const run = await ClockRun.create(DAY_MS);
  await run.begin();
  await run.publish();
  await run.stop();
  await run.clock.set('+3650d');
  await run.clock.sync('no');
  await run.begin();
  await run.publish();
  expect(await run.expired()).toBe(0);
  await run.allDelivered();
});

test('a clock that is set right in a run makes nothing of that run expire at the next start', async () => {
  const run = await ClockRun.create(DAY_MS);
  await run.clock.set('-30d');
  await run.clock.sync('no');
  await run.begin();
  await run.publish();
  await run.setClock('+0', 'yes');
  await run.isJudged('corrected');
  await run.publish();
  await run.stop();
  await run.begin();
  await run.publish();
  expect(await run.expired()).toBe(0);
  await run.allDelivered();
});

test.for(OFFSETS)(
  'nothing expires early, whenever the clock is set by %s and by %s',
  async ([wrong, opposite]) => {
    const run = await ClockRun.create(DAY_MS);
    await run.setClock(wrong, 'no');
    await run.begin();
    await run.publish();
    await run.isJudged('unsynced');
    await run.setClock('+0', 'yes');
    await run.isJudged('corrected');
    await run.publish();
    await run.stop();
    await run.setClock(wrong, 'no');
    await run.begin();
    await run.isJudged('unsynced');
    await run.publish();
    await run.setClock('+0', 'yes');
    await run.isJudged('corrected');
    await run.publish();
    await run.setClock(opposite, 'no');
    await run.isJudged('unsynced');
    await run.publish();
    await run.kill();
    if (IS_ROOT) await run.clock.reboot();
    await run.begin();
    await run.publish();
    await run.isJudged('unsynced');
    await run.setClock('+0', 'yes');
    await run.isJudged('corrected');
    await run.publish();
    expect(await run.expired()).toBe(0);
    await run.allDelivered();
  },
);

test.for(OFFSETS)(
  'what is old by the monotonic clock expires, and not before, under clocks off by %s and %s',
  async ([wrong, opposite]) => {
    const run = await ClockRun.create(SHORT_AGE_MS);
    await run.setClock(wrong, 'no');
    await run.begin();
    let sinceMs = await run.publish();
    await run.allExpire(sinceMs);
    sinceMs = await run.publish();
    await run.setClock(opposite, 'no');
    await run.stop();
    await run.begin();
    await run.allExpire(sinceMs);
    sinceMs = await run.publish();
    await run.stop();
    if (IS_ROOT) await run.clock.reboot();
    await run.begin();
    await run.allExpire(sinceMs);
    await run.allNamed();
  },
);

test.skipIf(!IS_ROOT)(
  'how long the machine was off counts once the clock is confirmed, and not before',
  async () => {
    const run = await ClockRun.create(DAY_MS);
    await run.begin();
    await run.isJudged('synced');
    await run.publish();
    await run.stop();
    await run.clock.reboot();
    await run.setClock('+2d', 'no');
    await run.begin();
    await run.publish();
    expect(await run.expired()).toBe(0);
    await run.clock.sync('yes');
    await eventually(async () => expect(await run.expired()).toBe(BATCH), PATIENCE);
    await run.isJudged('synced');
    await run.deliveredFrom(BATCH + 1);
  },
);
