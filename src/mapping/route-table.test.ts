import fc from 'fast-check';
import { expect, test } from 'vitest';
import { GatewayError } from '../shared/errors.ts';
import type { DeviceMessage } from '../shared/message.ts';
import type { MappingFault, RouteSpec } from './mapping.ts';
import { compileRoutes, type RouteOptions, type RouteTable } from './route-table.ts';
import { matchTopic, parseTopicFilter } from './topic-filter.ts';

const GATEWAY = { gatewayId: 'gate' };

function message(topic: string, over: Partial<DeviceMessage> = {}): DeviceMessage {
  return {
    topic,
    payload: Buffer.from('{}'),
    qos: 1,
    dup: false,
    retain: false,
    clientId: 'c',
    receivedAtMs: 1,
    ...over,
  };
}

function mapping(name: string, filter: string, routingKey?: string): RouteSpec {
  return routingKey === undefined ? { name, filter } : { name, filter, routingKey };
}

/** `lane=key` for each route, `lane!reason` for those without. */
function routed(table: RouteTable, sent: DeviceMessage): string[] {
  return table
    .route(sent)
    .map(({ lane, key }) => (key.ok ? `${lane}=${key.routingKey}` : `${lane}!${key.reason}`));
}

const SITE: readonly RouteSpec[] = [
  mapping('all', '#'),
  mapping('telemetry', 'devices/+device/telemetry/#metric', `\${device}.\${metric}`),
  mapping('json', 'devices/+device/telemetry/#', `\${device}.\${json:kind}`),
  mapping('alarms', 'devices/+/alarm', 'alarm'),
  mapping('server', '$SYS/#', `\${gateway}.\${topic}`),
  mapping('proto', '__proto__/+a', `\${a}`),
  mapping('root', '/+x', `\${x}`),
  mapping('who', 'who', `\${client}`),
];

test.each([
  ['devices/d1/telemetry/a/b', ['all=devices.d1.telemetry.a.b', 'telemetry=d1.a.b', 'json=d1.t']],
  ['devices/d1/telemetry', ['all=devices.d1.telemetry', 'telemetry=d1.', 'json=d1.t']],
  ['devices/d.1/telemetry/x', ['all=devices.d/1.telemetry.x', 'telemetry=d/1.x', 'json=d/1.t']],
  ['devices/d1/alarm', ['all=devices.d1.alarm', 'alarms=alarm']],
  ['devices/d1/alarm/x', ['all=devices.d1.alarm.x']],
  ['devices//alarm', ['all=devices..alarm', 'alarms=alarm']],
  ['$SYS/up', ['server=gate.$SYS.up']],
  ['$SYS', ['server=gate.$SYS']],
  ['$other', []],
  ['__proto__', ['all=__proto__']],
  ['__proto__/__proto__', ['all=__proto__.__proto__', 'proto=__proto__']],
  ['constructor/toString', ['all=constructor.toString']],
  ['/', ['all=.', 'root=']],
  ['/é', ['all=.é', 'root=é']],
  ['who', ['all=who', 'who=c.1']],
  ['x'.repeat(255), [`all=${'x'.repeat(255)}`]],
  ['x'.repeat(256), ['all!routing_key_too_long']],
  ['é'.repeat(128), ['all!routing_key_too_long']],
  ['/'.repeat(65_535), ['all!routing_key_too_long']],
  ['a\0', ['all!template_failed']],
])('The topic %j goes its ways, also when it comes again (case %#)', (topic, expected) => {
  const table = compileRoutes(SITE, GATEWAY);
  const sent = message(topic, { clientId: 'c.1', payload: Buffer.from('{"kind":"t"}') });
  expect(routed(table, sent)).toEqual(expected);
  expect(routed(table, sent)).toEqual(expected);
});

test('All mappings that match get the message in their order; "first" gives the first of them', () => {
  const specs = ['#', 'a/#', 'a/b', 'x', 'a/+', '+/b', '+/+', '+/#'].map((f, i) =>
    mapping(`m${i}`, f),
  );
  const all = (s: readonly RouteSpec[]): string[] =>
    compileRoutes(s, GATEWAY)
      .route(message('a/b'))
      .map(({ lane }) => lane);
  expect(all(specs)).toEqual(['m0', 'm1', 'm2', 'm4', 'm5', 'm6', 'm7']);
  expect(all(specs.toReversed())).toEqual(['m7', 'm6', 'm5', 'm4', 'm2', 'm1', 'm0']);
  const first = compileRoutes(specs.slice(2), { ...GATEWAY, match: 'first' });
  expect(routed(first, message('a/b'))).toEqual(['m2=a.b']);
  expect(routed(first, message('nothing/at/all'))).toEqual(['m7=nothing.at.all']);
});

