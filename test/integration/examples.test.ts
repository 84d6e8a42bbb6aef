import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { type ConfirmChannel, connect } from 'amqplib';
import { expect, onTestFinished, test } from 'vitest';
import { exitOf, type ProcessExit, spawnOwned } from '../helpers/child-process.ts';
import { eventually } from '../helpers/eventually.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';

const LIMIT = { withinMs: 20_000 };

interface Example {
  readonly exited: Promise<ProcessExit>;
  lines(): string[];
  errors(): string;
  kill(): void;
}

/** Runs an example; resolves when it consumes. */
async function run(name: string, ...args: string[]): Promise<Example> {
  const file = fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));
  const child = spawnOwned(process.execPath, [file, ...args], {
    env: { PATH: process.env['PATH'], AMQP_URL: sharedAmqpUrl() },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stdout?.on('data', (text) => {
    output += text;
  });
  child.stderr?.on('data', (text) => {
    errors += text;
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  await eventually(() => expect(errors).toContain('consuming'), LIMIT);
  return {
    exited: exitOf(child),
    lines: () => output.split('\n').filter(Boolean),
    errors: () => errors,
    kill: () => child.kill('SIGKILL'),
  };
}

/** An exchange of this test's own, to be declared by the examples. */
async function broker(): Promise<{ exchange: string; queue: string; channel: ConfirmChannel }> {
  const name = `examples-${randomUUID()}`;
  const connection = await connect(sharedAmqpUrl());
  const channel = await connection.createConfirmChannel();
  onTestFinished(async () => {
    await channel.deleteQueue(name);
    await channel.deleteExchange(name);
    await connection.close();
  });
  return { exchange: name, queue: name, channel };
}

/** A quorum queue counts behind time. */
async function expectEmpty(channel: ConfirmChannel, queue: string): Promise<void> {
  await eventually(
    async () => expect(await channel.checkQueue(queue)).toMatchObject({ messageCount: 0 }),
    LIMIT,
  );
}

async function publish(channel: ConfirmChannel, exchange: string, texts: string[]): Promise<void> {
  for (const text of texts) {
    const options = {
      persistent: true,
      messageId: `id-${text}`,
      headers: { 'x-mqtt-topic': 'a/b' },
    };
    channel.publish(exchange, 'a.b', Buffer.from(text), options);
  }
  await channel.waitForConfirms();
}

test('copies of the work queue example share the messages, each done once', async () => {
  const { exchange, queue, channel } = await broker();
  const args = ['--exchange', exchange, '--queue', queue, '--binding', 'a.*', '--count', '3'];
  const copies = [await run('work-queue.mjs', ...args), await run('work-queue.mjs', ...args)];
  await publish(channel, exchange, ['1', '2', '3', '4', '5', '6']);
  for (const copy of copies) expect(await copy.exited).toEqual({ code: 0, signal: null });
  const readings = copies.flatMap((copy) => copy.lines().map((line) => JSON.parse(line).reading));
  expect(readings.sort()).toEqual([1, 2, 3, 4, 5, 6]);
  await expectEmpty(channel, queue);
});

test('the work queue example keeps messages while no copy runs, and goes on behind bad JSON', async () => {
  const { exchange, queue, channel } = await broker();
  const args = ['--exchange', exchange, '--queue', queue];
  const first = await run('work-queue.mjs', ...args);
  first.kill();
  await first.exited;
  await publish(channel, exchange, ['1', 'no JSON', '2']);
  const second = await run('work-queue.mjs', ...args, '--count', '3');
  expect(await second.exited).toEqual({ code: 0, signal: null });
  expect(second.lines()).toEqual([
    '{"messageId":"id-1","reading":1}',
    '{"messageId":"id-2","reading":2}',
  ]);
  expect(second.errors()).toContain('rejected id-no JSON');
  await expectEmpty(channel, queue);
});

test('each copy of the fan-out example gets all messages that its binding key matches', async () => {
  const { exchange, channel } = await broker();
  const all = await run('fan-out.mjs', '--exchange', exchange, '--count', '2');
  const copy = await run('fan-out.mjs', '--exchange', exchange, '--count', '2');
  const other = await run(
    'fan-out.mjs',
    '--exchange',
    exchange,
    '--binding',
    'other',
    '--count',
    '1',
  );
  await publish(channel, exchange, ['1', '2']);
  for (const { exited } of [all, copy]) expect(await exited).toEqual({ code: 0, signal: null });
  expect(all.lines()).toEqual(['a/b 1', 'a/b 2']);
  expect(copy.lines()).toEqual(all.lines());
  channel.publish(exchange, 'other', Buffer.from('3'));
  await other.exited;
  expect(other.lines()).toEqual(['other 3']);
});
