import { expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { RawMqttClient } from '../helpers/raw-mqtt-client.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { createSite } from '../helpers/site.ts';

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
