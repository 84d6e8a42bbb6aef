import { cp, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { ConsumeMessage } from 'amqplib';
import { expect, onTestFinished, test } from 'vitest';
import { consumeAll } from '../helpers/consumer.ts';
import { eventually } from '../helpers/eventually.ts';
import { freePort } from '../helpers/free-port.ts';
import { startGateway } from '../helpers/gateway-process.ts';
import { RawMqttClient } from '../helpers/raw-mqtt-client.ts';
import { scrape } from '../helpers/scrape.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const FIXTURE = fileURLToPath(new URL('../fixtures/stores/0.1.0', import.meta.url));
const PATIENCE = { withinMs: 60_000 };
const RUN = /^[0-9a-f]{16}$/;

interface Acknowledged {
  readonly topic: string;
  readonly payload: string;
  readonly routingKey?: string;
}

interface Expected {
  readonly telemetry: readonly Acknowledged[];
  readonly alarms: readonly Acknowledged[];
  readonly parked: readonly Acknowledged[];
  /** One of telemetry, of which the device has no PUBCOMP. */
  readonly qos2: Acknowledged & { readonly clientId: string; readonly packetId: number };
}

/** First deliveries of each message-id, by lane. */
class Received {
  readonly #byLane = new Map<string, ConsumeMessage[]>();
  readonly #ids = new Set<unknown>();

  take(message: ConsumeMessage): void {
    if (this.#ids.has(message.properties.messageId)) return;
    this.#ids.add(message.properties.messageId);
    this.of(message.properties.headers?.['x-lane']).push(message);
  }

  of(lane: string): ConsumeMessage[] {
    const messages = this.#byLane.get(lane) ?? [];
    this.#byLane.set(lane, messages);
    return messages;
  }
}

/** Today's gateway on a copy of the store that 0.1.0 left, with a broker at last. */
async function upgrade() {
  const name = `upgrade-${process.hrtime.bigint()}`;
  const [mqttPort, adminPort, dir] = [await freePort(), await freePort(), await tempDir('upgrade')];
  await cp(`${FIXTURE}/store`, `${dir}/data`, { recursive: true });
  const queue = (kind: string) => ({ name: `${name}-${kind}`, type: 'classic' });
  const exchange = { name, type: 'topic' };
  // Each lane binds it: one that opened before would have its messages returned.
  const queues = [{ ...queue('lanes'), bindingKey: '#' }];
  const config = {
    gateway: { id: 'fixture-site' },
    mqtt: { listeners: [{ host: '127.0.0.1', port: mqttPort }] },
    store: { path: `${dir}/data`, ballastBytes: 0, reserveBytes: 0 },
    amqp: { urls: [sharedAmqpUrl()] },
    admin: { port: adminPort },
    gaps: { exchange: { name: `${name}-gaps` }, queues: [queue('gaps')] },
    mappings: [
      {
        name: 'telemetry',
        filter: 'devices/+device/telemetry/#metric',
        routingKey: `\${device}.\${metric}`,
        exchange,
        queues,
      },
      {
        name: 'alarms',
        filter: 'devices/+device/alarms',
        routingKey: `\${device}`,
        exchange,
        queues,
      },
      { name: 'long', filter: 'long/#rest', routingKey: `\${rest}`, exchange, queues },
    ],
  };
  const gateway = await startGateway({ config, dir });
  onTestFinished(() => gateway.kill());
  const received = new Received();
  for (const kind of ['lanes', 'gaps']) {
    const onMessage = (message: ConsumeMessage): void => received.take(message);
    const consumer = consumeAll({ url: sharedAmqpUrl(), queue: queue(kind).name, onMessage });
    onTestFinished(() => consumer.close());
  }
  return { mqttPort, adminPort, received };
}

/** The message-id that 0.1.0 gave: messages of a lane count from 1 in each of its runs. */
function oldIds(lane: string, messages: readonly Acknowledged[]): string[] {
  const counts = new Map<string, number>();
  return messages.map(({ payload }) => {
    const epoch = /^run (\d)/.exec(payload)?.[1] ?? '2'; // the QoS 2 message without PUBREL came in the second
    counts.set(epoch, (counts.get(epoch) ?? 0) + 1);
    return `fixture-site/${lane}/${epoch}.${counts.get(epoch)}`;
  });
}

function expectOld(messages: ConsumeMessage[], lane: string, all: readonly Acknowledged[]): void {
  expect(messages.map(({ content }) => content.toString())).toEqual(all.map((one) => one.payload));
  expect(messages.map(({ properties }) => properties.messageId)).toEqual(oldIds(lane, all));
  expect(messages.map(({ properties: { headers } }) => headers?.['x-mqtt-topic'])).toEqual(
    all.map((one) => one.topic),
  );
  for (const { properties } of messages) expect(properties.headers).not.toHaveProperty('x-run');
}

test('a store of 0.1.0 drains in order and under its old ids, and what comes after has new ones', async () => {
  const expected: Expected = JSON.parse(await readFile(`${FIXTURE}/expected.json`, 'utf8'));
  const { mqttPort, adminPort, received } = await upgrade();
  const { telemetry } = expected;

  await eventually(() => {
    expect(received.of('telemetry').length).toBeGreaterThanOrEqual(telemetry.length);
    expect(received.of('alarms').length).toBeGreaterThanOrEqual(expected.alarms.length);
  }, PATIENCE);
  expectOld(received.of('telemetry'), 'telemetry', telemetry);
  expectOld(received.of('alarms'), 'alarms', expected.alarms);
  expect(received.of('telemetry').map(({ fields }) => fields.routingKey)).toEqual(
    telemetry.map((one) => one.routingKey),
  );
  for (const { properties } of received.of('alarms')) {
    expect(properties).toMatchObject({
      contentType: 'text/plain',
      priority: 7,
      headers: { site: 'north' },
    });
  }

  const release = `http://127.0.0.1:${adminPort}/api/parked/release?lane=long`;
  const answer = await fetch(release, { method: 'POST' });
  expect(await answer.json()).toMatchObject({ released: expected.parked.length });
  await eventually(
    () => expect(received.of('long')).toHaveLength(expected.parked.length),
    PATIENCE,
  );
  expectOld(received.of('long'), 'long', expected.parked);

  const { clientId, packetId, topic, payload } = expected.qos2;
  const device = await RawMqttClient.open(mqttPort, { clientId, clean: false });
  device.publish(packetId, topic, { qos: 2, dup: true, payload });
  await device.waitFor('pubrec');
  device.send({ cmd: 'pubrel', messageId: packetId });
  await device.waitFor('pubcomp');
  device.publish(packetId, topic, { qos: 1, payload: 'new' });
  await device.waitFor('puback');

  const lane = received.of('telemetry');
  await eventually(() => expect(lane.length).toBeGreaterThan(telemetry.length), PATIENCE);
  // The repeated PUBLISH has made nothing: the new message is the first of its run.
  const { content, properties } = lane.at(-1) ?? expect.fail('nothing came');
  expect(content.toString()).toBe('new');
  const run = String(properties.headers?.['x-run']);
  expect(run).toMatch(RUN);
  expect(properties.messageId).toBe(`fixture-site/telemetry/3-${run}.1`);
  expect(lane).toHaveLength(telemetry.length + 1);

  // Its runs had no random part, so their ends are told without.
  const ends = received.of('tidegate.gaps').map((one) => JSON.parse(one.content.toString()));
  expect(ends).toMatchObject([
    { event: 'epoch-ended', epoch: 1, clean: true, lastSeqs: { telemetry: 12, alarms: 5 } },
    { event: 'epoch-ended', epoch: 2, clean: false },
  ]);
  for (const end of ends) expect(end).not.toHaveProperty('run');
  const metrics = await scrape(adminPort);
  for (const name of ['telemetry', 'alarms', 'long', 'tidegate.gaps']) {
    expect(metrics.get(`tidegate_lane_damaged_total{lane="${name}"}`) ?? 0, name).toBe(0);
  }
});
