import { randomUUID } from 'node:crypto';
import type { ConfirmChannel, Options } from 'amqplib';
import { expect, test } from 'vitest';
import type { Topology } from '../../src/amqp/topology.ts';
import { startAmqpHold } from '../helpers/amqp-hold.ts';
import { operator, startConnection, startLane, take } from '../helpers/amqp-test-lane.ts';
import { eventually } from '../helpers/eventually.ts';
import { laneMessage } from '../helpers/publisher-recorder.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';

const PATIENCE = { withinMs: 30_000 };
const QUEUE_DECLARE = '50.10';
const CLASSIC = { type: 'classic' } as const;

/** Starts a lane on the shared broker with that topology. */
function lane(topology: Topology) {
  const { connection } = startConnection({ urls: [sharedAmqpUrl()] });
  return startLane(connection, topology);
}

/** What the lane is told of a message with that key and those headers. */
async function sent(
  { publisher, recorder }: ReturnType<typeof lane>,
  message: { seq: number; key: string; headers?: Readonly<Record<string, string | number>> },
): Promise<string | undefined> {
  const { seq, key, headers } = message;
  const amqp = headers === undefined ? {} : { amqp: { headers } };
  recorder.publish(publisher, laneMessage(seq, key, amqp));
  return (await recorder.answered(seq))?.kind;
}

/** The seqs that are in a queue, in order. */
async function seqsIn(channel: ConfirmChannel, queue: string): Promise<number[]> {
  const seqs: number[] = [];
  const { messageCount } = await channel.checkQueue(queue);
  for (let left = messageCount; left > 0; left--) {
    const { properties } = await take(channel, queue);
    seqs.push(Number(properties.headers?.['x-seq']));
  }
  return seqs;
}

const names = (...parts: string[]): string[] => parts.map((part) => `${part}-${randomUUID()}`);

test('a direct exchange takes a message to the queues that are bound with its key', async () => {
  const [x = '', a = '', b = ''] = names('direct', 'a', 'b');
  const started = lane({
    exchange: { name: x, type: 'direct', declare: true },
    queues: [
      { name: a, ...CLASSIC, bindings: [{ key: 'one' }, { key: 'two' }] },
      { name: b, ...CLASSIC, bindingKey: 'two' },
    ],
  });
  await started.recorder.told('open');
  expect(await sent(started, { seq: 1, key: 'one' })).toBe('confirmed');
  expect(await sent(started, { seq: 2, key: 'two' })).toBe('confirmed');
  expect(await sent(started, { seq: 3, key: 'three' })).toBe('returned');
  const channel = await operator(sharedAmqpUrl());
  expect(await seqsIn(channel, a)).toEqual([1, 2]);
  expect(await seqsIn(channel, b)).toEqual([2]);
});

test('a fanout exchange takes every message to all queues', async () => {
  const [x = '', a = '', b = ''] = names('fanout', 'a', 'b');
  const started = lane({
    exchange: { name: x, type: 'fanout', declare: true },
    queues: [
      { name: a, ...CLASSIC },
      { name: b, ...CLASSIC, bindingKey: 'never' },
    ],
  });
  await started.recorder.told('open');
  expect(await sent(started, { seq: 1, key: 'anything' })).toBe('confirmed');
  const channel = await operator(sharedAmqpUrl());
  expect([await seqsIn(channel, a), await seqsIn(channel, b)]).toEqual([[1], [1]]);
});

test('a topic exchange takes a message to a queue once, however many of its bindings match', async () => {
  const [x = '', a = ''] = names('topic', 'a');
  const started = lane({
    exchange: { name: x, type: 'topic', declare: true },
    queues: [{ name: a, ...CLASSIC, bindings: [{ key: 'd.*.t' }, { key: 'd.#' }, { key: 'e' }] }],
  });
  await started.recorder.told('open');
  for (const [seq, key] of ['d.1.t', 'd', 'e', 'd.1.t.x'].entries()) {
    expect(await sent(started, { seq, key })).toBe('confirmed');
  }
  expect(await sent(started, { seq: 9, key: 'f' })).toBe('returned');
  expect(await seqsIn(await operator(sharedAmqpUrl()), a)).toEqual([0, 1, 2, 3]);
});