test('What depends on the message is rendered anew for each message of a cached topic', () => {
  const table = compileRoutes(
    [
      mapping('fixed', 't', 'k'),
      mapping('user', 't', `\${username}.\${receivedAt}`),
      mapping('json', 't', `\${json:a}`),
    ],
    GATEWAY,
  );
  const first = message('t', { username: 'ann', payload: Buffer.from('{"a":1}') });
  const second = message('t', { receivedAtMs: 2, payload: Buffer.from('{"a":2}') });
  const third = message('t', { username: 'bob', receivedAtMs: 3 });
  expect(routed(table, first)).toEqual(['fixed=k', 'user=ann.1', 'json=1']);
  expect(routed(table, second)).toEqual(['fixed=k', 'user!template_failed', 'json=2']);
  expect(routed(table, third)).toEqual(['fixed=k', 'user=bob.3', 'json!template_failed']);
  const long = message('t', { username: 'x'.repeat(300) });
  expect(routed(table, long)[1]).toBe('user!routing_key_too_long');
});

test('Properties are rendered with the key; what fails or does not fit makes the route one to park', () => {
  const table = compileRoutes(
    [
      { name: 'plain', filter: 'd/+dev', properties: { type: `\${dev}` }, headers: { n: 1 } },
      { name: 'json', filter: 'd/#', routingKey: 'k', properties: { priority: `\${json:p}` } },
      { name: 'mixed', filter: 'd/+dev', routingKey: `\${client}`, headers: { dev: `\${dev}` } },
      { name: 'none', filter: 'd/#' },
    ],
    GATEWAY,
  );
  const routes = (payload: string) =>
    table.route(message('d/x.y', { payload: Buffer.from(payload) }));
  const plain = { type: 'x.y', headers: { n: 1 } };
  const first = routes('{"p":1}');
  expect(first).toEqual([
    { lane: 'plain', key: { ok: true, routingKey: 'd.x/y' }, properties: plain },
    { lane: 'json', key: { ok: true, routingKey: 'k' }, properties: { priority: 1 } },
    { lane: 'mixed', key: { ok: true, routingKey: 'c' }, properties: { headers: { dev: 'x.y' } } },
    { lane: 'none', key: { ok: true, routingKey: 'd.x/y' } },
  ]);
  const second = routes('{"p":256}');
  expect(second[1]).toEqual({
    lane: 'json',
    key: {
      ok: false,
      reason: 'property_invalid',
      detail: expect.stringContaining('"256"'),
      routingKey: 'k',
      properties: {},
    },
  });
  expect(routes('{}')[1]).toMatchObject({ key: { reason: 'template_failed' } });
  expect(second[0]?.properties).toBe(first[0]?.properties); // cached: rendered once for the topic
  expect(second[2]?.properties).toBe(first[2]?.properties);
});

test('A compile reports all faults of all mappings in one error', () => {
  const long = 'x'.repeat(256);
  const specs = [
    mapping('good', '#'),
    mapping('both', 'a+/+device', `\${device}.\${devise}`),
    mapping('good', 'b'),
    mapping('literal', 'c', long),
    mapping('topic', `${long}/#`),
    mapping('gateway', 'd', `\${gateway}`),
    { name: 'property', filter: '+a', properties: { priority: `\${b}` }, headers: { 'x-seq': 1 } },
  ];
  let thrown: unknown;
  try {
    compileRoutes(specs, { gatewayId: 'g'.repeat(256) });
  } catch (error) {
    thrown = error;
  }
  if (!(thrown instanceof GatewayError)) throw new Error('no GatewayError was thrown');
  expect(thrown.code).toBe('CONFIG_INVALID');
  const faults = thrown.cause as readonly MappingFault[];
  expect(faults.map(({ mapping: name, path }) => [name, ...path])).toEqual([
    ['both', 'filter'],
    ['both', 'routingKey'],
    ['good', 'name'],
    ['literal', 'routingKey'],
    ['topic', 'routingKey'],
    ['gateway', 'routingKey'],
    ['property', 'properties', 'priority'],
    ['property', 'headers', 'x-seq'],
  ]);
  for (const fault of faults) expect(thrown.message).toContain(fault.message);
});

