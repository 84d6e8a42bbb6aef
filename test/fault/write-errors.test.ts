import { expect, test, vi } from 'vitest';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { createSite } from '../helpers/site.ts';
import { failuresOf, reportResult, scale } from '../helpers/soak.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { allFaultPoints, type FaultPoint } from './fault-points.ts';
import { StoreFaultRun } from './store-fault-run.ts';

const POINTS = scale('write-error-points', { short: 8, long: 200 });
/** Points that share one run of the gateway, which ends with a SIGKILL. */
const POINTS_PER_RUN = 5;
const LIMIT_MS = 20 * 60_000;

test.for([
  { mode: 'disk-first', uplink: 'up', part: 0 },
  { mode: 'adaptive', uplink: 'cut', part: 1 },
] as const)(
  'a write that fails, once or for a while, costs no acknowledged message and no restart: $mode, uplink $uplink',
  { timeout: LIMIT_MS },
  async ({ mode, uplink, part }) => {
    vi.stubEnv('UV_THREADPOOL_SIZE', '1'); // strace counts for each thread
    const storeDir = `${await tempDir('store')}/store`;
    const site = await createSite({
      amqpUrl: sharedAmqpUrl(),
      config: { store: { path: storeDir, reserveBytes: 0 }, delivery: { mode } },
    });
    const run = new StoreFaultRun(site, storeDir, uplink);
    await run.begin();
    const points = choose(POINTS).filter((_, index) => Math.floor(index / 2) % 2 === part);
    for (let at = 0; at < points.length; at += POINTS_PER_RUN) {
      await run.meet(points.slice(at, at + POINTS_PER_RUN));
    }
    const verdict = run.ledger.verdict();
    const failures = [...run.failures, ...failuresOf(verdict)];
    const { injected, slowestRecoveryMs } = run;
    reportResult({
      scenario: 'write-errors',
      title: 'Calls that write to the store fail, once or for a while, under load',
      rows: [
        {
          name: `${points.length} points, ${mode}, uplink ${uplink}`,
          verdict,
          failures,
          extras: { injected, slowestRecoveryMs: Math.round(slowestRecoveryMs) },
        },
      ],
    });
    expect(failures).toEqual([]);
  },
);

/** So many points, spread over all of them. */
function choose(count: number): FaultPoint[] {
  const all = allFaultPoints();
  return all.filter(
    (_, index) =>
      Math.floor((index * count) / all.length) !== Math.floor(((index - 1) * count) / all.length),
  );
}
