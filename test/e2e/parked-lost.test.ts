import { ClassicLevel } from 'classic-level';
import { connectAsync } from 'mqtt';
import { expect, onTestFinished, test } from 'vitest';
import { consumeAll } from '../helpers/consumer.ts';
import { eventually } from '../helpers/eventually.ts';
import { freePort } from '../helpers/free-port.ts';
import { startGateway } from '../helpers/gateway-process.ts';
import { scrape } from '../helpers/scrape.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { tempDir } from '../helpers/temp-dir.ts';

/** Keys of parked messages begin with this byte. */
const PARKED = 0x40;

/** A disk loses what is parked. */
async function loseParked(location: string): Promise<void> {
  const db = new ClassicLevel<Buffer, Buffer>(location, { keyEncoding: 'buffer' });
  await db.open();
  await db.clear({ gte: Buffer.from([PARKED]), lt: Buffer.from([PARKED + 1]) });
  await db.close();
}

test('parked messages that the disk has lost are counted, and named in the gap manifest', async () => {
  const url = sharedAmqpUrl();
  const name = `parked-lost-${process.hrtime.bigint()}`;
  const [mqttPort, adminPort] = [await freePort(), await freePort()];
  const path = await tempDir();
  const config = {
    mqtt: { listeners: [{ host: '127.0.0.1', port: mqttPort }] },
    store: { path, reserveBytes: 0 },
    amqp: { urls: [url] },
    mappings: [{ name: 'all', filter: '#', exchange: { name, type: 'topic' } }],
    gaps: { exchange: { name: `${name}-gaps` }, queues: [{ name: `${name}-gaps` }] },
    admin: { port: adminPort },
  };
  const before = await startGateway({ config, dir: await tempDir() });
  onTestFinished(async () => {
    await before.kill();
  });
  const device = await connectAsync(`mqtt://127.0.0.1:${mqttPort}`);
  for (const payload of ['1', '2']) await device.publishAsync('a/b', payload, { qos: 1 });
  await device.endAsync();
  await eventually(
    async () => {
      const parked = (await scrape(adminPort)).get('tidegate_lane_parked_messages{lane="all"}');
      expect(parked).toBe(2);
    },
    { withinMs: 10_000 },
  );
  await before.stop();
  await loseParked(`${path}/db`);

  const gateway = await startGateway({ config, dir: await tempDir() });
  onTestFinished(async () => {
    await gateway.kill();
  });
  const gaps: object[] = [];
  const consumer = consumeAll({
    url,
    queue: `${name}-gaps`,
    onMessage: (message) => {
      const event = JSON.parse(message.content.toString());
      if (event.event === 'gap') gaps.push(event);
    },
  });
  onTestFinished(() => consumer.close());
  await eventually(
    async () => {
      expect(gaps).toMatchObject([{ lane: 'all', reason: 'damaged', count: 2 }]);
      expect((await scrape(adminPort)).get('tidegate_lane_damaged_total{lane="all"}')).toBe(2);
    },
    { withinMs: 20_000 },
  );
});
