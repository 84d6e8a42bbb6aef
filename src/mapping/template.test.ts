import { expect, test } from 'vitest';
import type { DeviceMessage } from '../shared/message.ts';
import { JsonPayload } from './json-payload.ts';
import { compileTemplate, type Rendered, type Template } from './template.ts';
import { matchTopic, parseTopicFilter, type TopicFilter } from './topic-filter.ts';

const MESSAGE: DeviceMessage = {
  topic: 'devices/d.1/telemetry/a/b.c',
  payload: Buffer.from(
    JSON.stringify({
      kind: 'temp.c/x',
      n: 21.5,
      i: -3,
      yes: true,
      none: null,
      empty: '',
      big: 2 ** 53,
      huge: 1e300,
      list: ['x', { y: 'z' }],
      deep: { er: { est: '🌊' } },
      half: '\ud800',
    }).replace('"kind"', '"__proto__":{"own":"mine"},"kind"'),
  ),
  qos: 1,
  dup: false,
  retain: false,
  clientId: 'client.7/x',
  username: 'ann',
  receivedAtMs: 1_700_000_000_123,
};
const FILTER = 'devices/+device/telemetry/#metric';

function filterOf(source: string): TopicFilter {
  const parsed = parseTopicFilter(source);
  if (!parsed.ok) throw new Error(parsed.faults.join('; '));
  return parsed.filter;
}

function faultsOf(source: string, filter: string = FILTER): readonly string[] {
  const compiled = compileTemplate(source, { ...filterOf(filter), gatewayId: 'gate.1' });
  return compiled.ok ? [] : compiled.faults;
}

function compile(source: string, filter: string = FILTER): Template {
  const compiled = compileTemplate(source, { ...filterOf(filter), gatewayId: 'gate.1' });
  if (!compiled.ok) throw new Error(compiled.faults.join('; '));
  return compiled.template;
}

function render(source: string, over: Partial<DeviceMessage> = {}, filter = FILTER): Rendered {
  const message = { ...MESSAGE, ...over };
  const captures = matchTopic(filterOf(filter), message.topic);
  if (captures === undefined) throw new Error('the topic does not match');
  return compile(source, filter).render({
    message,
    captures,
    payload: new JsonPayload(message.payload),
  });
}

test.each([
  ['', ''],
  ['plain', 'plain'],
  ['a.b/c', 'a.b/c'],
  [`\${device}`, 'd/1'],
  [`\${metric}`, 'a.b/c'],
  [`\${device}.\${metric}`, 'd/1.a.b/c'],
  [`x\${device}y\${device}z`, 'xd/1yd/1z'],
  [`\${topic}`, 'devices.d/1.telemetry.a.b/c'],
  [`\${client}`, 'client.7/x'],
  [`\${username}`, 'ann'],
  [`\${gateway}`, 'gate.1'],
  [`\${receivedAt}`, '1700000000123'],
  [`\${json:kind}`, 'temp.c/x'],
  [`\${json:n}`, '21.5'],
  [`\${json:i}`, '-3'],
  [`\${json:yes}`, 'true'],
  [`\${json:empty}`, ''],
  [`\${json:huge}x`.replace('huge', 'list.0'), 'xx'],
  [`\${json:list.1.y}`, 'z'],
  [`\${json:deep.er.est}`, '🌊'],
  [`\${json:__proto__.own}`, 'mine'],
  [`$\${device}`, `\${device}`],
  [`$\${`, `\${`],
  [`$$\${device}`, `$\${device}`],
  ['$', '$'],
  ['$$', '$$'],
  ['a$b}c{', 'a$b}c{'],
  ['$ {device}', '$ {device}'],
  ['°C.🌊', '°C.🌊'],
])('The template %j renders %j', (source, text) => {
  expect(render(source)).toEqual({ ok: true, text });
});

test.each([
  ['devices/dev/telemetry/a/b', 'dev.a.b'],
  ['devices/dev/telemetry', 'dev.'],
  ['devices/dev/telemetry/', 'dev.'],
  ['devices/dev/telemetry//', 'dev..'],
  ['devices//telemetry/a', '.a'],
  ['devices/__proto__/telemetry/constructor', '__proto__.constructor'],
  ['devices/a b/telemetry/*', 'a b.*'],
])(`For the topic %j, "\${device}.\${metric}" renders %j`, (topic, text) => {
  expect(render(`\${device}.\${metric}`, { topic })).toEqual({ ok: true, text });
});

