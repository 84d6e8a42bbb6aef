import { connect } from 'amqplib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../helpers/free-port.ts';
import { type RabbitNode, startRabbitNode } from '../helpers/rabbitmq-node.ts';
import { runCommand, tempFile } from '../helpers/run-command.ts';

let node: RabbitNode;

beforeAll(async () => {
  node = await startRabbitNode();
  const broker = await connect(node.url);
  const channel = await broker.createChannel();
  await channel.assertExchange('there', 'topic');
  await channel.assertQueue('there');
  await channel.bindQueue('there', 'there', '#');
  await broker.close();
});

afterAll(() => node.stop());

/** Findings of `check` for these mappings, each as `level mappings: text`, and its exit code. */
async function check(mappings: readonly object[], url: string, ...args: string[]) {
  const declare = false;
  const gaps = { exchange: { name: 'there', declare }, queues: [{ name: 'there' }] };
  const file = await tempFile({ amqp: { urls: [url] }, gaps, mappings });
  const { code, out } = await runCommand('check', '--config', file, '--json', ...args);
  const { findings, ...rest } = JSON.parse(out) as {
    findings: { level: string; mappings: string[]; text: string }[];
    ok: boolean;
    broker?: string;
    unreachable?: string;
  };
  const texts = findings.map(({ level, mappings: names, text }) => `${level} ${names}: ${text}`);
  return { code, texts, ...rest };
}

/** Messages in the queue that gets all of its exchange. */
async function messagesThere(): Promise<number> {
  const broker = await connect(node.url);
  const channel = await broker.createChannel();
  const { messageCount } = await channel.checkQueue('there');
  await broker.close();
  return messageCount;
}

const there = { name: 'there', type: 'topic', declare: false };

test('check tells what is missing at the broker and what would be declared, and changes nothing there', async () => {
  const mappings = [
    { name: 'fine', filter: 'a', exchange: there, queues: [{ name: 'there' }] },
    { name: 'gone', filter: 'b', exchange: { ...there, name: 'gone' }, queues: [{ name: 'gone' }] },
    { name: 'new', filter: 'c', exchange: { name: 'new' }, queues: [{ name: 'new' }] },
    {
      name: 'bound',
      filter: 'd',
      exchange: { name: 'there', arguments: { 'alternate-exchange': 'nowhere' } },
      queues: [{ name: 'there', type: 'classic', bindings: [{ exchange: 'nobody' }] }],
    },
  ];
  const { code, texts, broker } = await check(mappings, node.url);
  expect(texts).toEqual([
    'fault gone: exchange "gone" is not there, and "declare: false" leaves it to others',
    'fault gone: queue "gone" is not there, and "declare: false" leaves it to others',
    'note new: exchange "new" is not there; `run` declares it',
    'note new: queue "new" is not there; `run` declares it',
    'fault bound: exchange "nobody" is not there, and no mapping declares it',
    'fault bound: exchange "nowhere" is not there, and no mapping declares it',
  ]);
  expect(code).toBe(1);
  expect(broker).toContain('amqp://guest@');
  expect((await check(mappings, node.url)).texts, 'what was missing is still missing').toEqual(
    texts,
  );
  expect(await messagesThere()).toBe(0);
  expect((await check(mappings.slice(0, 1), node.url)).code).toBe(0);
});

test('check tells which rights the user lacks, for what is there and what is not', async () => {
  await node.ctl('add_user', 'site', 'secret');
  await node.ctl('set_permissions', 'site', '^may', '^may', '.*');
  const url = new URL(node.url);
  [url.username, url.password] = ['site', 'secret'];
  const mappings = [
    { name: 'may', filter: 'a', exchange: { name: 'may' }, queues: [{ name: 'may' }] },
    { name: 'not', filter: 'b', exchange: { name: 'not' }, queues: [{ name: 'there' }] },
  ];
  const { code, texts } = await check(mappings, url.href);
  expect(code).toBe(1);
  expect(texts).toEqual([
    'note may: exchange "may" is not there; `run` declares it',
    'note may: queue "may" is not there; `run` declares it',
    'fault not: exchange "not" may not be published to: the user has no write permission',
    'fault not: exchange "not" may not be declared: no configure permission; it is not there either',
    'fault not: queue "there" may not be declared: no configure permission; give it, or set "declare: false"',
    'fault gaps: exchange "there" may not be published to: the user has no write permission',
  ]);
  expect((await check(mappings, url.href)).texts).toEqual(texts);
});

test('check tells by its exit code that no broker is reached, and does not ask one offline', async () => {
  const url = `amqp://127.0.0.1:${await freePort()}`;
  const mappings = [{ name: 'a', filter: 'a', exchange: there }];
  const away = await check(mappings, url);
  expect(away).toMatchObject({ code: 3, unreachable: expect.stringContaining('ECONNREFUSED') });
  expect(await check(mappings, url, '--offline')).toMatchObject({ code: 0, texts: [] });
});

test('check tells all faults of a config, and counts warnings as such if it is told to', async () => {
  const faulty = [{ name: 'a', filter: 'a/#/b', exchange: there, routingKey: `\${nobody}` }];
  const { code, texts } = await check(faulty, node.url, '--offline');
  expect(code).toBe(1);
  expect(texts).toHaveLength(2);
  const mappings = ['a', 'b'].map((name) => ({ name, filter: 'a', exchange: there }));
  expect(await check(mappings, node.url, '--offline')).toMatchObject({
    code: 0,
    ok: true,
    texts: [expect.stringContaining('twice')],
  });
  const strict = await check(mappings, node.url, '--offline', '--strict');
  expect(strict).toMatchObject({ code: 1, ok: false });
  for (const wrong of [['check', '--nope'], ['run', '--nope'], ['nope'], []]) {
    expect(await runCommand(...wrong)).toMatchObject({ code: 2, out: '' });
  }
  expect(await runCommand('--version')).toMatchObject({ code: 0 });
  expect((await runCommand('check', '--config', '/nonexistent.yaml')).code).toBe(1);
});
