import { describe, expect, test } from 'vitest';
import type { BackfillConfig } from '../config/types.ts';
import { BackfillGovernor, type LaneBackfill } from './backfill.ts';

const CONFIG: BackfillConfig = {
  maxInFlightMessages: 2_000,
  targetConfirmMs: 100,
  maxStartDelayMs: 10_000,
};
/** Age of a message that arrived an hour ago, and of one that arrived just now. */
const OLD_MS = 3_600_000;
const YOUNG_MS = 100;

function governor(config: Partial<BackfillConfig> = {}, random: number = 0): BackfillGovernor {
  return new BackfillGovernor({ ...CONFIG, ...config }, () => random);
}

/** Confirms of full windows for so many round trips. Returns the time afterwards. */
function roundTrips(lane: LaneBackfill, count: number, latencyMs: number, fromMs: number): number {
  let nowMs = fromMs;
  for (let trip = 0; trip < count; trip += 1) {
    nowMs += latencyMs;
    for (let confirms = lane.window; confirms > 0; confirms -= 1) lane.confirmed(latencyMs, nowMs);
  }
  return nowMs;
}

describe('window', () => {
  test('it doubles with each round trip while confirms are quick, up to the limit of the lane', () => {
    const lane = governor().lane(1_000);
    lane.opened(0);
    expect(lane.window).toBe(100);
    const nowMs = roundTrips(lane, 1, 10, 0);
    expect(lane.window).toBe(200);
    roundTrips(lane, 5, 10, nowMs);
    expect(lane.window).toBe(1_000);
  });

  test('it shrinks when confirms get slow, once a round trip, and not to nothing', () => {
    const lane = governor().lane(1_000);
    lane.opened(0);
    let nowMs = roundTrips(lane, 5, 10, 1_000);
    nowMs = roundTrips(lane, 1, 400, nowMs);
    expect(lane.window).toBe(700);
    nowMs = roundTrips(lane, 1, 400, nowMs);
    expect(lane.window).toBe(700); // not more than one round trip is over
    nowMs = roundTrips(lane, 60, 401, nowMs);
    expect(lane.window).toBe(8);
  });

  test('it recovers when confirms are quick again, gently', () => {
    const lane = governor().lane(1_000);
    lane.opened(0);
    let nowMs = roundTrips(lane, 5, 10, 1_000);
    nowMs = roundTrips(lane, 10, 401, nowMs);
    const low = lane.window;
    expect(low).toBeLessThan(200);
    nowMs = roundTrips(lane, 1, 10, nowMs);
    expect(lane.window).toBeGreaterThan(low);
    expect(lane.window).toBeLessThan(low + 10);
    roundTrips(lane, 150, 10, nowMs);
    expect(lane.window).toBeGreaterThan(900);
  });

  test('a link with a long round trip is not throttled: there slow is what is twice the shortest', () => {
    const lane = governor().lane(1_000);
    lane.opened(0);
    const nowMs = roundTrips(lane, 5, 600, 1_000);
    expect(lane.window).toBe(1_000);
    roundTrips(lane, 3, 1_150, nowMs);
    expect(lane.window).toBe(1_000);
    roundTrips(lane, 3, 1_300, nowMs + 10_000);
    expect(lane.window).toBeLessThan(1_000);
  });

  test('the shortest round trip is forgotten after a minute: the route may have changed', () => {
    const lane = governor().lane(1_000);
    lane.opened(0);
    let nowMs = roundTrips(lane, 5, 10, 1_000);
    nowMs = roundTrips(lane, 200, 600, nowMs); // two minutes of a detour
    expect(lane.window).toBeGreaterThan(100);
  });

  test('it begins anew with each opening', () => {
    const lane = governor().lane(1_000);
    lane.opened(0);
    roundTrips(lane, 5, 10, 1_000);
    lane.closed(2_000);
    lane.opened(3_000);
    expect(lane.window).toBe(100);
  });
});

