import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { type RabbitNode, startRabbitNode } from '../helpers/rabbitmq-node.ts';
import { scale } from '../helpers/soak.ts';
import { AMQP_LIMITS, runThroughFault } from './broker-run.ts';

const KILLS = scale('broker-kills', { short: 1, long: 10 });
const FREEZE_MS = scale('freeze-ms', { short: 8_000, long: 60_000 });
const REPORT = {
  scenario: 'broker-down',
  title: 'The broker is killed or frozen while devices go on sending',
};

let node: RabbitNode;

beforeAll(async () => {
  node = await startRabbitNode();
  return () => node.stop();
});

test('nothing is lost when the broker is killed with SIGKILL and started again', async () => {
  await runThroughFault({
    ...REPORT,
    name: `killed ${KILLS} times`,
    amqpUrl: node.url,
    fault: async ({ site, ledger }) => {
      await node.queueRegistered(site.queue);
      for (let kill = 0; kill < KILLS; kill++) {
        await node.kill();
        await node.start();
        const delivered = ledger.deliveredCount;
        await eventually(() => expect(ledger.deliveredCount).toBeGreaterThan(delivered), {
          withinMs: 60_000,
        });
      }
      return {};
    },
  });
});

test('nothing is lost when the broker freezes and goes on later', async () => {
  await runThroughFault({
    ...REPORT,
    name: `frozen for ${FREEZE_MS / 1000} s`,
    amqpUrl: node.url,
    config: { amqp: AMQP_LIMITS },
    fault: async () => {
      onTestFinished(() => node.thaw());
      node.freeze();
      await delay(FREEZE_MS); // the fault itself
      node.thaw();
      return {};
    },
  });
});
