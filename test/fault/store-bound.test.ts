import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { folderBytes } from '../../src/store/disk.ts';
import { eventually } from '../helpers/eventually.ts';
import { RawMqttClient } from '../helpers/raw-mqtt-client.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { createSite, type Site, sumOf } from '../helpers/site.ts';

const MIB_BYTES = 1024 ** 2;
const MAX_BYTES = 16 * MIB_BYTES;
/** LevelDB may hold what it writes from its log to a table twice for a moment. */
const STORE_LIMIT_BYTES = MAX_BYTES + 16 * MIB_BYTES;
const LANES = 200;
const CLIENTS = 100;
const PAYLOAD_BYTES = 64 * 1024;
/** How quickly so many lanes start is not the question here. */
const READY_LIMIT_MS = 90_000;
const PATIENCE = { withinMs: 60_000, everyMs: 100 };
/** Nothing more is stored for so long: as much is as there was room for. */
const QUIET_MS = 3_000;

/** Resolves when nothing was stored for a while, with the largest size of the store until then. */
async function untilQuiet(site: Site): Promise<number> {
  let largestBytes = 0;
  let quietSinceMs = performance.now();
  for (let stored = -1; performance.now() - quietSinceMs < QUIET_MS; await delay(100)) {
    largestBytes = Math.max(largestBytes, await folderBytes(`${site.storeDir}/db`));
    const now = sumOf(await site.metrics(), 'tidegate_lane_backlog_messages{');
    if (now !== stored) quietSinceMs = performance.now();
    stored = now;
  }
  return largestBytes;
}

test('a store that one message fills for 200 lanes holds what it may, and all it has acknowledged', async () => {
  const config = { store: { path: 'store', reserveBytes: 0, maxBytes: MAX_BYTES } };
  const rest = { lanes: LANES, readyLimitMs: READY_LIMIT_MS };
  const site = await createSite({ amqpUrl: sharedAmqpUrl(), config, ...rest });
  await site.proxy.cut();
  await site.start();
  const clients = await Promise.all(
    Array.from({ length: CLIENTS }, async (_, index) => {
      const clientId = `device-${index + 1}`;
      return { clientId, client: await RawMqttClient.open(site.mqttPort, { clientId }) };
    }),
  );
  // Random, so that LevelDB cannot make it smaller.
  for (const { client } of clients) {
    client.publish(1, 'devices/d/telemetry/t', { payload: randomBytes(PAYLOAD_BYTES) });
  }
  const largestBytes = await untilQuiet(site);
  const isAcknowledged = ({ client }: (typeof clients)[number]): boolean =>
    client.ids('puback').length > 0;
  const acknowledged = clients.filter(isAcknowledged).map(({ clientId }) => clientId);
  await site.gateway.kill();
  process.stdout.write(
    `store at most ${Math.round(largestBytes / MIB_BYTES)} MiB, ${acknowledged.length} messages acknowledged\n`,
  );
  expect(acknowledged.length).toBeGreaterThan(0);
  expect(largestBytes).toBeGreaterThan(MAX_BYTES / 2);
  expect(largestBytes).toBeLessThan(STORE_LIMIT_BYTES);

  await site.proxy.restore();
  await site.start();
  const lanes = new Map<string, Set<string>>();
  site.consume(({ properties: { headers } }) => {
    const clientId: string = headers?.['x-client-id'];
    const known = lanes.get(clientId) ?? new Set();
    lanes.set(clientId, known.add(headers?.['x-lane']));
  });
  await eventually(() => {
    for (const clientId of acknowledged) expect(lanes.get(clientId)?.size).toBe(LANES);
  }, PATIENCE);
});
