import { expect, test } from 'vitest';
import { reconnectDelayMs } from './backoff.ts';
import { type Disturbance, disturbances, type Profile } from './profile.ts';
import { Random } from './random.ts';

function first(count: number, profile: Profile, seed = 1): Disturbance[] {
  const found: Disturbance[] = [];
  for (const each of disturbances(profile, new Random(seed))) {
    if (found.push(each) === count) break;
  }
  return found;
}

test('a steady life has no mishaps', () => {
  expect(first(1, 'steady')).toEqual([]);
});

test('each profile has its own mishaps', () => {
  const kinds = (profile: Profile) => new Set(first(100, profile).map(({ kind }) => kind));
  expect(kinds('flaky')).toEqual(new Set(['radio-lost']));
  expect(kinds('reboots')).toEqual(new Set(['reboot']));
  expect(kinds('mixed')).toEqual(new Set(['radio-lost', 'reboot']));
});

test('the same seed gives the same mishaps', () => {
  expect(first(50, 'mixed', 9)).toEqual(first(50, 'mixed', 9));
  expect(first(50, 'mixed', 9)).not.toEqual(first(50, 'mixed', 10));
});

test('the radio is lost every 8 s on average, for at most 3 s', () => {
  const all = first(5_000, 'flaky');
  const meanMs = all.reduce((sum, { afterMs }) => sum + afterMs, 0) / all.length;
  expect(Math.abs(meanMs - 8_000)).toBeLessThan(400);
  for (const { lastsMs } of all) expect(lastsMs >= 200 && lastsMs <= 3_000).toBe(true);
});

test('waits before reconnecting double up to a limit, with jitter in the upper half', () => {
  const options = { firstMs: 100, maxMs: 1_000 };
  const random = new Random(4);
  const longest = [100, 200, 400, 800, 1_000, 1_000];
  longest.forEach((limitMs, failures) => {
    const delays = Array.from({ length: 200 }, () => reconnectDelayMs(failures, random, options));
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(limitMs / 2);
    expect(Math.max(...delays)).toBeLessThanOrEqual(limitMs);
    expect(new Set(delays).size).toBeGreaterThan(20);
  });
});
