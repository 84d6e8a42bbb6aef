import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import {
  brokerChannel,
  EXAMPLE_LIMIT,
  runConsumer,
  startExampleGateway,
} from '../helpers/example.ts';
import { scrape } from '../helpers/scrape.ts';
import { tempDir } from '../helpers/temp-dir.ts';

test('the priority example gets the highest first of what waits, and the oldest of that', async () => {
  const gateway = await startExampleGateway('priority');
  const sent = [1, 0, 9, 1, 5, 9];
  for (const [index, priority] of sent.entries()) {
    await gateway.publish(`devices/d7/events/${priority}`, `event ${index}`);
  }
  await gateway.publish('devices/d7/events/high', 'no number');
  const consumer = await runConsumer('priority/consumer.mjs');
  await eventually(() => expect(consumer.lines()).toHaveLength(sent.length), EXAMPLE_LIMIT);
  expect(consumer.lines()).toEqual([
    '9 event 2',
    '9 event 5',
    '5 event 4',
    '1 event 0',
    '1 event 3',
    '0 event 1',
  ]);
  const metrics = await scrape(gateway.adminPort);
  expect(metrics.get('tidegate_lane_parked_messages{lane="events"}')).toBe(1);
});

test('the expiry example answers what is still valid, and finds the rest in the dead letter queue', async () => {
  const gateway = await startExampleGateway('expiry');
  const channel = await brokerChannel();
  const [short, long] = [
    { validMs: 100, ask: 'open' },
    { validMs: 600_000, ask: 'close' },
  ];
  await gateway.publish('devices/d7/requests', short);
  await gateway.publish('devices/d7/requests', long);
  await eventually(
    async () => expect((await channel.checkQueue('requests.expired')).messageCount).toBe(1),
    EXAMPLE_LIMIT,
  );
  const server = await runConsumer('expiry/consumer.mjs');
  const expired = await runConsumer('expiry/consumer.mjs', '--queue', 'requests.expired');
  await eventually(() => expect(server.lines()).toHaveLength(1), EXAMPLE_LIMIT);
  await eventually(() => expect(expired.lines()).toHaveLength(1), EXAMPLE_LIMIT);
  expect(server.lines()).toEqual([`answered: ${JSON.stringify(long)}`]);
  expect(expired.lines()).toEqual([`expired in requests: ${JSON.stringify(short)}`]);
});

test('the stream example is replayed from the start by each reader, or from any offset', async () => {
  const gateway = await startExampleGateway('stream');
  for (const value of [10, 11, 12]) await gateway.publish('devices/d7/telemetry/temp', `${value}`);
  const all = ['0 10', '1 11', '2 12'];
  const first = await runConsumer('stream/consumer.mjs');
  await eventually(() => expect(first.lines()).toEqual(all), EXAMPLE_LIMIT);
  const again = await runConsumer('stream/consumer.mjs');
  await eventually(() => expect(again.lines()).toEqual(all), EXAMPLE_LIMIT);
  const behind = await runConsumer('stream/consumer.mjs', '--offset', '2');
  const fresh = await runConsumer('stream/consumer.mjs', '--offset', 'next');
  await gateway.publish('devices/d7/telemetry/temp', '13');
  await eventually(() => expect(behind.lines()).toEqual(['2 12', '3 13']), EXAMPLE_LIMIT);
  await eventually(() => expect(fresh.lines()).toEqual(['3 13']), EXAMPLE_LIMIT);
  await eventually(() => expect(first.lines()).toEqual([...all, '3 13']), EXAMPLE_LIMIT);
});

/** The message-ids of a run by seq, from the line about its first message. */
function idsOfRun(firstLine: string | undefined): (seq: number) => string {
  const head = /^done (example\/meters\/1-[0-9a-f]{16}\.)1$/.exec(firstLine ?? '')?.[1];
  if (head === undefined) throw new Error(`no first message in "${firstLine}"`);
  return (seq) => `${head}${seq}`;
}

test('the idempotent example does a message once, though it comes again, also after a crash in the midst of it', async () => {
  const gateway = await startExampleGateway('idempotent');
  const channel = await brokerChannel();
  const file = join(await tempDir('counts'), 'counts.jsonl');
  const args = ['--file', file];
  const before = await runConsumer('idempotent/consumer.mjs', ...args);
  await gateway.publish('meters/m1/count', '7');
  await gateway.publish('meters/m1/count', '7'); // not the same message
  await eventually(() => expect(before.lines()).toHaveLength(2), EXAMPLE_LIMIT);
  const idOf = idsOfRun(before.lines()[0]);
  /** As the gateway would: the same message-id. */
  const deliverAgain = (seq: number): unknown =>
    channel.publish('meters', 'm1', Buffer.from('-'), { messageId: idOf(seq) });
  const done = (seq: number): string => `done ${idOf(seq)}`;
  const again = (seq: number): string => `again ${idOf(seq)}`;
  expect(before.lines()).toEqual([1, 2].map(done));
  deliverAgain(1);
  await eventually(() => expect(before.lines().at(-1)).toBe(again(1)), EXAMPLE_LIMIT);
  await before.kill();
  await appendFile(file, '{"messageId":"example/me'); // killed while it wrote

  deliverAgain(2);
  await gateway.publish('meters/m1/count', '8');
  const after = await runConsumer('idempotent/consumer.mjs', ...args);
  await eventually(
    // Two publishers: which of the two the broker has first is open.
    () => expect(after.lines().slice(-2).sort()).toEqual([again(2), done(3)]),
    EXAMPLE_LIMIT,
  );
  const effects = (await readFile(file, 'utf8')).trim().split('\n');
  expect(effects.map((line) => JSON.parse(line))).toEqual(
    ['7', '7', '8'].map((count, index) => ({ messageId: idOf(index + 1), count })),
  );
});

test('the idempotent example keeps no more ids in memory than it is told to', async () => {
  const gateway = await startExampleGateway('idempotent');
  const channel = await brokerChannel();
  const file = join(await tempDir('counts'), 'counts.jsonl');
  const consumer = await runConsumer('idempotent/consumer.mjs', '--file', file, '--remember', '2');
  for (const count of ['1', '2', '3']) await gateway.publish('meters/m1/count', count);
  await eventually(() => expect(consumer.lines()).toHaveLength(3), EXAMPLE_LIMIT);
  const idOf = idsOfRun(consumer.lines()[0]);
  for (const seq of [2, 1]) {
    channel.publish('meters', 'm1', Buffer.from('-'), { messageId: idOf(seq) });
  }
  await eventually(() => expect(consumer.lines()).toHaveLength(5), EXAMPLE_LIMIT);
  expect(consumer.lines().slice(3)).toEqual([`again ${idOf(2)}`, `done ${idOf(1)}`]);
});