test('Captures may have the names of prototype members', () => {
  const rendered = render(
    `\${__proto__}-\${constructor}`,
    { topic: 'x/y' },
    '+__proto__/+constructor',
  );
  expect(rendered).toEqual({ ok: true, text: 'x-y' });
});

test.each([
  ['missing', 'json field "missing" is missing'],
  ['kind.deeper', 'is missing'],
  ['none.deeper', 'is missing'],
  ['none', 'is null'],
  ['deep', 'is not a string, number or boolean'],
  ['list', 'is not a string, number or boolean'],
  ['list.length', 'is missing'],
  ['list.2', 'is missing'],
  ['kind.length', 'is missing'],
  ['constructor.name', 'is missing'],
  ['toString', 'is missing'],
  ['big', 'is an integer beyond 2^53'],
  ['huge', 'is an integer beyond 2^53'],
  ['half', 'half a surrogate pair'],
])('The JSON field %j fails the render by value: %s', (path, detail) => {
  const expected = { ok: false, detail: expect.stringContaining(detail) };
  expect(render(`a.\${json:${path}}`)).toEqual(expected);
});

test.each([
  ['nothing', Buffer.alloc(0)],
  ['text', Buffer.from('21.5 °C')],
  ['cut off', Buffer.from('{"kind":')],
  ['not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
])('A payload that is no JSON (%s) fails the render by value', (_what, payload) => {
  expect(render(`\${json:kind}`, { payload })).toEqual({
    ok: false,
    detail: 'the payload is not JSON',
  });
});

test.each(['null', '1', '"text"', '[]'])('The JSON payload %s has no fields', (text) => {
  const rendered = render(`\${json:length}`, { payload: Buffer.from(text) });
  expect(rendered).toMatchObject({ ok: false, detail: expect.stringContaining('is missing') });
});

test('A message without a username fails the render by value', () => {
  const { username: _, ...anonymous } = MESSAGE;
  const input = {
    message: anonymous,
    captures: new Map(),
    payload: new JsonPayload(Buffer.alloc(0)),
  };
  expect(compile(`\${username}`).render(input).ok).toBe(false);
});

test('A payload is parsed only when a template asks, and once', () => {
  const payload = Buffer.from('{"a":"first"}');
  const json = new JsonPayload(payload);
  payload.write('{"a":"later"}');
  expect(json.read(['a'])).toEqual({ ok: true, value: 'later' });
  payload.write('{"a":"after"}');
  expect(json.read(['a'])).toEqual({ ok: true, value: 'later' });
});

test.each([
  [`\${devise}`, `did you mean "\${device}"?`],
  [`\${Metric}`, `did you mean "\${metric}"?`],
  [`\${ device }`, `did you mean "\${device}"?`],
  [`\${user}`, `did you mean "\${username}"?`],
  [`\${gatewayId}`, `did you mean "\${gateway}"?`],
  [`\${receivedAtMs}`, `did you mean "\${receivedAt}"?`],
  [`\${constructor}`, 'is unknown'],
  [`\${__proto__}`, 'is unknown'],
  [`\${}`, 'is unknown'],
  [`\${device`, 'close it'],
  [`\${json:}`, 'empty field name'],
  [`\${json:a..b}`, 'empty field name'],
  [`\${json:.a}`, 'empty field name'],
  ['a\0b', 'contains NUL'],
])('The template %j is refused: %s', (source, text) => {
  expect(faultsOf(source)).toEqual([expect.stringContaining(text)]);
});

test('All faults of a template are reported at once', () => {
  expect(faultsOf(`\${a}.\${b}.\${`)).toHaveLength(3);
});

test('A capture with a built-in name is refused where the template uses it, and only there', () => {
  expect(faultsOf(`\${topic}`, '+topic')).toEqual([expect.stringContaining('rename the capture')]);
  expect(faultsOf('plain', '+topic')).toEqual([]);
});

test.each([
  ['', 0, true],
  ['é', 2, true],
  [`\${device}.\${metric}`, 1, true],
  [`\${gateway}.x`, 8, true],
  [`\${topic}`, 'devices//telemetry'.length, true],
  [`\${client}.x`, 2, false],
  [`\${username}`, 0, false],
  [`\${receivedAt}`, 1, false],
  [`\${json:a}`, 0, false],
  [`$\${é`, 4, true],
])(
  'The template %j has at least %i bytes; depends on the topic only: %s',
  (source, bytes, topicOnly) => {
    expect(compile(source)).toMatchObject({ fixedBytes: bytes, topicOnly });
  },
);
