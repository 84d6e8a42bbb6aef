import { connect as connectAmqp } from 'amqplib';
import { connectAsync } from 'mqtt';
import { expect, onTestFinished, test } from 'vitest';
import { consumeAll } from '../helpers/consumer.ts';
import { eventually } from '../helpers/eventually.ts';
import { freePort } from '../helpers/free-port.ts';
import { startGateway } from '../helpers/gateway-process.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { createSite } from '../helpers/site.ts';
import { tempDir } from '../helpers/temp-dir.ts';

async function parkedCount(admin: string): Promise<number> {
  const answer = await fetch(`${admin}/api/parked`);
  const { lanes } = (await answer.json()) as { lanes: { parkedMessages: number }[] };
  return lanes[0]?.parkedMessages ?? -1;
}

test('what no queue is bound for is acknowledged, parked, and delivered when it is released', async () => {
  const url = sharedAmqpUrl();
  const name = `parked-${process.hrtime.bigint()}`;
  const [mqttPort, adminPort] = [await freePort(), await freePort()];
  const admin = `http://127.0.0.1:${adminPort}`;
  const config = {
    mqtt: { listeners: [{ host: '127.0.0.1', port: mqttPort }] },
    store: { path: await tempDir(), reserveBytes: 0 },
    amqp: { urls: [url] },
    mappings: [{ name: 'all', filter: '#', exchange: { name, type: 'topic' } }],
    admin: { port: adminPort },
  };
  const gateway = await startGateway({ config, dir: await tempDir() });
  onTestFinished(async () => {
    await gateway.stop();
  });
  const device = await connectAsync(`mqtt://127.0.0.1:${mqttPort}`);
  onTestFinished(() => device.endAsync(true));

  for (let counter = 1; counter <= 3; counter += 1) {
    await device.publishAsync('devices/a/temperature', String(counter), { qos: 1 });
  }
  await eventually(async () => expect(await parkedCount(admin)).toBe(3), { withinMs: 10_000 });

  const broker = await connectAmqp(url);
  onTestFinished(() => broker.close());
  const channel = await broker.createChannel();
  await channel.assertQueue(name, { durable: true });
  await channel.bindQueue(name, name, '#');
  const received: string[] = [];
  const consumer = consumeAll({
    url,
    queue: name,
    onMessage: (message) => received.push(message.content.toString()),
  });
  onTestFinished(() => consumer.close());
  const foreign = { method: 'POST', headers: { origin: 'http://elsewhere.example' } };
  expect((await fetch(`${admin}/api/parked/release?lane=all`, foreign)).status).toBe(403);
  const answer = await fetch(`${admin}/api/parked/release?lane=all`, { method: 'POST' });
  expect(await answer.json()).toEqual({ lane: 'all', released: 3, parkedMessages: 0 });
  await eventually(() => expect(received).toEqual(['1', '2', '3']), { withinMs: 10_000 });
});

test('a binding that was removed comes back: what was parked meanwhile is delivered by itself', async () => {
  const url = sharedAmqpUrl();
  const site = await createSite({ amqpUrl: url, config: { delivery: { parkedRetryMs: 500 } } });
  await site.start();
  const received: number[] = [];
  site.consume((message) => received.push(Number(message.content.toString())));
  const device = await connectAsync(`mqtt://127.0.0.1:${site.mqttPort}`);
  onTestFinished(() => device.endAsync(true));
  const publish = (counter: number): Promise<unknown> =>
    device.publishAsync('devices/a/telemetry/t', String(counter), { qos: 1 });
  await publish(0);
  await eventually(() => expect(received).toEqual([0]), { withinMs: 20_000 }); // it is declared

  const broker = await connectAmqp(url);
  onTestFinished(() => broker.close());
  const channel = await broker.createChannel();
  await channel.unbindQueue(site.queue, site.queue, '#');
  for (let counter = 1; counter <= 20; counter += 1) await publish(counter);
  // Two of them were tried again, and refused again.
  await eventually(
    async () => expect(await site.laneMetric('returned_total')).toBeGreaterThanOrEqual(22),
    { withinMs: 20_000 },
  );
  await channel.bindQueue(site.queue, site.queue, '#');
  await eventually(() => expect(received).toHaveLength(21), { withinMs: 20_000 });
  expect(new Set(received).size).toBe(21);
  // All but the one that was tried alone come in order.
  const followers = received.slice(2);
  expect(followers).toEqual(followers.toSorted((a, b) => a - b));
  await eventually(async () => expect(await site.laneMetric('parked_messages')).toBe(0), {
    withinMs: 20_000,
  });
});
