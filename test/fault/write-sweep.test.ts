import { expect, test } from 'vitest';
import { reportResult, scale } from '../helpers/soak.ts';
import { PHASES, type SweepPoint, sweepOnce, WRITING_CALLS } from './write-sweep-run.ts';

/** How many of the points are left out between two: with 1 each call of the process fails once. */
const STRIDE = scale('write-sweep-stride', { short: 4, long: 1 });
const ERRORS: readonly string[] = ['EIO', 'ENOSPC'];
const LIMIT_MS = 40 * 60_000;

test('each call by which the store writes fails once, and nothing that was told to be durable is lost', {
  timeout: LIMIT_MS,
}, async () => {
  const clean = await sweepOnce();
  expect(clean.failures).toEqual([]);
  expect(PHASES.filter((phase) => !clean.wroteIn.includes(phase))).toEqual([]);
  const points = WRITING_CALLS.flatMap((call) =>
    Array.from({ length: clean.most.get(call) ?? 0 }, (_, index) =>
      ERRORS.map((error): SweepPoint => ({ call, nth: index + 1, error })),
    ),
  ).flat();
  const chosen = points.filter((_, index) => Math.floor(index / ERRORS.length) % STRIDE === 0);
  const failures: string[] = [];
  const failedIn = new Set<string>();
  let injected = 0;
  for (const point of chosen) {
    const outcome = await sweepOnce(point);
    if (outcome.failedIn.length > 0) injected += 1;
    for (const phase of outcome.failedIn) failedIn.add(phase);
    for (const failure of outcome.failures)
      failures.push(`${point.call} ${point.nth} ${point.error}: ${failure}`);
  }
  const unmet = clean.wroteIn.filter((phase) => PHASES.includes(phase) && !failedIn.has(phase));
  if (STRIDE === 1 && unmet.length > 0) failures.push(`no fault has met ${unmet.join(', ')}`);
  reportResult({
    scenario: 'write-sweep',
    title: 'Each call by which the store writes fails once',
    rows: [
      {
        name: `${chosen.length} of ${points.length} calls`,
        verdict: { lost: failures.length },
        failures,
        extras: { injected, kinds: [...failedIn].join(', ') },
      },
    ],
  });
  expect(failures).toEqual([]);
});