test('a headers exchange takes a message to the queues whose arguments its headers meet', async () => {
  const [x = '', all = '', any = '', gateway = ''] = names('headers', 'all', 'any', 'gateway');
  const kind = { kind: 'alarm', level: 3 };
  const started = lane({
    exchange: { name: x, type: 'headers', declare: true },
    queues: [
      { name: all, ...CLASSIC, bindings: [{ arguments: { 'x-match': 'all', ...kind } }] },
      { name: any, ...CLASSIC, bindings: [{ arguments: { 'x-match': 'any', ...kind } }] },
      { name: gateway, ...CLASSIC, bindings: [{ arguments: { kind: 'from afar' } }] },
    ],
  });
  await started.recorder.told('open');
  expect(await sent(started, { seq: 1, key: '', headers: kind })).toBe('confirmed');
  expect(await sent(started, { seq: 2, key: '', headers: { level: 3, more: 'x' } })).toBe(
    'confirmed',
  );
  expect(await sent(started, { seq: 3, key: '', headers: { kind: 'from afar' } })).toBe(
    'confirmed',
  );
  expect(await sent(started, { seq: 4, key: '', headers: { kind: 'other', level: 4 } })).toBe(
    'returned',
  );
  const channel = await operator(sharedAmqpUrl());
  expect(await seqsIn(channel, all)).toEqual([1]);
  expect(await seqsIn(channel, any)).toEqual([1, 2]);
  expect(await seqsIn(channel, gateway)).toEqual([3]);
});

test('the default exchange takes a message to the queue of that name', async () => {
  const [a = '', b = ''] = names('a', 'b');
  const started = lane({
    exchange: { name: '', type: 'topic', declare: true },
    queues: [a, b].map((name) => ({ name, ...CLASSIC })),
  });
  await started.recorder.told('open');
  expect(await sent(started, { seq: 1, key: a })).toBe('confirmed');
  expect(await sent(started, { seq: 2, key: b })).toBe('confirmed');
  expect(await sent(started, { seq: 3, key: 'nobody' })).toBe('returned');
  const channel = await operator(sharedAmqpUrl());
  expect([await seqsIn(channel, a), await seqsIn(channel, b)]).toEqual([[1], [2]]);
});

test('exchanges are bound to exchanges, and an alternate exchange gets what no binding takes', async () => {
  const [x = '', audit = '', rest = '', a = '', b = '', c = ''] = names(
    'x',
    'y',
    'r',
    'a',
    'b',
    'c',
  );
  const started = lane({
    exchange: { name: x, type: 'topic', declare: true, arguments: { 'alternate-exchange': rest } },
    exchanges: [
      { name: audit, type: 'fanout', bindings: [{ key: 'alarm.#' }] },
      { name: rest, type: 'fanout', bindings: [] },
    ],
    queues: [
      { name: a, ...CLASSIC, bindingKey: '*.d1' },
      { name: b, ...CLASSIC, bindings: [{ exchange: audit }] },
      { name: c, ...CLASSIC, bindings: [{ exchange: rest }] },
    ],
  });
  await started.recorder.told('open');
  expect(await sent(started, { seq: 1, key: 'alarm.d1' })).toBe('confirmed');
  expect(await sent(started, { seq: 2, key: 'alarm.d2' })).toBe('confirmed');
  expect(await sent(started, { seq: 3, key: 'reading.d3' })).toBe('confirmed');
  const channel = await operator(sharedAmqpUrl());
  expect(await seqsIn(channel, a)).toEqual([1]);
  expect(await seqsIn(channel, b)).toEqual([1, 2]);
  expect(await seqsIn(channel, c)).toEqual([3]);

  await channel.unbindQueue(c, rest, '#');
  expect(await sent(started, { seq: 4, key: 'reading.d3' })).toBe('returned');
});

test('queue arguments are declared by their AMQP names', async () => {
  const [x = '', a = ''] = names('x', 'a');
  const given = {
    'x-message-ttl': 60_000,
    'x-max-length': 2,
    'x-max-length-bytes': 1_000_000,
    'x-overflow': 'reject-publish',
    'x-dead-letter-exchange': x,
    'x-dead-letter-routing-key': 'dead',
    'x-max-priority': 5,
    'x-single-active-consumer': true,
  };
  const started = lane({
    exchange: { name: x, type: 'topic', declare: true },
    queues: [{ name: a, ...CLASSIC, bindingKey: 'k', arguments: given }],
  });
  await started.recorder.told('open');
  const channel = await operator(sharedAmqpUrl());
  await channel.assertQueue(a, { arguments: { ...given, 'x-queue-type': 'classic' } }); // else 406
  expect(await sent(started, { seq: 1, key: 'k' })).toBe('confirmed');
  expect(await sent(started, { seq: 2, key: 'k' })).toBe('confirmed');
  expect(await sent(started, { seq: 3, key: 'k' })).toBe('nacked');
});

