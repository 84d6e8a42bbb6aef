import { setMaxListeners } from 'node:events';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { OpeningTurns } from './opening-turns.ts';

const MANY = 200;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** Asks for many turns at once; `taken` has those that have begun, in order. */
function ask(turns: OpeningTurns, signal: AbortSignal): { n: number; end: () => void }[] {
  const taken: { n: number; end: () => void }[] = [];
  setMaxListeners(MANY, signal); // each lane has a signal of its own
  for (let n = 0; n < MANY; n++) void turns.take(signal).then((end) => taken.push({ n, end }));
  return taken;
}

test('some begin at once, each that ends lets the next begin, and all come in order', async () => {
  const turns = new OpeningTurns();
  const taken = ask(turns, new AbortController().signal);
  await vi.advanceTimersByTimeAsync(0);
  const atOnce = taken.length;
  expect(atOnce).toBeGreaterThan(1);
  expect(atOnce).toBeLessThan(MANY);
  for (let ended = 0; ended < MANY; ended++) {
    taken[ended]?.end();
    taken[ended]?.end(); // ends one turn all the same
    await vi.advanceTimersByTimeAsync(0);
    expect(taken.length).toBe(Math.min(MANY, atOnce + ended + 1));
  }
  expect(taken.map(({ n }) => n)).toEqual(Array.from({ length: MANY }, (_, n) => n));
});

test('turns that nobody ends hold up nobody for long', async () => {
  const turns = new OpeningTurns();
  const taken = ask(turns, new AbortController().signal);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(taken.length).toBe(MANY);
});

test('who stops waiting is let go at once, and takes no turn from others', async () => {
  const turns = new OpeningTurns();
  const stopped = new AbortController();
  const first = ask(turns, new AbortController().signal);
  await vi.advanceTimersByTimeAsync(0);
  const atOnce = first.length;
  const leaving = ask(turns, stopped.signal);
  stopped.abort();
  await vi.advanceTimersByTimeAsync(0);
  expect(leaving.length).toBe(MANY);
  for (const { end } of leaving) end();
  await vi.advanceTimersByTimeAsync(0);
  expect(first.length).toBe(atOnce);
});
