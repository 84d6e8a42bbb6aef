import { describe, expect, test } from 'vitest';
import type { LimitsConfig, WhenFull } from '../config/types.ts';
import type { QoS } from '../shared/message.ts';
import { NO_RECEIPT } from '../shared/receipt.ts';
import { arrivedEntry, type Entry } from './entry.ts';
import { Retention, recordBytes } from './retention.ts';

const HOUR_MS = 3_600_000;
/** Time of the gateway. */
const NOW_MS = 100 * HOUR_MS;

interface Given {
  readonly limits?: LimitsConfig;
  readonly whenFull?: WhenFull;
  readonly held?: { messages: number; bytes: number };
  readonly storeFullness?: number;
}

function retention(given: Given): Retention {
  const { limits = {}, whenFull = 'block', held = { messages: 0, bytes: 0 } } = given;
  return new Retention({
    policy: { limits, whenFull },
    held,
    storeFullness: () => given.storeFullness ?? 0,
    ageMs: ({ elapsedMs = 0 }) => NOW_MS - elapsedMs,
  });
}

function entry(
  given: { qos?: QoS; payloadBytes?: number; elapsedMs?: number; seq?: number } = {},
): Entry {
  const { qos = 1, payloadBytes = 100, elapsedMs = NOW_MS, seq = 1 } = given;
  const identity = { gatewayId: 'g', epoch: 1, seq, routingKey: 'a' };
  const device = { topic: 'a', dup: false, retain: false, clientId: 'c', qos, receivedAtMs: 1 };
  const message = { ...identity, ...device, elapsedMs, payload: Buffer.alloc(payloadBytes) };
  return arrivedEntry(message, NO_RECEIPT);
}

describe('admission', () => {
  test('a lane is full at its count of messages, those of earlier runs included', () => {
    const lane = retention({ limits: { maxMessages: 3 }, held: { messages: 1, bytes: 50 } });
    lane.add(entry());
    expect(lane.admit(entry())).toBe('store');
    lane.add(entry());
    expect(lane.admit(entry())).toBe('wait');
  });

  test('a lane is full at its bytes, and has room again for each that leaves', () => {
    const first = entry();
    const bytes = recordBytes(first);
    const lane = retention({ limits: { maxBytes: 2 * bytes } });
    lane.add(first);
    lane.add(entry());
    expect(lane.bytes).toBe(2 * bytes);
    expect(lane.admit(entry())).toBe('wait');
    lane.remove(first);
    lane.remove(first); // settled twice counts once
    expect(lane.bytes).toBe(bytes);
    expect(lane.admit(entry())).toBe('store');
  });

  test('a message larger than the limit of bytes is taken when the lane is empty', () => {
    const lane = retention({ limits: { maxBytes: 10 } });
    expect(lane.admit(entry())).toBe('store');
    lane.add(entry());
    expect(lane.admit(entry())).toBe('wait');
  });

  test.each([
    ['block', 'wait'],
    ['reject', 'reject'],
    ['drop-newest', 'drop'],
    ['drop-oldest', 'store'],
  ] as const)('a full lane with %s says %s', (whenFull, admission) => {
    const lane = retention({ limits: { maxMessages: 1 }, whenFull });
    lane.add(entry());
    expect(lane.admit(entry())).toBe(admission);
  });

  test('a full store makes a lane full that has no limits, and one that has room', () => {
    expect(retention({ storeFullness: 1 }).admit(entry())).toBe('store');
    expect(retention({ storeFullness: 1.01 }).admit(entry())).toBe('wait');
    const roomy = retention({ storeFullness: 2, limits: { maxMessages: 9 }, whenFull: 'reject' });
    expect(roomy.admit(entry())).toBe('reject');
  });

  test.each(['block', 'reject', 'drop-newest', 'drop-oldest'] as const)(
    'with %s, QoS 0 is shed from nine tenths of the limit on, QoS 1 and 2 at the limit',
    (whenFull) => {
      const limits = { maxMessages: 10 };
      const lane = retention({ limits, whenFull, held: { messages: 8, bytes: 0 } });
      expect(lane.admit(entry({ qos: 0 }))).toBe('store'); // it would be the ninth
      lane.add(entry());
      expect(lane.admit(entry({ qos: 0 }))).toBe('drop');
      expect(lane.admit(entry({ qos: 1 }))).toBe('store');
      expect(lane.admit(entry({ qos: 2 }))).toBe('store');
    },
  );

  test('QoS 0 is shed from nine tenths of the store on', () => {
    expect(retention({ storeFullness: 0.9 }).admit(entry({ qos: 0 }))).toBe('store');
    expect(retention({ storeFullness: 0.91 }).admit(entry({ qos: 0 }))).toBe('drop');
  });
});

describe('shedding the oldest', () => {
  test('only above the limit, and only with drop-oldest', () => {
    const limits = { maxMessages: 1 };
    const dropping = retention({ limits, whenFull: 'drop-oldest' });
    dropping.add(entry());
    expect(dropping.mayHaveToShed).toBe(false);
    dropping.add(entry());
    expect(dropping.mayHaveToShed).toBe(true);
    expect(dropping.mustShed(entry())).toBe('full');
    const blocking = retention({ limits });
    blocking.add(entry());
    blocking.add(entry());
    expect(blocking.mayHaveToShed).toBe(false);
    expect(blocking.mustShed(entry())).toBeUndefined();
  });

  test('in a full store as much is shed as comes, not all', () => {
    const old = [entry(), entry(), entry()];
    const lane = retention({ storeFullness: 1.5, whenFull: 'drop-oldest' });
    for (const one of old) lane.add(one);
    const [first = entry(), second = entry()] = old;
    expect(lane.mayHaveToShed).toBe(false);
    const large = entry({ payloadBytes: 200 });
    expect(lane.admit(large)).toBe('store');
    lane.add(large);
    expect(lane.mustShed(first)).toBe('full');
    lane.remove(first);
    expect(lane.mustShed(second)).toBe('full'); // the first was smaller than what came
    lane.remove(second);
    expect(lane.mayHaveToShed).toBe(false);
  });

  test('records that damage has taken make room', () => {
    const limits = { maxMessages: 2 };
    const lane = retention({ limits, held: { messages: 2, bytes: 100 } });
    expect(lane.admit(entry())).toBe('wait');
    lane.forget(1, 0);
    expect(lane.admit(entry())).toBe('store');
    lane.forget(5, 0);
    expect(lane.bytes).toBe(0);
  });
});

describe('age', () => {
  const limits = { maxAgeMs: HOUR_MS };

  test('a message expires when it is older than maxAgeMs, whatever the policy', () => {
    for (const whenFull of ['block', 'drop-newest'] as const) {
      const lane = retention({ limits, whenFull });
      lane.add(entry());
      expect(lane.mayHaveToShed).toBe(true);
      expect(lane.mustShed(entry({ elapsedMs: NOW_MS - HOUR_MS }))).toBeUndefined();
      expect(lane.mustShed(entry({ elapsedMs: NOW_MS - HOUR_MS - 1 }))).toBe('expired');
    }
  });

  test('an empty lane has nothing to look for', () => {
    expect(retention({ limits }).mayHaveToShed).toBe(false);
  });
});
