import { expect, test } from 'vitest';
import type { DeviceMessage } from '../shared/message.ts';
import { JsonPayload } from './json-payload.ts';
import {
  compileProperties,
  type PropertiesSpec,
  type PropertyTemplates,
  type RenderedProperties,
} from './message-properties.ts';
import { captureLevels, parseTopicFilter } from './topic-filter.ts';

const MESSAGE: DeviceMessage = {
  topic: 'devices/d.1/telemetry/a/b.c',
  payload: Buffer.from(
    '{"n":21.5,"i":-3,"yes":false,"text":"x","empty":"","p":7,"ttl":"060","none":null,"long":0}',
  ),
  qos: 1,
  dup: false,
  retain: false,
  clientId: 'client.7/x',
  username: 'ann',
  receivedAtMs: 1_700_000_000_123,
};

function compile(spec: PropertiesSpec): {
  readonly templates: PropertyTemplates | undefined;
  readonly faults: readonly string[];
} {
  const parsed = parseTopicFilter('devices/+device/telemetry/#metric');
  if (!parsed.ok) throw new Error('unreachable');
  const faults: string[] = [];
  const templates = compileProperties(
    spec,
    { ...parsed.filter, gatewayId: 'gate.1' },
    (path, text) => faults.push(`${path.join('.')}: ${text}`),
  );
  return { templates, faults };
}

function render(spec: PropertiesSpec, over: Partial<DeviceMessage> = {}): RenderedProperties {
  const { templates, faults } = compile(spec);
  expect(faults).toEqual([]);
  const message = { ...MESSAGE, ...over };
  const parsed = parseTopicFilter('devices/+device/telemetry/#metric');
  if (!parsed.ok || templates === undefined) throw new Error('nothing to render');
  const captures = captureLevels(parsed.filter, message.topic.split('/'));
  return templates.render({ message, captures, payload: new JsonPayload(message.payload) });
}

test.each([
  ['contentType', 'application/json', 'application/json'],
  ['contentEncoding', 'gzip', 'gzip'],
  ['type', `\${metric}`, 'a/b.c'],
  ['type', `\${topic}`, 'devices/d.1/telemetry/a/b.c'],
  ['correlationId', `\${device}-\${receivedAt}`, 'd.1-1700000000123'],
  ['replyTo', `replies.\${gateway}.\${client}`, 'replies.gate.1.client.7/x'],
  ['replyTo', `\${username}`, 'ann'],
  ['type', `\${json:n}`, '21.5'],
  ['type', `\${json:empty}`, ''],
  ['type', '', ''],
  ['type', '°'.repeat(127), '°'.repeat(127)],
  ['priority', '9', 9],
  ['priority', 0, 0],
  ['priority', 255, 255],
  ['priority', `\${json:p}`, 7],
  ['priority', `1\${json:p}`, 17],
  ['expiration', 60_000, '60000'],
  ['expiration', `\${json:ttl}`, '60'],
  ['expiration', `\${json:p}000`, '7000'],
  ['expiration', 4_294_967_295, '4294967295'],
])('The property %s of the template %j is %j', (name, source, value) => {
  expect(render({ properties: { [name]: source } })).toEqual({
    ok: true,
    properties: { [name]: value },
  });
});

test.each([
  ['plain text', 'plain text'],
  [`\${device}/\${metric}`, 'd.1/a/b.c'],
  [`\${json:n}`, 21.5],
  [`\${json:i}`, -3],
  [`\${json:yes}`, false],
  [`\${json:text}`, 'x'],
  [`\${json:n} °C`, '21.5 °C'],
  [`x\${json:yes}`, 'xfalse'],
  [`$\${json:n}`, `\${json:n}`],
  [12, 12],
  [0.5, 0.5],
  [true, true],
  ['12', '12'],
  ['true', 'true'],
  ['x'.repeat(300), 'x'.repeat(300)],
])('A header of %j is %j, with its type', (source, value) => {
  const rendered = render({ headers: { constructor: source, kind: source } });
  expect(rendered).toEqual({
    ok: true,
    properties: { headers: { constructor: value, kind: value } },
  });
});

test('Properties and headers come together; a mapping without them has none', () => {
  expect(render({ properties: { type: 't' }, headers: { a: 1 } })).toEqual({
    ok: true,
    properties: { type: 't', headers: { a: 1 } },
  });
  expect(compile({}).templates).toBeUndefined();
  expect(compile({ properties: {}, headers: {} }).templates).toBeUndefined();
});

test.each([
  [{ type: `\${json:gone}` }, 'template_failed', 'properties.type: json field "gone" is missing'],
  [{ type: `\${json:none}` }, 'template_failed', 'is null'],
  [{ priority: `\${json:gone}` }, 'template_failed', 'properties.priority: json field "gone"'],
  [{ priority: `\${json:n}` }, 'property_invalid', 'is "21.5", not a whole number from 0 to 255'],
  [{ priority: `\${json:i}` }, 'property_invalid', 'is "-3"'],
  [{ priority: `\${json:text}` }, 'property_invalid', 'is "x"'],
  [{ priority: `\${json:empty}` }, 'property_invalid', 'is ""'],
  [{ priority: `\${json:yes}` }, 'property_invalid', 'is "false"'],
  [{ priority: `25\${json:p}` }, 'property_invalid', 'is "257"'],
  [{ priority: `\${metric}` }, 'property_invalid', 'is "a/b.c"'],
  [{ expiration: `\${json:n}` }, 'property_invalid', 'not a whole number from 0 to 4294967295'],
  [{ expiration: `\${receivedAt}` }, 'property_invalid', 'is "1700000000123"'],
])(
  'A message that cannot have the property %j is none to publish: %s',
  (properties, reason, text) => {
    const detail = expect.stringContaining(text);
    expect(render({ properties })).toEqual({ ok: false, reason, detail, properties: {} });
  },
);

