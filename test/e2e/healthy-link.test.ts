import { connectAsync } from 'mqtt';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { laneState } from '../helpers/scrape.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { createSite, LANE } from '../helpers/site.ts';

const MESSAGES = 3_000;
const BATCH = 50;
const TOPIC = 'devices/a/telemetry/temperature';
const WRITTEN = 'tidegate_store_bytes_written_total';

test('on a healthy link no byte of a message is written to the store', async () => {
  const site = await createSite({ amqpUrl: sharedAmqpUrl() });
  await site.start();
  const state = async (): Promise<string> => laneState(await site.metrics(), LANE);
  const device = await connectAsync(`mqtt://127.0.0.1:${site.mqttPort}`);
  onTestFinished(() => device.endAsync(true));
  // What arrives before the lane is open goes through the store, as it must.
  await eventually(
    async () => {
      await device.publishAsync(TOPIC, 'x', { qos: 1 });
      expect(await state()).toBe('direct');
    },
    { withinMs: 15_000 },
  );
  const before = (await site.metrics()).get(WRITTEN);

  const payload = Buffer.alloc(200, 'p');
  for (let sent = 0; sent < MESSAGES; sent += BATCH) {
    const batch = Array.from({ length: BATCH }, () =>
      device.publishAsync(TOPIC, payload, { qos: 1 }),
    );
    await Promise.all(batch);
  }

  expect((await site.metrics()).get(WRITTEN)).toBe(before);
  expect(await state()).toBe('direct');
  expect(
    (await site.metrics()).get(`tidegate_lane_direct_total{lane="${LANE}"}`),
  ).toBeGreaterThanOrEqual(MESSAGES);
});
