import { randomUUID } from 'node:crypto';
import type { ConfirmChannel } from 'amqplib';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import {
  brokerChannel,
  EXAMPLE_LIMIT,
  runConsumer,
  startExampleGateway,
} from '../helpers/example.ts';
import { scrape } from '../helpers/scrape.ts';

const WORKER = 'work-queue/consumer.mjs';
const SUBSCRIBER = 'fan-out/consumer.mjs';
const TOPIC = 'devices/d7/telemetry/temp';
/** Longer than any test. */
const ENDLESS_MS = '3600000';

/** A quorum queue counts behind time. */
async function expectEmpty(channel: ConfirmChannel, queue: string): Promise<void> {
  await eventually(
    async () => expect(await channel.checkQueue(queue)).toMatchObject({ messageCount: 0 }),
    EXAMPLE_LIMIT,
  );
}

function readings(lines: string[]): number[] {
  return lines.map((line) => JSON.parse(line).reading);
}

test('copies of the work queue example share the messages, each done once', async () => {
  const gateway = await startExampleGateway('work-queue');
  const copies = [
    await runConsumer(WORKER, '--count', '3'),
    await runConsumer(WORKER, '--count', '3'),
  ];
  for (let value = 1; value <= 6; value++) await gateway.publish(TOPIC, String(value));
  for (const copy of copies) expect(await copy.exited).toEqual({ code: 0, signal: null });
  expect(copies.flatMap((copy) => readings(copy.lines())).sort()).toEqual([1, 2, 3, 4, 5, 6]);
  await expectEmpty(await brokerChannel(), 'telemetry-work');
});

test('what a killed worker has not finished goes to the other one', async () => {
  const gateway = await startExampleGateway('work-queue');
  const doomed = await runConsumer(WORKER, '--work', ENDLESS_MS);
  await gateway.publish(TOPIC, '1');
  const working = /working on example\/telemetry\/1-[0-9a-f]{16}\.1\b/;
  await eventually(() => expect(doomed.errors()).toMatch(working), EXAMPLE_LIMIT);
  const other = await runConsumer(WORKER);
  await gateway.publish(TOPIC, '2');
  await gateway.publish(TOPIC, '3');
  await eventually(() => expect(other.lines()).toHaveLength(1), EXAMPLE_LIMIT);
  expect(readings(other.lines())).not.toContain(1);
  await doomed.kill();
  await eventually(() => expect(readings(other.lines()).sort()).toEqual([1, 2, 3]), EXAMPLE_LIMIT);
  const [text] = working.exec(doomed.errors()) ?? [];
  expect(other.errors()).toContain(`${text}, not for the first time`);
  expect(doomed.lines()).toEqual([]);
});

test('the work queue example keeps messages while no copy runs, and goes on behind bad JSON', async () => {
  const gateway = await startExampleGateway('work-queue');
  for (const text of ['1', 'no JSON', '2']) await gateway.publish(TOPIC, text);
  const worker = await runConsumer(WORKER, '--count', '3');
  expect(await worker.exited).toEqual({ code: 0, signal: null });
  expect(readings(worker.lines())).toEqual([1, 2]);
  expect(worker.errors()).toMatch(/rejected example\/telemetry\/1-[0-9a-f]{16}\.2\b/);
  await expectEmpty(await brokerChannel(), 'telemetry-work');
});

test('the work queue example may be there before the gateway, with names of its own', async () => {
  const name = `examples-${randomUUID()}`;
  const channel = await brokerChannel();
  onTestFinished(async () => {
    await channel.deleteQueue(name);
    await channel.deleteExchange(name);
  });
  const names = ['--exchange', name, '--queue', name, '--binding', 'a.*'];
  const worker = await runConsumer(WORKER, ...names, '--count', '1');
  channel.publish(name, 'b', Buffer.from('1'));
  channel.publish(name, 'a.b', Buffer.from('2'), { messageId: 'id-2' });
  expect(await worker.exited).toEqual({ code: 0, signal: null });
  expect(worker.lines()).toEqual(['{"messageId":"id-2","reading":2}']);
});

test('each copy of the fan-out example gets every message, and a late one only what is new', async () => {
  const gateway = await startExampleGateway('fan-out');
  await gateway.publish(TOPIC, '1'); // to nobody
  const early = await runConsumer(SUBSCRIBER);
  await gateway.publish(TOPIC, '2');
  const late = await runConsumer(SUBSCRIBER, '--count', '1');
  await gateway.publish(TOPIC, '3');
  expect(await late.exited).toEqual({ code: 0, signal: null });
  expect(late.lines()).toEqual([`${TOPIC} 3`]);
  await eventually(() => expect(early.lines()).toHaveLength(2), EXAMPLE_LIMIT);
  expect(early.lines()).toEqual([`${TOPIC} 2`, `${TOPIC} 3`]);
  const metrics = await scrape(gateway.adminPort);
  expect(metrics.get('tidegate_lane_dropped_total{lane="live",reason="unroutable"}')).toBe(1);
  expect(metrics.get('tidegate_lane_parked_messages{lane="live"}')).toBe(0);
});
