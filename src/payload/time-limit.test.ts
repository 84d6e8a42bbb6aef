import { expect, onTestFinished, test, vi } from 'vitest';
import { TimeLimit } from './time-limit.ts';

const LIMIT_MS = 300;

/** Down to the time of a look: each takes a turn of the event loop, which is 1 ms to the timers of the test. */
const toLook = (ms: number): number => ms - (ms % (LIMIT_MS / 2));

/** A limit of 300 ms over a process that gets this share of the processor; tells when it was over, and whether proven. */
function overAfter(share: number | undefined): { limit: TimeLimit; over: [number, boolean][] } {
  vi.useFakeTimers();
  onTestFinished(() => {
    vi.useRealTimers();
  });
  const startedAtMs = performance.now();
  const over: [number, boolean][] = [];
  const limit = new TimeLimit({
    cpuMs: () => (share === undefined ? undefined : share * performance.now()),
    onOver: (isProven) => over.push([toLook(performance.now() - startedAtMs), isProven]),
  });
  limit.begin(LIMIT_MS);
  return { limit, over };
}

test.each([
  [1, 300, true],
  [undefined, 300, true],
  [0.5, 450, true],
  [0.1, 1350, true],
  [0, 3000, false],
])(
  'a process that computes for a share of %s of the time is over after %s ms',
  (share, ms, isProven) => {
    const { over } = overAfter(share);
    vi.advanceTimersByTime(60_000);
    expect(over).toEqual([[ms, isProven]]);
  },
);

test('what tells something in time is not over', () => {
  const { limit, over } = overAfter(1);
  for (let n = 0; n < 10; n += 1) {
    vi.advanceTimersByTime(LIMIT_MS - 1);
    limit.begin(LIMIT_MS);
  }
  limit.end();
  vi.advanceTimersByTime(60_000);
  expect(over).toEqual([]);
});

test('what was told while the gateway was busy itself counts', () => {
  const { limit, over } = overAfter(1);
  vi.advanceTimersByTime(LIMIT_MS / 2);
  setTimeout(() => setImmediate(() => limit.end()), LIMIT_MS / 2 - 1); // due at the same turn as the look
  vi.advanceTimersByTime(LIMIT_MS);
  expect(over).toEqual([]);
});