test('What fails to render leaves the others, for when the message is released', () => {
  const properties = { priority: `\${json:gone}`, type: 'reading' };
  const headers = { first: `\${json:gone}`, second: 2 };
  expect(render({ properties, headers })).toMatchObject({
    reason: 'template_failed',
    detail: expect.stringContaining('properties.priority'),
    properties: { type: 'reading', headers: { second: 2 } },
  });
});

test('What a device makes too long, or puts a NUL in, is none to publish', () => {
  const source = { properties: { type: `\${client}` } };
  const long = render(source, { clientId: '°'.repeat(128) });
  expect(long).toMatchObject({
    reason: 'property_invalid',
    detail: expect.stringContaining('256'),
  });
  expect(render(source, { clientId: 'a\0' })).toMatchObject({ reason: 'property_invalid' });
  const number = render(
    { properties: { priority: `\${client}` } },
    { clientId: '9'.repeat(9_000) },
  );
  expect(number.ok ? 0 : number.detail.length).toBeLessThan(150);
});

test('Headers that no frame takes are none to publish', () => {
  const headers = { a: `\${client}`, b: `\${client}\${client}` };
  expect(render({ headers }, { clientId: 'c'.repeat(20_000) })).toMatchObject({ ok: true });
  expect(render({ headers }, { clientId: 'c'.repeat(22_000) })).toMatchObject({
    reason: 'property_invalid',
    detail: expect.stringContaining('65536'),
  });
});

test('A header whose field or username is missing is none to publish', () => {
  const { username: _, ...anonymous } = MESSAGE;
  const rendered = [`\${json:gone}`, `a \${json:gone}`].map((kind) =>
    render({ headers: { kind } }),
  );
  for (const one of rendered) {
    expect(one).toMatchObject({
      reason: 'template_failed',
      detail: expect.stringMatching(/^headers\.kind: json field/),
    });
  }
  const { templates } = compile({ headers: { user: `\${username}` } });
  const input = {
    message: anonymous,
    captures: new Map(),
    payload: new JsonPayload(MESSAGE.payload),
  };
  expect(templates?.render(input)).toMatchObject({ reason: 'template_failed' });
});

test.each([
  [{ properties: { priority: 256 } }, 'properties.priority: "256" is no part of a whole number'],
  [{ properties: { priority: 'high' } }, 'properties.priority: "high"'],
  [{ properties: { priority: `p\${json:p}` } }, 'properties.priority: "p"'],
  [{ properties: { priority: '' } }, 'properties.priority: ""'],
  [{ properties: { expiration: -1 } }, 'properties.expiration: "-1"'],
  [{ properties: { expiration: 1.5 } }, 'properties.expiration: "1.5"'],
  [{ properties: { expiration: '60s' } }, 'properties.expiration: "60s"'],
  [{ properties: { expiration: 4_294_967_296 } }, 'from 0 to 4294967295'],
  [{ properties: { type: 'x'.repeat(256) } }, 'properties.type: has at least 256 bytes'],
  [{ properties: { type: `\${topic}${'x'.repeat(240)}` } }, 'properties.type: has at least 258'],
  [{ properties: { type: `\${devise}` } }, `did you mean "\${device}"?`],
  [{ properties: { type: 'a\0' } }, 'contains NUL'],
  [{ headers: { kind: `\${json:}` } }, `headers.kind: "\${json:}" has an empty field name`],
  [{ headers: { 'x-seq': 'mine' } }, 'headers.x-seq: is set by the gateway'],
  [{ headers: { CC: 'a' } }, 'headers.CC: is a list of routing keys for RabbitMQ'],
  [{ headers: { '': 'a' } }, 'the name has 0 bytes'],
  [{ headers: { ['°'.repeat(128)]: 'a' } }, 'the name has 256 bytes'],
  [{ headers: { ['__proto__']: 1 } }, 'headers.__proto__: cannot be sent'],
])('The spec %j is refused: %s', (spec, text) => {
  expect(compile(spec).faults).toEqual([expect.stringContaining(text)]);
});

test('Only what depends on the topic alone may be cached by topic', () => {
  const topicOnly = (spec: PropertiesSpec) => compile(spec).templates?.topicOnly;
  expect(topicOnly({ properties: { type: `\${topic}` }, headers: { a: 1, b: `\${device}` } })).toBe(
    true,
  );
  expect(topicOnly({ properties: { type: `\${client}` } })).toBe(false);
  expect(topicOnly({ properties: { type: 't' }, headers: { a: `\${json:n}` } })).toBe(false);
});
