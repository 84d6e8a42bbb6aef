import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { type KillRunResult, runKills } from './kill-run.ts';

const LYING_STORE = fileURLToPath(new URL('lying-store.mjs', import.meta.url));

function killOnce(execArgv: readonly string[]): Promise<KillRunResult> {
  return runKills({
    amqpUrl: sharedAmqpUrl(),
    mode: 'disk-first',
    seed: 1,
    deviceCount: 12,
    minMessages: 2_000,
    uplinks: ['cut'],
    execArgv,
  });
}

test('a gateway that acknowledged before it wrote would be found out', async () => {
  const { verdict } = await killOnce(['--import', LYING_STORE]);
  expect(verdict.lost).toBeGreaterThan(0);
});

test('the same check finds nothing lost by the gateway as it is', async () => {
  const { verdict } = await killOnce([]);
  expect(verdict.lost).toBe(0);
});
