import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { tempDir } from '../helpers/temp-dir.ts';
import type { CentralQueue } from './arrivals.ts';
import { usageOf } from './box.ts';
import { Central } from './central.ts';
import type { RunningContender } from './contender.ts';
import { contender, contenders } from './contenders/all.ts';
import { MOSQUITTO } from './contenders/mosquitto-bridge.ts';
import { barePublisher } from './limits/bare-publisher.ts';
import { groupCommit } from './limits/group-commit.ts';

const ARRIVAL_LIMIT_MS = 20_000;
const CENTRAL_ONLY = 'rabbitmq-mqtt-central';
const NOWHERE = 'bare-aedes';
/** Differs from the one with a quorum queue by one word, and takes 12 s. */
const TWIN = 'rabbitmq-shovel-classic';

let central: Central;

beforeAll(async () => {
  central = await Central.start(join(tmpdir(), `tidegate-central-${process.pid}`));
});

afterAll(() => central.stop());

/** Publishes one message with the counter; resolves with its PUBACK. */
async function publish({ mqttPort }: RunningContender, counter: number): Promise<void> {
  const to = ['-h', '127.0.0.1', '-p', `${mqttPort}`, '-i', 'c1', '-V', '311', '-q', '1'];
  const what = ['-t', 'devices/c1/telemetry/bench', '-m', `c1 ${counter} xx`];
  await promisify(execFile)('mosquitto_pub', [...to, ...what]);
}

async function started(name: string, uplinkUrl: string, queue: string): Promise<RunningContender> {
  const dir = join(await tempDir('contender'), 'box');
  await mkdir(dir);
  return contender(name).start({ dir, central, uplinkUrl, queue });
}

async function newQueue(): Promise<CentralQueue> {
  const queue = await central.queue();
  onTestFinished(() => queue.remove());
  return queue;
}

const onTheBox = contenders
  .map(({ name }) => name)
  .filter((name) => ![CENTRAL_ONLY, NOWHERE, TWIN].includes(name))
  .filter((name) => name !== 'mosquitto-bridge' || existsSync(MOSQUITTO));

test.each(onTheBox)(
  '%s acknowledges while the uplink is cut, and brings that and what comes later to the central queue in order',
  async (name) => {
    const queue = await newQueue();
    const uplink = await central.cutUplink();
    const running = await started(name, uplink.url, queue.name);
    onTestFinished(() => running.stop());
    await publish(running, 1);
    expect(await queue.count()).toBe(0);
    await uplink.open();
    await queue.holds(1, ARRIVAL_LIMIT_MS);
    await publish(running, 2);
    await queue.holds(2, ARRIVAL_LIMIT_MS);

    expect(await queue.verify({ c1: 2 }, { c1: 2 })).toMatchObject({ received: 2, reordered: 0 });
    const { cpuSeconds, residentBytes } = await usageOf(running.pids);
    expect(cpuSeconds).toBeGreaterThan(0);
    expect(residentBytes).toBeGreaterThan(0);
  },
);

test('the MQTT plugin of the central broker brings a message to the central queue', async () => {
  const queue = await newQueue();
  const running = await started(CENTRAL_ONLY, central.url, queue.name);
  await publish(running, 1);
  await queue.holds(1, ARRIVAL_LIMIT_MS);
  expect(running.pids).toEqual([]);
});

test('bare aedes acknowledges', async () => {
  const running = await started(NOWHERE, central.url, 'none');
  onTestFinished(() => running.stop());
  await publish(running, 1);
});

test('the bare publisher brings the messages of the load process to the central queue, also paced', async () => {
  const queue = await newQueue();
  const options = { url: central.url, messages: 101, payloadBytes: 200, window: 10 };
  const fast = await barePublisher(queue.name, options);
  expect(await queue.count()).toBe(101);
  await queue.verify(fast.sentBy, fast.sentBy);

  const paced = await barePublisher(queue.name, { ...options, ratePerSecond: 500 });
  await queue.verify(paced.sentBy, paced.sentBy);
  expect(paced.seconds).toBeGreaterThan(0.19);
  expect(paced.confirmMs.p99).toBeGreaterThan(0);
});

test('group commit writes', async () => {
  const dir = await tempDir('group-commit');
  expect(await groupCommit({ dir, durationMs: 100, payloadBytes: 200, batch: 10 })).toBeGreaterThan(
    0,
  );
});