test('a queue or exchange that is there with another argument is refused, with both values and the cure', async () => {
  const [x = '', y = '', a = ''] = names('x', 'y', 'a');
  const channel = await operator(sharedAmqpUrl());
  const options: Options.AssertQueue = {
    arguments: { 'x-queue-type': 'classic', 'x-message-ttl': 1000 },
  };
  await channel.assertQueue(a, options);
  await channel.assertExchange(y, 'topic');

  const queues = [{ name: a, ...CLASSIC, arguments: { 'x-message-ttl': 500 } }];
  const ofQueue = lane({ exchange: { name: x, type: 'topic', declare: true }, queues });
  await eventually(() => expect(ofQueue.troubles).not.toEqual([]), PATIENCE);
  expect(ofQueue.troubles[0]).toMatchObject({ code: 'AMQP_TOPOLOGY_REFUSED' });
  expect(ofQueue.troubles[0]?.message).toContain(
    `queue "${a}" refused: x-message-ttl is 1000 at the broker and 500 in the config; give the config`,
  );
  expect(ofQueue.troubles[0]?.message).toContain('its messages go with it');

  const ofExchange = lane({ exchange: { name: y, type: 'fanout', declare: true }, queues: [] });
  await eventually(() => expect(ofExchange.troubles).not.toEqual([]), PATIENCE);
  expect(ofExchange.troubles[0]?.message).toContain(
    `exchange "${y}" refused: type is topic at the broker and fanout in the config`,
  );

  await channel.deleteQueue(a); // as the text says
  await ofQueue.recorder.told('open');
});

test('with "declare: false" nothing is made: all that is missing is named, and used when it is there', async () => {
  const [x = '', y = '', a = '', b = ''] = names('x', 'y', 'a', 'b');
  const started = lane({
    exchange: { name: x, type: 'topic', declare: false },
    exchanges: [{ name: y, type: 'fanout' }],
    queues: [
      { name: a, ...CLASSIC, arguments: { 'x-message-ttl': 1 } },
      { name: b, ...CLASSIC },
    ],
  });
  await eventually(() => expect(started.troubles).not.toEqual([]), PATIENCE);
  for (const name of [x, y, a, b]) {
    expect(started.troubles[0]?.message).toContain(
      `"${name}" is not usable and not ours to declare`,
    );
  }
  const channel = await operator(sharedAmqpUrl());
  await channel.assertExchange(x, 'headers'); // of another type, and the queues with other arguments
  await channel.assertExchange(y, 'direct');
  await channel.assertQueue(a);
  await eventually(() => {
    const last = started.troubles.at(-1)?.message ?? '';
    expect([a, b].map((name) => last.includes(name))).toEqual([false, true]);
  }, PATIENCE);
  await channel.assertQueue(b);
  await channel.bindQueue(b, x, '', { 'x-match': 'all' });
  await started.recorder.told('open');
  expect(await sent(started, { seq: 1, key: 'k' })).toBe('confirmed');
});

test('lanes that open together ask once for what they share, and one that is refused costs the others nothing', async () => {
  const [x = '', a = '', wrong = ''] = names('x', 'a', 'wrong');
  const proxy = await startAmqpHold(sharedAmqpUrl()); // holds nothing, only looks
  let declared = 0;
  proxy.holds = ({ id, frame }) => {
    if (id === QUEUE_DECLARE && frame.includes(a)) declared += 1;
    return false;
  };
  const { connection } = startConnection({ urls: [proxy.url] });
  const channel = await operator(sharedAmqpUrl());
  await channel.assertQueue(wrong, { arguments: { 'x-max-length': 1 } });
  const exchange = { name: x, type: 'topic', declare: true } as const;
  const shared = { exchange, queues: [{ name: a, ...CLASSIC, bindingKey: 'k' }] };
  const first = startLane(connection, shared);
  await first.recorder.told('open');
  const good = Array.from({ length: 20 }, () => startLane(connection, shared));
  const refused = startLane(connection, { exchange, queues: [{ name: wrong, ...CLASSIC }] });
  await Promise.all(good.map(({ recorder }) => recorder.told('open')));
  expect(declared).toBe(1);
  await eventually(() => expect(refused.troubles.length).toBeGreaterThan(1), PATIENCE);
  expect(refused.recorder.events).toEqual([]);
  for (const one of [first, ...good]) {
    expect(await sent(one, { seq: 1, key: 'k' })).toBe('confirmed');
    expect(one.recorder.events).toEqual(['open']);
  }
  expect(connection.state().reconnects).toBe(0);

  // What was trusted and is there no more is declared by whoever finds it missing.
  await channel.deleteExchange(x);
  const last = good.at(-1) ?? first;
  last.recorder.publish(last.publisher, laneMessage(2, 'k'));
  await last.recorder.told('open', 'closed', 'open');
  expect(await sent(last, { seq: 3, key: 'k' })).toBe('confirmed');
});
