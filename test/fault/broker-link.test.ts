import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'vitest';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { scale } from '../helpers/soak.ts';
import { AMQP_LIMITS, runThroughFault } from './broker-run.ts';

const PARTITION_MS = scale('partition-ms', { short: 8_000, long: 60_000 });
const FLAPPING_MS = scale('flapping-ms', { short: 10_000, long: 180_000 });
const FLAP_EVERY_MS = 2_000;
const SLOW_MS = scale('slow-ms', { short: 5_000, long: 60_000 });
/** A satellite link: design profile of edge devices, 600 ms there and back. */
const SLOW_LATENCY_MS = 300;
/** Less than the fleet needs (about 400 B a message on the wire), so that a backlog grows. */
const SLOW_BYTES_PER_SECOND = 100_000;
const REPORT = {
  scenario: 'broker-link',
  title: 'The link to the broker goes silent, flaps or is slow while devices go on sending',
};

test('nothing is lost when the link goes silent and nobody says so', async () => {
  await runThroughFault({
    ...REPORT,
    name: `silent for ${PARTITION_MS / 1000} s`,
    amqpUrl: sharedAmqpUrl(),
    config: { amqp: AMQP_LIMITS },
    fault: async ({ site }) => {
      site.proxy.stall();
      await delay(PARTITION_MS); // the fault itself
      site.proxy.flow();
      return {};
    },
  });
});

test('nothing is lost, and it goes on, when the link is reset again and again', async () => {
  await runThroughFault({
    ...REPORT,
    name: `reset every ${FLAP_EVERY_MS / 1000} s for ${FLAPPING_MS / 1000} s`,
    amqpUrl: sharedAmqpUrl(),
    fault: async ({ site, ledger }) => {
      const before = ledger.deliveredCount;
      for (let passedMs = 0; passedMs < FLAPPING_MS; passedMs += FLAP_EVERY_MS) {
        site.proxy.resetAll();
        await delay(FLAP_EVERY_MS); // the fault itself
      }
      return { 'delivered during it': ledger.deliveredCount - before };
    },
  });
});

test('nothing is lost over a link that is slow and narrow', async () => {
  await runThroughFault({
    ...REPORT,
    name: `${SLOW_LATENCY_MS} ms each way, ${SLOW_BYTES_PER_SECOND / 1000} kB/s for ${SLOW_MS / 1000} s`,
    amqpUrl: sharedAmqpUrl(),
    fault: async ({ site }) => {
      site.proxy.latency(SLOW_LATENCY_MS);
      site.proxy.throttle(SLOW_BYTES_PER_SECOND);
      await delay(SLOW_MS); // the fault itself
      const backlog = await site.laneMetric('backlog_messages');
      site.proxy.latency(0);
      site.proxy.throttle(undefined);
      return { 'backlog at its end': backlog };
    },
  });
});