test('A filter as deep as MQTT allows is compiled and matched', () => {
  const depth = 32_768;
  const table = compileRoutes([mapping('deep', Array(depth).fill('+').join('/'), 'k')], GATEWAY);
  expect(routed(table, message('/'.repeat(depth - 1)))).toEqual(['deep=k']);
  expect(routed(table, message('/'.repeat(depth)))).toEqual([]);
});

/** Straight from the text of MQTT 3.1.1 §4.7, recursive, sharing nothing with the source. */
function naiveMatch(filter: string, topic: string): boolean {
  if (topic.startsWith('$') && (filter.startsWith('+') || filter.startsWith('#'))) return false;
  const meets = (f: readonly string[], t: readonly string[]): boolean => {
    const [head, ...rest] = f;
    if (head === undefined) return t.length === 0;
    if (head === '#') return true;
    if (t.length === 0) return false;
    return (head === '+' || head === t[0]) && meets(rest, t.slice(1));
  };
  return meets(filter.split('/'), topic.split('/'));
}

const text = fc.constantFrom('a', 'b', '', '$s', '.', '__proto__', 'é');
const topics = fc.array(text, { minLength: 1, maxLength: 5 }).map((levels) => levels.join('/'));
const filters = fc
  .tuple(fc.array(fc.oneof(text, fc.constant('+')), { maxLength: 5 }), fc.boolean())
  .map(([levels, open]) => [...levels, ...(open ? ['#'] : [])].join('/'))
  .filter((filter) => filter !== '');

test('The single filter matcher agrees with the naive one', () => {
  const property = fc.property(filters, topics, (filter, topic) => {
    const parsed = parseTopicFilter(filter);
    if (!parsed.ok) throw new Error(parsed.faults.join('; '));
    expect(matchTopic(parsed.filter, topic) !== undefined).toBe(naiveMatch(filter, topic));
  });
  fc.assert(property, { numRuns: 2_000 });
});

test('The table agrees with the single filter matcher, filter by filter', () => {
  const property = fc.property(fc.array(filters, { maxLength: 20 }), topics, (list, topic) => {
    const table = compileRoutes(
      list.map((filter, i) => mapping(`${i}`, filter, 'k')),
      GATEWAY,
    );
    const expected = list.flatMap((filter, i) => {
      const parsed = parseTopicFilter(filter);
      return parsed.ok && matchTopic(parsed.filter, topic) !== undefined ? [`${i}=k`] : [];
    });
    expect(routed(table, message(topic))).toEqual(expected);
  });
  fc.assert(property, { numRuns: 1_000 });
});

test('A cached answer is the uncached answer', () => {
  const keys = fc.constantFrom(
    undefined,
    'k',
    `\${topic}`,
    `\${client}`,
    `\${json:a}`,
    `\${username}.\${gateway}`,
  );
  const values = fc.constantFrom(`\${topic}`, `\${client}`, `\${json:a}`, '7');
  const more = fc.record(
    {
      properties: fc.record({ type: values, priority: values }, { requiredKeys: [] }),
      headers: fc.dictionary(fc.constantFrom('kind', 'constructor'), values),
    },
    { requiredKeys: [] },
  );
  const specs = fc.array(fc.tuple(filters, keys, more), { minLength: 1, maxLength: 6 });
  const sent = fc.record({
    topic: topics,
    clientId: text,
    payload: fc.constantFrom('{"a":1}', '{"a":"b"}', ''),
  });
  const property = fc.property(
    specs,
    fc.array(sent, { maxLength: 40 }),
    fc.integer({ min: 1, max: 12 }),
    fc.constantFrom('all', 'first'),
    (list, messages, cachedRoutes, match) => {
      const mappings = list.map(([filter, key, rest], i) => ({
        ...mapping(`${i}`, filter, key),
        ...rest,
      }));
      const options: RouteOptions = { ...GATEWAY, match };
      const cached = compileRoutes(mappings, { ...options, cachedRoutes });
      const uncached = compileRoutes(mappings, { ...options, cachedRoutes: 0 });
      for (const { topic, clientId, payload } of messages) {
        const one = message(topic, { clientId, payload: Buffer.from(payload) });
        expect(cached.route(one)).toEqual(uncached.route(one));
      }
    },
  );
  fc.assert(property, { numRuns: 300 });
});
