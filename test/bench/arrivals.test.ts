import { randomUUID } from 'node:crypto';
import { connect } from 'amqplib';
import { expect, onTestFinished, test } from 'vitest';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { CentralQueue } from './arrivals.ts';

const LIMIT_MS = 10_000;

/** A queue of its own with those payloads in it, all confirmed. */
async function queueOf(payloads: readonly string[]): Promise<CentralQueue> {
  const url = sharedAmqpUrl();
  const queue = await CentralQueue.declare(url, `arrivals-${randomUUID()}`);
  onTestFinished(() => queue.remove());
  const model = await connect(url);
  const channel = await model.createConfirmChannel();
  for (const payload of payloads) channel.sendToQueue(queue.name, Buffer.from(payload));
  await channel.waitForConfirms();
  await model.close();
  return queue;
}

function counted(client: string, count: number): string[] {
  return Array.from({ length: count }, (_, at) => `${client} ${at + 1} xxx`);
}

test('a queue counts a message no later than its confirm', async () => {
  const queue = await queueOf(counted('c1', 5_000));
  expect(await queue.count()).toBe(5_000);
  const since = performance.timeOrigin + performance.now();
  const atMs = await queue.holds(5_000, LIMIT_MS);
  expect(atMs).toBeGreaterThanOrEqual(since);
});

test('waiting for more than comes ends in an error that says how many are there', async () => {
  const queue = await queueOf(counted('c1', 2));
  await expect(queue.holds(3, 100)).rejects.toThrow('2 of 3 messages arrived within 0.1 s');
});

test('what was acknowledged has to be there, what was only sent may', async () => {
  const queue = await queueOf([...counted('c1', 3_000), ...counted('c2', 2)]);
  expect(await queue.verify({ c1: 3_000, c2: 1 }, { c1: 3_000, c2: 5 })).toEqual({
    received: 3_002,
    duplicated: 0,
    reordered: 0,
    missing: 0,
    unexpected: 0,
  });
  expect(await queue.count()).toBe(0);
});

test('copies and first copies that come late are counted, also copies behind the last message', async () => {
  const queue = await queueOf([
    ...['c1 1 x', 'c1 3 x', 'c1 2 x', 'c1 1 x', 'c1 4 x'],
    ...Array.from({ length: 3_000 }, () => 'c1 4 x'),
  ]);
  expect(await queue.verify({ c1: 4 }, { c1: 4 })).toMatchObject({
    received: 3_005,
    duplicated: 3_001,
    reordered: 1,
  });
  expect(await queue.count()).toBe(0);
});

test('an acknowledged message that is not there is an error', async () => {
  const queue = await queueOf(['c1 1 x', 'c1 3 x']);
  await expect(queue.verify({ c1: 3 }, { c1: 3 })).rejects.toThrow(
    '1 acknowledged messages missing',
  );
});

test.each([
  ['c1 3 x', 'a counter that was not sent'],
  ['c1 0 x', 'a counter before the first'],
  ['c9 1 x', 'a client that is not there'],
  ['', 'nothing in it'],
])('a message %j with %s is an error', async (payload) => {
  const queue = await queueOf(['c1 1 x', 'c1 2 x', payload]);
  await expect(queue.verify({ c1: 2 }, { c1: 2 })).rejects.toThrow('1 unexpected');
});
