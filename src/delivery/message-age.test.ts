import { expect, test } from 'vitest';
import type { LaneMessage } from '../shared/message.ts';
import { MessageAge } from './message-age.ts';

const DAY_MS = 86_400_000;
/** Some day in 2026. */
const START_MS = 1_780_000_000_000;
const EPOCH = 7;

/** Clocks in the hands of the test. */
class TestClocks {
  wall = START_MS;
  monotonic = 5_000;
  readonly wallMs = (): number => this.wall;
  readonly monotonicMs = (): number => this.monotonic;

  advance(ms: number): void {
    this.wall += ms;
    this.monotonic += ms;
  }
}

function message(seq: number, receivedAtMs: number, epoch: number = EPOCH): LaneMessage {
  const identity = { gatewayId: 'g', epoch, seq, routingKey: 'a', receivedAtMs };
  const rest = { qos: 1, dup: false, retain: false, clientId: 'c' } as const;
  return { ...identity, ...rest, topic: 'a', payload: Buffer.alloc(1) };
}

function arrive(age: MessageAge, clocks: TestClocks, seq: number): LaneMessage {
  age.arrived(seq);
  return message(seq, clocks.wall);
}

test.each([3 * DAY_MS, -3 * DAY_MS])(
  'a clock that is set by %i ms ages nothing of this run',
  (byMs) => {
    const clocks = new TestClocks();
    const age = new MessageAge(EPOCH, clocks);
    const first = arrive(age, clocks, 1);
    clocks.advance(2_000);
    clocks.wall += byMs;
    const second = arrive(age, clocks, 2);
    clocks.advance(500);
    expect(age.of(first)).toBe(2_500);
    expect(age.of(second)).toBe(500);
  },
);

test('a clock that drifts is off by a second at the most', () => {
  const clocks = new TestClocks();
  const age = new MessageAge(EPOCH, clocks);
  for (let seq = 1; seq <= 100; seq += 1) {
    clocks.advance(1_000);
    clocks.wall += 90;
    const one = arrive(age, clocks, seq);
    expect(Math.abs(age.of(one) ?? Number.NaN)).toBeLessThanOrEqual(1_000);
  }
});

test('what earlier runs stored goes by the wall clock, unless that had never been set', () => {
  const clocks = new TestClocks();
  const age = new MessageAge(EPOCH, clocks);
  expect(age.of(message(1, START_MS - DAY_MS, EPOCH - 1))).toBe(DAY_MS);
  expect(age.of(message(1, 5_000, EPOCH - 1))).toBeUndefined();
  clocks.wall += DAY_MS;
  expect(age.of(message(1, START_MS - DAY_MS, EPOCH - 1))).toBe(2 * DAY_MS);
});

test('a clock that is set all the time is not remembered without bound', () => {
  const clocks = new TestClocks();
  const age = new MessageAge(EPOCH, clocks);
  for (let seq = 1; seq <= 1_000; seq += 1) {
    clocks.wall += seq % 2 === 0 ? DAY_MS : -DAY_MS;
    age.arrived(seq);
  }
  expect(age.of(message(1_000, clocks.wall))).toBe(0);
  expect(age.of(message(1, clocks.wall))).toBeDefined();
});
