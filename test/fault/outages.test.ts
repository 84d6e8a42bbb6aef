import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'vitest';
import { Random } from '../../firmware-sim/random.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import type { Site } from '../helpers/site.ts';
import { SEED, scale } from '../helpers/soak.ts';
import { runThroughFault } from './broker-run.ts';

const OUTAGES = scale('outages', { short: 6, long: 100 });
const OUTAGE_MS = { least: 50, most: 1_500 };
/** From a lane that has not caught up when the next one comes, to one that is direct again. */
const BETWEEN_MS = { least: 20, most: 2_000 };
/** Enough that each outage meets many messages in flight. */
const MESSAGES_PER_SECOND = 1_500;

type Outage = (site: Site, lastsMs: number) => Promise<void>;

const KINDS: Readonly<Record<string, Outage>> = {
  cut: async (site, lastsMs) => {
    await site.proxy.cut();
    await delay(lastsMs);
    await site.proxy.restore();
  },
  reset: async (site) => site.proxy.resetAll(),
  stall: async (site, lastsMs) => {
    site.proxy.stall();
    await delay(lastsMs);
    site.proxy.flow();
  },
};

test('no message overtakes one of the same device, whatever happens to the link', async () => {
  const random = new Random(SEED);
  await runThroughFault({
    scenario: 'outages',
    title:
      'The link is cut, reset or stalled at random, for random times, while devices go on sending',
    name: `${OUTAGES} outages of ${OUTAGE_MS.least} to ${OUTAGE_MS.most} ms`,
    amqpUrl: sharedAmqpUrl(),
    messagesPerSecond: MESSAGES_PER_SECOND,
    config: { delivery: { directAfterMs: 200 } },
    fault: async ({ site }) => {
      const counts: Record<string, number> = {};
      for (let outage = 0; outage < OUTAGES; outage++) {
        const names = Object.keys(KINDS);
        const name = names[Math.floor(random.between(0, names.length))] ?? 'cut';
        counts[name] = (counts[name] ?? 0) + 1;
        await KINDS[name]?.(site, random.between(OUTAGE_MS.least, OUTAGE_MS.most));
        await delay(random.between(BETWEEN_MS.least, BETWEEN_MS.most));
      }
      const channelsLost = await site.laneMetric('channel_losses_total');
      return { ...counts, 'channels lost': channelsLost };
    },
  });
});