describe('what the lanes share', () => {
  test('messages in flight are shared by the lanes that catch up, and only by them', () => {
    const shared = governor({ maxInFlightMessages: 90 });
    const [a, b, c] = [shared.lane(1_000), shared.lane(1_000), shared.lane(1_000)];
    for (const lane of [a, b, c]) lane.opened(0);
    expect(a.waitMs(OLD_MS, 89, 1)).toBe(0);
    expect(a.waitMs(OLD_MS, 90, 1)).toBe(Number.POSITIVE_INFINITY);
    b.waitMs(OLD_MS, 0, 1);
    c.waitMs(YOUNG_MS, 0, 1); // only live messages
    expect(a.window).toBe(45);
    c.waitMs(OLD_MS, 0, 1);
    expect(a.window).toBe(30);
    c.caughtUp();
    expect(a.window).toBe(45);
    b.closed(2);
    expect(a.window).toBe(90);
  });

  test('every lane may have one message in flight, however many there are', () => {
    const shared = governor({ maxInFlightMessages: 2 });
    const lanes = Array.from({ length: 5 }, () => shared.lane(100));
    for (const lane of lanes) {
      lane.opened(0);
      expect(lane.waitMs(OLD_MS, 0, 1)).toBe(0);
      expect(lane.window).toBeGreaterThanOrEqual(1);
    }
  });

  test.each([
    ['messages', { maxMessagesPerSecond: 200 }, 2_000],
    ['bytes', { maxBytesPerSecond: 200_000 }, 2_000],
  ] as const)('a cap of %s holds for all lanes together', (_what, config, most) => {
    const shared = governor(config);
    const lanes = [shared.lane(1_000), shared.lane(1_000), shared.lane(1_000)];
    for (const lane of lanes) lane.opened(0);
    const counts = [0, 0, 0];
    for (let nowMs = 1_000; nowMs < 11_000; nowMs += 1) {
      for (const [index, lane] of lanes.entries()) {
        if (lane.waitMs(OLD_MS, 0, nowMs) > 0) continue;
        lane.published(OLD_MS, 1_000, nowMs);
        counts[index] = (counts[index] ?? 0) + 1;
      }
    }
    const published = counts.reduce((sum, count) => sum + count, 0);
    expect(published).toBeGreaterThan(0.95 * most);
    expect(published).toBeLessThan(1.05 * most);
  });

  test('messages that arrived just now are not held back, and use up nothing', () => {
    const shared = governor({ maxMessagesPerSecond: 1, maxInFlightMessages: 1 }, 1);
    const lane = shared.lane(1_000);
    lane.opened(0);
    lane.closed(0);
    lane.opened(100_000);
    for (let n = 0; n < 100; n += 1) {
      expect(lane.waitMs(YOUNG_MS, 500, 100_001)).toBe(0);
      lane.published(YOUNG_MS, 100, 100_001);
    }
    expect(lane.waitMs(OLD_MS, 0, 200_000)).toBe(0);
  });
});

describe('start after an outage', () => {
  test('the first opening of a run does not wait', () => {
    const lane = governor({}, 1).lane(1_000);
    lane.opened(500_000);
    expect(lane.waitMs(OLD_MS, 0, 500_000)).toBe(0);
  });

  test('it waits at random, up to a tenth of the outage', () => {
    for (const random of [0, 0.5, 1]) {
      const lane = governor({}, random).lane(1_000);
      lane.opened(0);
      lane.closed(1_000);
      lane.closed(2_000); // closed again while it was away: it is still the same outage
      lane.opened(31_000);
      expect(lane.waitMs(OLD_MS, 0, 31_000)).toBe(random * 3_000);
      expect(lane.waitMs(OLD_MS, 0, 31_000 + random * 3_000)).toBe(0);
    }
  });

  test('it never waits longer than maxStartDelayMs', () => {
    const lane = governor({}, 1).lane(1_000);
    lane.opened(0);
    lane.closed(0);
    lane.opened(86_400_000);
    expect(lane.waitMs(OLD_MS, 0, 86_400_000)).toBe(10_000);
  });
});
