import { setTimeout as delay } from 'node:timers/promises';
import { type Channel, connect } from 'amqplib';
import { connectAsync } from 'mqtt';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { type RabbitNode, startRabbitNode } from '../helpers/rabbitmq-node.ts';
import { LANE, type Site } from '../helpers/site.ts';
import { scale } from '../helpers/soak.ts';
import { runThroughFault } from './broker-run.ts';

const BLOCKED_MS = scale('blocked-ms', { short: 3_000, long: 60_000 });
const FULL_MS = scale('full-ms', { short: 3_000, long: 60_000 });
const UNBOUND_MS = scale('unbound-ms', { short: 3_000, long: 60_000 });
const DELETIONS = scale('exchange-deletions', { short: 2, long: 20 });
const LOCKED_OUT_MS = scale('locked-out-ms', { short: 3_000, long: 60_000 });
const POISONS = scale('poisons', { short: 2, long: 20 });
/** As RabbitMQ counts: body only. The messages of the fleet have about 100 B. */
const MAX_MESSAGE_BYTES = 4_096;
/** Less than what arrives within a second. */
const QUEUE_LIMIT_MESSAGES = 100;
/** A message that closes the channel: once among others, then alone until it is certain (docs/guarantees.md). */
const LOSSES_PER_POISON = 4;
const PATIENCE_MS = 60_000;
const REPORT = {
  scenario: 'broker-refusals',
  title: 'The broker blocks, refuses, returns or locks out while devices go on sending',
};

let node: RabbitNode;

beforeAll(async () => {
  node = await startRabbitNode({ config: `max_message_size = ${MAX_MESSAGE_BYTES}` });
  return () => node.stop();
});

/** A channel to change the topology with, past the gateway. */
async function operator(): Promise<Channel> {
  const connection = await connect(node.url);
  onTestFinished(() => connection.close());
  return connection.createChannel();
}

function reach(site: Site, metric: string, value: number): Promise<void> {
  return eventually(
    async () => expect(await site.laneMetric(metric)).toBeGreaterThanOrEqual(value),
    { withinMs: PATIENCE_MS, everyMs: 100 },
  );
}

/** Asks for what is parked until nothing is; the lane may release by itself meanwhile. */
async function releaseAll(site: Site): Promise<void> {
  const url = `http://127.0.0.1:${site.adminPort}/api/parked/release?lane=${LANE}`;
  await eventually(
    async () => {
      await fetch(url, { method: 'POST' });
      expect(await site.laneMetric('parked_messages')).toBe(0);
    },
    { withinMs: PATIENCE_MS, everyMs: 100 },
  );
}

test('nothing is lost while the broker blocks publishers for want of memory', async () => {
  await runThroughFault({
    ...REPORT,
    name: `blocked by the memory alarm for ${BLOCKED_MS / 1000} s`,
    amqpUrl: node.url,
    fault: async ({ site }) => {
      const restore = (): Promise<string> =>
        node.ctl('set_vm_memory_high_watermark', 'absolute', '1GB');
      onTestFinished(async () => {
        await restore();
      });
      await node.ctl('set_vm_memory_high_watermark', '0.00001');
      await eventually(
        async () => expect((await site.metrics()).get('tidegate_amqp_blocked')).toBe(1),
        { withinMs: PATIENCE_MS },
      );
      await delay(BLOCKED_MS); // the fault itself
      await restore();
      return {};
    },
  });
});

test('nothing is lost when the queue is full and refuses, until somebody consumes', async () => {
  await runThroughFault({
    ...REPORT,
    name: `queue full for ${FULL_MS / 1000} s`,
    amqpUrl: node.url,
    queue: {
      type: 'quorum',
      arguments: { 'x-max-length': QUEUE_LIMIT_MESSAGES, 'x-overflow': 'reject-publish' },
    },
    consumesFromStart: false,
    fault: async ({ site, consume }) => {
      await reach(site, 'nacked_total', 1);
      await delay(FULL_MS); // the fault itself
      consume();
      return {};
    },
  });
});

test('nothing is lost when the binding is deleted: it is parked, and released in the end', async () => {
  await runThroughFault({
    ...REPORT,
    name: `binding deleted for ${UNBOUND_MS / 1000} s`,
    amqpUrl: node.url,
    fault: async ({ site }) => {
      const channel = await operator();
      await channel.unbindQueue(site.queue, site.queue, '#');
      await reach(site, 'parked_messages', 1);
      await delay(UNBOUND_MS); // the fault itself
      const parked = await site.laneMetric('parked_messages');
      await channel.bindQueue(site.queue, site.queue, '#');
      await releaseAll(site);
      return { parked };
    },
  });
});

test('nothing is lost when the exchange is deleted under way: it is declared again', async () => {
  await runThroughFault({
    ...REPORT,
    name: `exchange deleted ${DELETIONS} times`,
    amqpUrl: node.url,
    fault: async ({ site, ledger }) => {
      const channel = await operator();
      for (let deletion = 1; deletion <= DELETIONS; deletion++) {
        await channel.deleteExchange(site.queue);
        await reach(site, 'channel_losses_total', deletion);
        const delivered = ledger.deliveredCount;
        await eventually(() => expect(ledger.deliveredCount).toBeGreaterThan(delivered), {
          withinMs: PATIENCE_MS,
        });
      }
      return { 'channels lost': await site.laneMetric('channel_losses_total') };
    },
  });
});

test('nothing is lost when the password is changed, and it goes on when it is changed back', async () => {
  await node.ctl('add_user', 'site', 'right');
  await node.ctl('set_permissions', 'site', '.*', '.*', '.*');
  const url = new URL(node.url);
  [url.username, url.password] = ['site', 'right'];
  await runThroughFault({
    ...REPORT,
    name: `locked out for ${LOCKED_OUT_MS / 1000} s`,
    amqpUrl: url.href,
    fault: async ({ site }) => {
      await node.ctl('change_password', 'site', 'wrong');
      site.proxy.resetAll();
      await delay(LOCKED_OUT_MS); // the fault itself
      const backlog = await site.laneMetric('backlog_messages');
      await node.ctl('change_password', 'site', 'right');
      return { 'backlog at its end': backlog };
    },
  });
});

test('a message the broker closes the channel for is found and parked, and the others go on', async () => {
  await runThroughFault({
    ...REPORT,
    name: `${POISONS} messages larger than the broker takes`,
    amqpUrl: node.url,
    fault: async ({ site, ledger }) => {
      const device = await connectAsync(`mqtt://127.0.0.1:${site.mqttPort}`);
      onTestFinished(() => device.endAsync(true));
      const payload = Buffer.alloc(MAX_MESSAGE_BYTES + 1);
      for (let poison = 1; poison <= POISONS; poison++) {
        await device.publishAsync('devices/other/telemetry/large', payload, { qos: 1 });
        await reach(site, 'parked_messages', poison);
        const delivered = ledger.deliveredCount;
        await eventually(() => expect(ledger.deliveredCount).toBeGreaterThan(delivered), {
          withinMs: PATIENCE_MS,
        });
      }
      const losses = await site.laneMetric('channel_losses_total');
      expect(await site.laneMetric('parked_messages')).toBe(POISONS);
      expect(losses).toBeLessThanOrEqual(POISONS * LOSSES_PER_POISON);
      return { parked: POISONS, 'channels lost': losses };
    },
  });
});
