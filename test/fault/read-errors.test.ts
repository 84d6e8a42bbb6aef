import { expect, test, vi } from 'vitest';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { createSite } from '../helpers/site.ts';
import { failuresOf, reportResult, scale } from '../helpers/soak.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { type FaultPoint, readFaultPoints } from './fault-points.ts';
import { StoreFaultRun } from './store-fault-run.ts';

const POINTS = scale('read-error-points', { short: 6, long: 112 });
/** Points that share one run of the gateway, which ends with a SIGKILL. */
const POINTS_PER_RUN = 5;
const LIMIT_MS = 20 * 60_000;

test('a read that fails while the store is opened again, once or for a while, costs no acknowledged message', {
  timeout: LIMIT_MS,
}, async () => {
  vi.stubEnv('UV_THREADPOOL_SIZE', '1'); // strace counts for each thread
  const storeDir = `${await tempDir('store')}/store`;
  const site = await createSite({
    amqpUrl: sharedAmqpUrl(),
    config: { store: { path: storeDir, reserveBytes: 0 }, delivery: { mode: 'adaptive' } },
  });
  const run = new StoreFaultRun(site, storeDir, 'cut');
  await run.begin();
  const points = choose(POINTS);
  for (let at = 0; at < points.length; at += POINTS_PER_RUN) {
    await run.meet(points.slice(at, at + POINTS_PER_RUN));
  }
  const verdict = run.ledger.verdict();
  const failures = [...run.failures, ...failuresOf(verdict)];
  const { injected, slowestRecoveryMs } = run;
  reportResult({
    scenario: 'read-errors',
    title:
      'Calls that read the store fail while it is opened again, once or for a while, under load',
    rows: [
      {
        name: `${points.length} points, adaptive, uplink cut`,
        verdict,
        failures,
        extras: { injected, slowestRecoveryMs: Math.round(slowestRecoveryMs) },
      },
    ],
  });
  expect(failures).toEqual([]);
});

/** So many points, spread over all of them. */
function choose(count: number): FaultPoint[] {
  const all = readFaultPoints();
  return all.filter(
    (_, index) =>
      Math.floor((index * count) / all.length) !== Math.floor(((index - 1) * count) / all.length),
  );
}
