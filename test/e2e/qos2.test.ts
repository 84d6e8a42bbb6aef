import { describe, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { RawMqttClient } from '../helpers/raw-mqtt-client.ts';
import { laneState } from '../helpers/scrape.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { createSite, LANE, type Site } from '../helpers/site.ts';

const TOPIC = 'devices/a/telemetry/door';
const PERSISTENT = { clean: false } as const;

const qos2 = (payload: string) => ({ qos: 2, payload }) as const;
const again = (payload: string) => ({ qos: 2, payload, dup: true }) as const;

test('[MQTT-4.3.3-2] a QoS 2 DUP after a reconnect, before and after PUBREC, reaches the queue once', async () => {
  const site = await createSite({ amqpUrl: sharedAmqpUrl() });
  await site.start();
  const received: string[] = [];
  site.consume((message) => received.push(message.content.toString()));

  const first = await RawMqttClient.open(site.mqttPort, PERSISTENT);
  first.publish(1, TOPIC, qos2('before-pubrec'));
  first.destroy(); // it may or may not have been answered: the device cannot know
  const second = await RawMqttClient.open(site.mqttPort, PERSISTENT);
  second.publish(1, TOPIC, again('before-pubrec'));
  second.publish(2, TOPIC, qos2('after-pubrec'));
  await second.waitFor('pubrec', 2);
  second.destroy();
  const third = await RawMqttClient.open(site.mqttPort, PERSISTENT);
  third.publish(2, TOPIC, again('after-pubrec'));
  await third.waitFor('pubrec');
  for (const messageId of [1, 2]) third.send({ cmd: 'pubrel', messageId });
  await third.waitFor('pubcomp', 2);
  third.publish(3, TOPIC, qos2('last'));

  await eventually(() => expect(received).toContain('last'), { withinMs: 10_000 });
  expect(received).toEqual(['before-pubrec', 'after-pubrec', 'last']);
});

/** How the gateway stands when the message comes. */
const STANDS = [
  {
    stand: 'adaptive, healthy link',
    delivery: { mode: 'adaptive', spillAfterMs: 5000 },
    cut: false,
  },
  { stand: 'adaptive, uplink cut', delivery: { mode: 'adaptive' }, cut: true },
  { stand: 'disk-first', delivery: { mode: 'disk-first' }, cut: false },
] as const;

/** A gateway in that stand, and the payloads that arrived at the broker. */
async function startIn({ delivery, cut }: (typeof STANDS)[number]) {
  const site = await createSite({ amqpUrl: sharedAmqpUrl(), config: { delivery } });
  await site.start();
  const received: string[] = [];
  const seen = new Set<unknown>();
  site.consume(({ content, properties }) => {
    // What a lane settled just before the kill may come again, as itself.
    if (!seen.has(properties.messageId)) received.push(content.toString());
    seen.add(properties.messageId);
  });
  if (delivery.mode === 'adaptive') await untilDirect(site);
  await site.drained();
  received.length = 0;
  if (cut) await site.proxy.cut();
  return { site, received };
}

/** What arrives before the lane is open goes through the store. */
async function untilDirect(site: Site): Promise<void> {
  const device = await RawMqttClient.open(site.mqttPort, { clientId: 'warm-up' });
  await eventually(
    async () => {
      device.publish(1, TOPIC);
      expect(laneState(await site.metrics(), LANE)).toBe('direct');
    },
    { withinMs: 15_000, everyMs: 100 },
  );
  await device.settled();
  device.destroy();
}

/** SIGKILL and the next start, with the uplink as it should be. */
async function restart(site: Site): Promise<void> {
  await site.gateway.kill();
  await site.proxy.cut();
  await site.proxy.restore();
  await site.start();
}

describe.each(STANDS)('killed in $stand', (stand) => {
  test('between PUBREC and PUBREL: the DUP gets PUBREC and the message arrives once', async () => {
    const { site, received } = await startIn(stand);
    const before = await RawMqttClient.open(site.mqttPort, PERSISTENT);
    before.publish(7, TOPIC, qos2('once'));
    await before.waitFor('pubrec');
    await restart(site);

    const after = await RawMqttClient.open(site.mqttPort, PERSISTENT);
    after.publish(7, TOPIC, again('once'));
    await after.waitFor('pubrec');
    after.send({ cmd: 'pubrel', messageId: 7 });
    await after.waitFor('pubcomp');
    await site.drained();
    expect(received).toEqual(['once']);
  });

  test('after PUBCOMP: the next message with that packet identifier arrives, though it looks the same', async () => {
    const { site, received } = await startIn(stand);
    const before = await RawMqttClient.open(site.mqttPort, PERSISTENT);
    before.publish(7, TOPIC, qos2('same'));
    await before.waitFor('pubrec');
    before.send({ cmd: 'pubrel', messageId: 7 });
    await before.waitFor('pubcomp');
    await restart(site);

    const after = await RawMqttClient.open(site.mqttPort, PERSISTENT);
    after.publish(7, TOPIC, qos2('same'));
    await after.waitFor('pubrec');
    await site.drained();
    expect(received).toEqual(['same', 'same']);
  });
});

test('killed before the message is safe and before PUBREC: the DUP is taken, and arrives once', async () => {
  const { site, received } = await startIn(STANDS[0]);
  site.proxy.stall();
  const before = await RawMqttClient.open(site.mqttPort, PERSISTENT);
  before.publish(7, TOPIC, qos2('once'));
  const inFlight = `tidegate_lane_in_flight_messages{lane="${LANE}"}`;
  await eventually(async () => expect((await site.metrics()).get(inFlight)).toBe(1), {
    withinMs: 4000,
  });
  expect(before.ids('pubrec')).toEqual([]);
  await site.gateway.kill();
  await site.proxy.cut(); // what the stall held is gone with it
  site.proxy.flow();
  await restart(site);

  const after = await RawMqttClient.open(site.mqttPort, PERSISTENT);
  after.publish(7, TOPIC, again('once'));
  await after.waitFor('pubrec');
  await site.drained();
  expect(received).toEqual(['once']);
});

test('after a restart session present is 0, for subscriptions are forgotten, and PUBREL is answered all the same', async () => {
  const { site, received } = await startIn(STANDS[2]);
  const before = await RawMqttClient.open(site.mqttPort, PERSISTENT);
  before.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a', qos: 1 }] });
  await before.waitFor('suback');
  before.publish(7, TOPIC, qos2('once'));
  await before.waitFor('pubrec');
  await restart(site);

  const after = await RawMqttClient.open(site.mqttPort, PERSISTENT);
  expect(await after.waitFor('connack')).toMatchObject({ sessionPresent: false });
  after.send({ cmd: 'pubrel', messageId: 7 });
  await after.waitFor('pubcomp');
  after.publish(7, TOPIC, qos2('next'));
  await after.waitFor('pubrec');
  await site.drained();
  expect(received).toEqual(['once', 'next']);
});
