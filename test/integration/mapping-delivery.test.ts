import { randomUUID } from 'node:crypto';
import type { ConsumeMessage } from 'amqplib';
import { connectAsync, type MqttClient } from 'mqtt';
import { expect, onTestFinished, test } from 'vitest';
import { consumeAll } from '../helpers/consumer.ts';
import { eventually } from '../helpers/eventually.ts';
import { freePort } from '../helpers/free-port.ts';
import { type GatewayProcess, startGateway } from '../helpers/gateway-process.ts';
import { scrape } from '../helpers/scrape.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { startTcpProxy, type TcpProxy } from '../helpers/tcp-proxy.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const PATIENCE = { withinMs: 30_000 };
const TYPES = ['topic', 'direct', 'fanout', 'headers', 'default'] as const;
const TOPIC = 'devices/d.1/telemetry/a/b.c';
const PAYLOAD = '{"kind":"alarm","level":3,"value":21.5,"ok":false,"ttl":60000,"id":"c-9"}';

/** What each message must carry, whatever exchange it went through. */
const PROPERTIES = {
  contentType: 'application/json',
  contentEncoding: 'identity',
  priority: 3,
  expiration: '60000',
  type: 'a/b.c',
  correlationId: 'd.1:c-9',
  replyTo: 'answers.gate-1.ann',
  deliveryMode: 2,
  appId: 'tidegate',
};
const HEADERS = {
  kind: 'alarm',
  level: 3,
  value: 21.5,
  ok: false,
  text: 'level 3',
  topic: TOPIC,
  device: 'd.1',
  client: 'device-1',
  fixed: 7,
  urgent: true,
};

const TEMPLATES = {
  properties: {
    contentType: 'application/json',
    contentEncoding: 'identity',
    priority: `\${json:level}`,
    expiration: `\${json:ttl}`,
    type: `\${metric}`,
    correlationId: `\${device}:\${json:id}`,
    replyTo: `answers.\${gateway}.\${username}`,
  },
  headers: {
    kind: `\${json:kind}`,
    level: `\${json:level}`,
    value: `\${json:value}`,
    ok: `\${json:ok}`,
    text: `level \${json:level}`,
    topic: `\${topic}`,
    device: `\${device}`,
    client: `\${client}`,
    fixed: 7,
    urgent: true,
  },
};

/** One mapping for each type of exchange, all of the same topics; names are those of the exchanges and queues. */
function mappingsOf(run: string, templates: object): object[] {
  return TYPES.map((type) => {
    const name = `${type}-${run}`;
    const bindings: Record<(typeof TYPES)[number], object> = {
      topic: { bindingKey: 'd/1.#' },
      direct: { bindingKey: 'd/1.a.b/c' },
      fanout: {},
      headers: { bindings: [{ arguments: { 'x-match': 'all', kind: 'alarm', level: 3 } }] },
      default: {},
    };
    return {
      name: type,
      filter: 'devices/+device/telemetry/#metric',
      exchange: type === 'default' ? { name: '' } : { name, type },
      routingKey: type === 'default' ? name : `\${device}.\${metric}`,
      queues: [{ name, type: 'classic', ...bindings[type] }],
      ...templates,
    };
  });
}

/** A gateway behind a link that can be cut, and what its queues got. */
class Bench {
  readonly run: string = randomUUID();
  readonly received: ConsumeMessage[] = [];
  #parts: { dir: string; mqttPort: number; adminPort: number; amqpUrl: string } | undefined;

