import { expect, onTestFinished, test } from 'vitest';
import { DeliveryLedger, format } from '../helpers/ledger.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { createSite, LANE, type Site } from '../helpers/site.ts';
import { flood } from './flood-client.ts';

const CLIENTS = 10;
const MESSAGES_PER_CLIENT = 10_000;
const MESSAGES = CLIENTS * MESSAGES_PER_CLIENT;
const PAYLOAD_BYTES = 200;
/** What a gateway on a small box may take with a backlog, and while it drains, in bytes: the goals of the benchmarks. */
const STORING_LIMIT_BYTES = 150_000_000;
const DRAINING_LIMIT_BYTES = 180_000_000;
const SAMPLE_MS = 50;

/** Largest resident memory of the gateway from now on until the test ends; call it for the value so far. */
function peakRss(site: Site): () => number {
  let peakBytes = 0;
  const timer = setInterval(() => {
    site.gateway.rssBytes().then(
      (bytes) => {
        peakBytes = Math.max(peakBytes, bytes);
      },
      () => {}, // it ends while it is looked at
    );
  }, SAMPLE_MS);
  onTestFinished(() => clearInterval(timer));
  return () => peakBytes;
}

function floodAll(site: Site, ledger: DeliveryLedger): Promise<unknown> {
  const clients = Array.from({ length: CLIENTS }, (_, index) => `flood-${index + 1}`);
  return Promise.all(
    clients.map((clientId) =>
      flood({
        port: site.mqttPort,
        clientId,
        messageCount: MESSAGES_PER_CLIENT,
        payload: (counter) => `${clientId}/${counter} `.padEnd(PAYLOAD_BYTES, '.'),
        onSent: (counter) => ledger.attempted(`${clientId}/${counter}`),
        onAcknowledged: (counter) => ledger.acknowledged(`${clientId}/${counter}`),
      }),
    ),
  );
}

test('100,000 messages are stored within 150 MB of memory and drained within 180 MB', async () => {
  const site = await createSite({ amqpUrl: sharedAmqpUrl() });
  await site.start();
  const ledger = new DeliveryLedger();
  const peak = peakRss(site);
  await site.proxy.cut();
  await floodAll(site, ledger);
  const values = await site.metrics();
  expect(values.get(`tidegate_lane_backlog_messages{lane="${LANE}"}`)).toBe(MESSAGES);
  const peakWhileStoring = peak();

  site.consume((message) => {
    const [id = ''] = message.content.toString().split(' ', 1);
    const [deviceKey = '', counter] = id.split('/');
    const messageId: string = message.properties.messageId;
    ledger.delivered({ id, messageId, deviceKey, counter: Number(counter) });
  });
  await site.proxy.restore();
  await site.drained();
  const verdict = ledger.verdict();
  const mib = (bytes: number): string => `${Math.round(bytes / 1024 ** 2)} MiB`;
  process.stdout.write(
    `peak memory ${mib(peakWhileStoring)} storing, ${mib(peak())} in all: ${format(verdict)}\n`,
  );
  expect(verdict).toMatchObject({
    acknowledged: MESSAGES,
    delivered: MESSAGES,
    lost: 0,
    unexpected: 0,
    reordered: 0,
    confused: 0,
  });
  expect(peakWhileStoring).toBeGreaterThan(0);
  expect(peakWhileStoring).toBeLessThan(STORING_LIMIT_BYTES);
  expect(peak()).toBeLessThan(DRAINING_LIMIT_BYTES);
});
