import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connectAsync, type MqttClient } from 'mqtt';
import { expect, onTestFinished, test } from 'vitest';
import { exitOf, spawnOwned } from '../helpers/child-process.ts';
import { eventually } from '../helpers/eventually.ts';
import { freePort } from '../helpers/free-port.ts';
import { RawMqttClient } from '../helpers/raw-mqtt-client.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { createSite, LANE, type Site } from '../helpers/site.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const PATIENCE = { withinMs: 10_000 };
const TOPIC = 'devices/a/telemetry/temperature';

/** Runs the command with this config until it ends by itself. */
async function runToExit(text: string): Promise<{ code: number | null; out: string; err: string }> {
  const dir = await tempDir();
  const file = join(dir, 'config.yaml');
  await writeFile(file, text);
  const child = spawnOwned(process.execPath, [MAIN, 'run', '--config', file], {
    cwd: dir,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  let [out, err] = ['', ''];
  child.stdout?.on('data', (bytes) => {
    out += bytes;
  });
  child.stderr?.on('data', (bytes) => {
    err += bytes;
  });
  const { code } = await exitOf(child);
  return { code, out, err };
}

async function runningSite(config: Readonly<Record<string, object>> = {}): Promise<Site> {
  const site = await createSite({ amqpUrl: sharedAmqpUrl(), config });
  await site.start();
  return site;
}

async function deviceOf(site: Site): Promise<MqttClient> {
  const device = await connectAsync(`mqtt://127.0.0.1:${site.mqttPort}`, { reconnectPeriod: 0 });
  device.on('error', () => {});
  onTestFinished(() => device.endAsync(true));
  return device;
}

async function metric(site: Site, name: string): Promise<number | undefined> {
  return (await site.metrics()).get(name);
}

/** Publishes without pause, until the connection is gone or it is told to stop, and writes down what is acknowledged. */
function startLoad(device: MqttClient, acknowledged: string[]): () => void {
  let stopped = false;
  const run = async (): Promise<void> => {
    for (let batch = 0; !stopped; batch++) {
      const sends = Array.from({ length: 50 }, async (_, index) => {
        await device.publishAsync(TOPIC, `${batch}/${index}`, { qos: 1 });
        acknowledged.push(`${batch}/${index}`);
      });
      await Promise.all(sends);
    }
  };
  run().catch(() => {}); // the connection closes under it
  return () => {
    stopped = true;
  };
}

test('a config with faults ends with code 2, names every fault, and starts nothing', async () => {
  const text = 'mqtt:\n  listners: []\ndelivery:\n  mode: sometimes\nshutdown:\n  timeoutMs: -1\n';
  const { code, out, err } = await runToExit(text);
  expect(code).toBe(2);
  expect(out).toBe('');
  const lines = err.trim().split('\n');
  expect(lines).toHaveLength(3);
  expect(lines[0]).toMatch(
    /config\.yaml:2:3: .*unknown key "listners"; did you mean "listeners"\?/,
  );
  expect(lines[1]).toMatch(/config\.yaml:4:9: delivery\.mode/);
  expect(lines[2]).toMatch(/config\.yaml:6:14: shutdown\.timeoutMs/);
});

test('an MQTT port that is in use ends the start with code 1 and one sentence that names it', async () => {
  const server = createServer().listen(await freePort(), '127.0.0.1');
  onTestFinished(() => {
    server.close();
  });
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const config = {
    mqtt: { listeners: [{ host: '127.0.0.1', port }] },
    admin: { port: await freePort() },
  };
  const { code, err } = await runToExit(JSON.stringify(config));
  expect(code).toBe(1);
  const sentence = `^tidegate: [^\n]*127\\.0\\.0\\.1:${port}[^\n]*another process has that port[^\n]*\n$`;
  expect(err).toMatch(new RegExp(sentence));
});

test('a store that another gateway has open ends the start with code 1 and names its process', async () => {
  const site = await runningSite();
  const second = {
    ...site.config,
    mqtt: { listeners: [{ host: '127.0.0.1', port: await freePort() }] },
    admin: { port: await freePort() },
  };
  const { code, err } = await runToExit(JSON.stringify(second));
  expect(code).toBe(1);
  expect(err).toContain(`(pid ${site.gateway.pid})`);
});

test('a message whose routing key is too long for AMQP is acknowledged and parked', async () => {
  const site = await runningSite();
  const device = await deviceOf(site);
  await device.publishAsync(`devices/a/telemetry/${'k'.repeat(300)}`, 'x', { qos: 1 });
  const parked = `tidegate_lane_parked_messages{lane="${LANE}"}`;
  await eventually(async () => expect(await metric(site, parked)).toBe(1), PATIENCE);
});

test('a payload above mqtt.maxPayloadBytes is acknowledged, counted, and does not arrive', async () => {
  const site = await runningSite({ mqtt: { maxPayloadBytes: 1024 } });
  const received: number[] = [];
  site.consume((message) => received.push(message.content.length));
  const device = await deviceOf(site);
  await device.publishAsync(TOPIC, Buffer.alloc(1025), { qos: 1 });
  await device.publishAsync(TOPIC, Buffer.alloc(1024), { qos: 1 });
  const refused = 'tidegate_messages_refused_total{reason="payload_too_large"}';
  expect(await metric(site, refused)).toBe(1);
  await site.drained();
  expect(received).toEqual([1024]);
});

test('a malformed packet closes its own connection and no other', async () => {
  const site = await runningSite();
  const good = await RawMqttClient.open(site.mqttPort, { clientId: 'good' });
  const bad = await RawMqttClient.open(site.mqttPort, { clientId: 'bad' });
  // MQTT 3.1.1 §2.2.3: no remaining length has a fifth byte.
  bad.socket.write(Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0xff]));
  await bad.waitForClose();
  good.publish(1, TOPIC);
  await good.waitFor('puback');
  expect(good.closed).toBe(false);
});

test('SIGTERM under load ends with code 0, and nothing that was acknowledged is lost', async () => {
  const site = await runningSite();
  const received = new Set<string>();
  site.consume((message) => received.add(message.content.toString()));
  const device = await deviceOf(site);
  const acknowledged: string[] = [];
  const stopLoad = startLoad(device, acknowledged);
  await eventually(() => expect(acknowledged.length).toBeGreaterThan(500), PATIENCE);
  expect(await site.gateway.stop()).toBe(0);
  stopLoad();
  await site.start();
  await site.drained();
  expect(acknowledged.filter((id) => !received.has(id))).toEqual([]);
});

test('without a broker the gateway is live and ready, and says that it is degraded', async () => {
  const site = await createSite({ amqpUrl: sharedAmqpUrl() });
  await site.proxy.cut();
  await site.start();
  const get = async (path: string): Promise<{ code: number; body: unknown }> => {
    const answer = await fetch(`http://127.0.0.1:${site.adminPort}${path}`);
    return { code: answer.status, body: await answer.json() };
  };
  expect((await get('/livez')).code).toBe(200);
  expect(await get('/readyz?verbose')).toMatchObject({
    code: 200,
    body: {
      status: 'degraded',
      checks: { broker: { status: 'degraded' }, store: { status: 'ok' } },
    },
  });
  await site.proxy.restore();
  await eventually(
    async () => expect(await get('/readyz?verbose')).toMatchObject({ body: { status: 'ok' } }),
    PATIENCE,
  );
});