  async start(
    templates: object = TEMPLATES,
    match: 'all' | 'first' = 'all',
  ): Promise<GatewayProcess> {
    if (this.#parts === undefined) throw new Error('not linked');
    const { dir, mqttPort, adminPort, amqpUrl } = this.#parts;
    const config = {
      gateway: { id: 'gate-1' },
      mqtt: { listeners: [{ host: '127.0.0.1', port: mqttPort }] },
      store: { path: `${dir}/store`, reserveBytes: 0 },
      amqp: { urls: [amqpUrl], reconnect: { minMs: 50, maxMs: 200 } },
      routing: { match },
      mappings: mappingsOf(this.run, templates),
      admin: { port: adminPort },
    };
    const gateway = await startGateway({ config, dir });
    onTestFinished(() => gateway.kill());
    return gateway;
  }

  async link(): Promise<TcpProxy> {
    const url = new URL(sharedAmqpUrl());
    const proxy = await startTcpProxy({ targetPort: Number(url.port) });
    onTestFinished(() => proxy.close());
    url.port = String(proxy.port);
    const [mqttPort, adminPort] = [await freePort(), await freePort()];
    this.#parts = { dir: await tempDir('mapping'), mqttPort, adminPort, amqpUrl: url.href };
    for (const type of TYPES) {
      const consumer = consumeAll({
        url: sharedAmqpUrl(),
        queue: `${type}-${this.run}`,
        onMessage: (message) => this.received.push(message),
      });
      onTestFinished(() => consumer.close());
    }
    return proxy;
  }

  async device(): Promise<MqttClient> {
    const url = `mqtt://127.0.0.1:${this.#parts?.mqttPort}`;
    const client = await connectAsync(url, { clientId: 'device-1', username: 'ann' });
    onTestFinished(() => client.endAsync(true));
    return client;
  }

  /** Messages parked, by lane. */
  async parked(): Promise<Record<string, number>> {
    const answer = await fetch(`http://127.0.0.1:${this.#parts?.adminPort}/api/parked`);
    const { lanes } = (await answer.json()) as {
      lanes: { lane: string; parkedMessages: number }[];
    };
    return Object.fromEntries(lanes.map(({ lane, parkedMessages }) => [lane, parkedMessages]));
  }

  /** Messages taken, by lane. */
  async accepted(): Promise<Record<string, number | undefined>> {
    const values = await scrape(this.#parts?.adminPort ?? 0);
    const metric = 'tidegate_lane_accepted_total';
    return Object.fromEntries(TYPES.map((type) => [type, values.get(`${metric}{lane="${type}"}`)]));
  }

  /** Resolves with one message of each exchange when all are there, by their lanes. */
  async arrived(): Promise<ConsumeMessage[]> {
    await eventually(() => expect(lanesOf(this.received)).toEqual([...TYPES].sort()), PATIENCE);
    return this.received.splice(0);
  }
}

const lanesOf = (messages: readonly ConsumeMessage[]): string[] =>
  messages.map(({ properties }) => String(properties.headers?.['x-lane'])).sort();

function expectAsAsked(messages: readonly ConsumeMessage[], isBacklog: boolean): void {
  for (const { properties, content } of messages) {
    expect(content.toString()).toBe(PAYLOAD);
    expect(properties).toMatchObject(PROPERTIES);
    expect(properties.headers).toMatchObject({
      ...HEADERS,
      'x-backlog': isBacklog,
      'x-mqtt-topic': TOPIC,
    });
  }
}

test('every property and header arrives as asked through every type of exchange, on the direct way', async () => {
  const bench = new Bench();
  await bench.link();
  await bench.start();
  const device = await bench.device();
  await eventually(async () => {
    await device.publishAsync(TOPIC, PAYLOAD, { qos: 1 });
    const last = bench.received.filter(
      ({ properties }) => properties.headers?.['x-backlog'] === false,
    );
    expect(new Set(lanesOf(last)).size).toBe(TYPES.length);
  }, PATIENCE);
  expectAsAsked(
    bench.received.filter(({ properties }) => properties.headers?.['x-backlog'] === false),
    false,
  );
});

test('what was rendered on arrival arrives also from the store of a gateway that was killed and configured anew', async () => {
  const bench = new Bench();
  const proxy = await bench.link();
  await proxy.cut();
  const first = await bench.start();
  await (await bench.device()).publishAsync(TOPIC, PAYLOAD, { qos: 1 });
  await first.kill();
  await proxy.restore();
  await bench.start({ properties: { type: 'another' }, headers: { another: 1 } });
  const messages = await bench.arrived();
  expectAsAsked(messages, true);
  for (const { properties } of messages) expect(properties.headers).not.toHaveProperty('another');

  // And what arrives now is as the new config says.
  const device = await bench.device();
  await device.publishAsync(TOPIC, PAYLOAD.replace('alarm', 'test'), { qos: 1 });
  await eventually(() => expect(bench.received.length).toBe(TYPES.length - 1), PATIENCE); // not the headers exchange
  for (const { properties } of bench.received) {
    expect(properties).toMatchObject({ type: 'another', headers: { another: 1 } });
    expect(properties).toMatchObject({ priority: undefined, contentType: undefined });
    expect(properties.headers).not.toHaveProperty('kind');
  }
});

test('a message whose property cannot be rendered is acknowledged and parked, and others flow on', async () => {
  const bench = new Bench();
  await bench.link();
  await bench.start({ properties: { priority: `\${json:level}` } });
  const device = await bench.device();
  await device.publishAsync(TOPIC, '{"level":256}', { qos: 1 }); // property_invalid
  await device.publishAsync(TOPIC, 'no json', { qos: 1 }); // template_failed
  expect(await bench.parked()).toMatchObject(Object.fromEntries(TYPES.map((type) => [type, 2])));
  await device.publishAsync(TOPIC, '{"level":5}', { qos: 1 });
  await eventually(() => expect(bench.received.length).toBe(TYPES.length - 1), PATIENCE);
  for (const { properties } of bench.received) expect(properties.priority).toBe(5);
});

test('with "match: first" a message goes only to the first mapping that matches', async () => {
  const bench = new Bench();
  await bench.link();
  await bench.start({}, 'first');
  await (await bench.device()).publishAsync(TOPIC, PAYLOAD, { qos: 1 });
  expect(await bench.accepted()).toEqual({
    topic: 1,
    direct: 0,
    fanout: 0,
    headers: 0,
    default: 0,
  });
});
