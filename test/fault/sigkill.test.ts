import { expect, test } from 'vitest';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { runKills, type Uplink } from './kill-run.ts';

const MAX_SEED = 1_000_000;
/** Give the seed of a failed run to see the same moments again. */
const SEED = Number(process.env['TIDEGATE_TEST_SEED'] ?? Date.now() % MAX_SEED);
/** At work with a good uplink, without one, and while the backlog of that drains. */
const UPLINKS: readonly Uplink[] = ['up', 'cut', 'up', 'up', 'cut', 'up'];
const MIN_MESSAGES = 11_000;

test.for(['adaptive', 'disk-first'] as const)(
  'nothing that was acknowledged is lost when the gateway is killed at random moments, %s',
  async (mode) => {
    const result = await runKills({
      amqpUrl: sharedAmqpUrl(),
      mode,
      seed: SEED,
      deviceCount: 12,
      minMessages: MIN_MESSAGES,
      uplinks: UPLINKS,
    });
    expect(result).toMatchObject({
      kills: UPLINKS.length,
      lost: 0,
      unexpected: 0,
      reordered: 0,
      confused: 0,
      renamed: 0,
    });
    expect(result.acknowledged).toBe(result.attempted);
    expect(result.attempted).toBeGreaterThanOrEqual(MIN_MESSAGES);
    expect(result.resent).toBeLessThanOrEqual(result.resentByDevices);
  },
);
