import { expect, test } from 'vitest';
import { Random } from '../../firmware-sim/random.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { failuresOf, reportResult, SEED, scale } from '../helpers/soak.ts';
import { type KillRunResult, runKills, type Uplink } from './kill-run.ts';

const KILLS = scale('kills', { short: 6, long: 200 });
const MESSAGES_PER_KILL = scale('messages-per-kill', { short: 1_500, long: 2_000 });
/** At work with a good uplink, without one, and while the backlog of that drains. */
const UPLINKS: readonly Uplink[] = ['up', 'cut', 'up', 'up', 'cut', 'up'];
/** Messages of a lane that are published and not confirmed: by default 1000. */
const WINDOW = 1_000;

function uplinks(): Uplink[] {
  const random = new Random(SEED);
  return Array.from({ length: KILLS }, (_, index) => {
    return UPLINKS[index] ?? (random.between(0, 3) < 1 ? 'cut' : 'up');
  });
}

function average(values: readonly number[]): number {
  return Math.round(values.reduce((sum, value) => sum + value, 0) / values.length);
}

function failures({
  verdict,
  renamed,
  resentByDevices,
  redeliveredPerKill,
}: KillRunResult): string[] {
  const failures = failuresOf(verdict);
  if (renamed > 0) failures.push(`${renamed} messages got a second message-id from the gateway`);
  if (verdict.acknowledged !== verdict.attempted) failures.push('not all was acknowledged');
  if (verdict.attempted < KILLS * MESSAGES_PER_KILL) failures.push('too little was attempted');
  if (verdict.resent > resentByDevices) failures.push('more was resent than the devices resent');
  if (Math.max(...redeliveredPerKill) > WINDOW) failures.push('a kill repeats more than a window');
  return failures;
}

test.for(['adaptive', 'disk-first'] as const)(
  'nothing that was acknowledged is lost when the gateway is killed at random moments, %s',
  async (mode) => {
    const result = await runKills({
      amqpUrl: sharedAmqpUrl(),
      mode,
      seed: SEED,
      deviceCount: 12,
      minMessages: KILLS * MESSAGES_PER_KILL,
      workBetweenKills: MESSAGES_PER_KILL,
      uplinks: uplinks(),
    });
    const { verdict, redeliveredPerKill, states } = result;
    const found = failures(result);
    const extras = {
      'redelivered a kill, average': average(redeliveredPerKill),
      'most a kill': Math.max(...redeliveredPerKill),
      'states when killed': Object.entries(states)
        .map((pair) => pair.join(' × '))
        .join(', '),
    };
    const row = { name: `${KILLS} kills, ${mode}`, verdict, failures: found, extras };
    const title =
      'The gateway is killed with SIGKILL at random moments under load, the uplink up or cut';
    reportResult({ scenario: 'sigkill', title, rows: [row] });
    expect(found).toEqual([]);
  },
);
