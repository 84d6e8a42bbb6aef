import type { ConsumeMessage } from 'amqplib';
import { connectAsync, type MqttClient } from 'mqtt';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { withoutRun } from '../helpers/message-id.ts';
import { reload } from '../helpers/reload.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { createSite, LANE, type Site } from '../helpers/site.ts';

const PATIENCE = { withinMs: 20_000 };
const TOPIC = 'devices/d1/telemetry/temp';

type Mapping = Readonly<Record<string, unknown>>;

interface Started {
  readonly site: Site;
  readonly device: MqttClient;
  /** Body and message-id of what arrived, in order. */
  readonly received: string[];
  readonly messages: ConsumeMessage[];
  /** The config with another mapping, or none at all of that name, and further keys. */
  with(mapping: object | undefined, keys?: object): object;
}

async function start(): Promise<Started> {
  const site = await createSite({ amqpUrl: sharedAmqpUrl() });
  await site.start();
  const received: string[] = [];
  const messages: ConsumeMessage[] = [];
  site.consume((message) => {
    received.push(`${message.content} ${withoutRun(message.properties.messageId)}`);
    messages.push(message);
  });
  const device = await connectAsync(`mqtt://127.0.0.1:${site.mqttPort}`, { clientId: 'd1' });
  onTestFinished(() => device.endAsync(true));
  const config = site.config as { readonly mappings: readonly [Mapping] };
  const other = { name: 'other', filter: 'other', exchange: { name: '' }, routingKey: site.queue };
  return {
    site,
    device,
    received,
    messages,
    with: (mapping, keys = {}) => {
      const mappings = mapping === undefined ? [other] : [{ ...config.mappings[0], ...mapping }];
      return { ...config, ...keys, mappings };
    },
  };
}

async function status(site: Site): Promise<{ config: object; lanes: readonly { lane: string }[] }> {
  const answer = await fetch(`http://127.0.0.1:${site.adminPort}/api/status`);
  return (await answer.json()) as { config: object; lanes: readonly { lane: string }[] };
}

test('a config with faults changes nothing, and is told until a reload succeeds', async () => {
  const { site, device, received, messages, with: withMapping } = await start();
  const faulty = withMapping({ routingKey: `\${nobody}` });
  const answer = await reload(site, faulty);
  expect(answer).toMatchObject({
    event: 'config-reload-failed',
    faults: [expect.stringMatching(/config\.yaml:\d+:\d+: mappings\[0\]\.routingKey: .*nobody/)],
  });
  expect((await status(site)).config).toMatchObject({
    reloadFailed: true,
    reloadError: expect.stringContaining('nobody'),
  });
  expect((await site.metrics()).get('tidegate_config_reload_failed')).toBe(1);
  await device.publishAsync(TOPIC, 'one', { qos: 1 });
  await eventually(() => expect(received).toEqual([`one site/${LANE}/1.1`]), PATIENCE);

  const mended = withMapping({ routingKey: `new.\${device}`, headers: { added: true } });
  expect(await reload(site, mended)).toMatchObject({
    event: 'config-reloaded',
    changed: [{ mapping: LANE, keys: ['routingKey', 'headers'] }],
  });
  expect((await site.metrics()).get('tidegate_config_reload_failed')).toBe(0);
  await device.publishAsync(TOPIC, 'two', { qos: 1 });
  await eventually(() => expect(messages).toHaveLength(2), PATIENCE);
  expect(messages[1]?.fields.routingKey).toBe('new.d1');
  expect(messages[1]?.properties.headers?.['added']).toBe(true);
});

test('keys that take a restart are named and stay as they are; the rest of the file is taken over', async () => {
  const { site, with: withMapping } = await start();
  const keys = { delivery: { mode: 'disk-first', whenFull: 'reject' }, log: { level: 'debug' } };
  const answer = await reload(site, withMapping({}, keys));
  expect(answer).toMatchObject({
    event: 'config-reloaded',
    keys: ['delivery.whenFull'],
    restartKeys: ['delivery.mode', 'log.level'],
  });
  const events = (): unknown[] => site.gateway.logs().map(({ event }) => event);
  await eventually(() => expect(events()).toContain('config-restart-needed'), PATIENCE);
  expect((await site.metrics()).get('tidegate_config_restart_keys')).toBe(2);
});

test('a removed mapping keeps its backlog while the broker is away, drains and ends; back again it goes on counting', async () => {
  const { site, device, received, with: withMapping } = await start();
  await site.proxy.cut();
  await device.publishAsync(TOPIC, 'one', { qos: 1 });
  expect(await reload(site, withMapping(undefined))).toMatchObject({
    removed: [LANE],
    added: ['other'],
  });
  await device.publishAsync(TOPIC, 'into the void', { qos: 1 });
  expect((await site.metrics()).get('tidegate_messages_unmatched_total')).toBe(1);
  expect((await status(site)).lanes.map(({ lane }) => lane)).toContain(LANE);

  await site.proxy.restore();
  await eventually(async () => {
    const lanes = (await status(site)).lanes.map(({ lane }) => lane);
    expect(lanes).toEqual(['other', 'tidegate.gaps']);
  }, PATIENCE);
  expect(received).toEqual([`one site/${LANE}/1.1`]);

  await reload(site, withMapping({}));
  await device.publishAsync(TOPIC, 'two', { qos: 1 });
  await eventually(() => {
    expect(received).toEqual([`one site/${LANE}/1.1`, `two site/${LANE}/1.2`]);
  }, PATIENCE);
});

test('limits and policies hold at once, also for a message that waits for room', async () => {
  const { site, device, received, with: withMapping } = await start();
  await reload(site, withMapping({ limits: { maxMessages: 1 }, whenFull: 'block' }));
  await site.proxy.cut();
  await device.publishAsync(TOPIC, 'one', { qos: 1 });
  const second = device.publishAsync(TOPIC, 'two', { qos: 1 });
  await eventually(async () => expect(await site.laneMetric('waiting_messages')).toBe(1), PATIENCE);
  await reload(site, withMapping({ limits: { maxMessages: 2 }, whenFull: 'block' }));
  await second; // there is room for it now, with the broker still away
  await site.proxy.restore();
  await eventually(() => {
    expect(received).toEqual([`one site/${LANE}/1.1`, `two site/${LANE}/1.2`]);
  }, PATIENCE);
});

test('a backlog goes to the new exchange, in order and with its identity, before what is newer', async () => {
  const { site, device, received, messages, with: withMapping } = await start();
  await site.proxy.cut();
  await device.publishAsync(TOPIC, 'one', { qos: 1 });
  const exchange = { name: `${site.queue}-new`, type: 'topic' };
  await reload(site, withMapping({ exchange, routingKey: 'new' }));
  await device.publishAsync(TOPIC, 'two', { qos: 1 });
  await site.proxy.restore();
  await eventually(() => {
    expect(received).toEqual([`one site/${LANE}/1.1`, `two site/${LANE}/1.2`]);
  }, PATIENCE);
  expect(messages.map(({ fields }) => fields.exchange)).toEqual([exchange.name, exchange.name]);
  expect(messages.map(({ fields }) => fields.routingKey)).toEqual([
    'devices.d1.telemetry.temp',
    'new',
  ]);
});
