import { expect, test } from 'vitest';
import { Checker } from './checker.ts';
import type { CheckResult, CheckTask } from './protocol.ts';
import type { PayloadRule } from './rule.ts';

const RULE: PayloadRule = {
  name: 'readings',
  filter: 'devices/+device/#metric',
  gatewayId: 'site-a',
  timeoutMs: 250,
  maxBodyBytes: 100,
};

/** What becomes of this payload under these keys of a mapping. */
function outcome(
  keys: Partial<PayloadRule>,
  payload: string | Buffer,
  task: Partial<CheckTask> = {},
): Promise<CheckResult> {
  return new Checker({ ...RULE, ...keys }).check({
    rule: 0,
    topic: 'devices/d.1/boiler/temp',
    payload: Buffer.from(payload),
    clientId: 'c1',
    receivedAtMs: 5,
    ...task,
  });
}

const SCHEMA = {
  type: 'object',
  required: ['value'],
  properties: { value: { type: 'number', maximum: 100 } },
};

test.each([
  ['{"value":1}', { kind: 'passed' }],
  ['{"value":101}', { reason: 'payload_invalid', detail: 'payload/value must be <= 100' }],
  ['{}', { reason: 'payload_invalid', detail: "payload must have required property 'value'" }],
  ['no json', { reason: 'payload_invalid', detail: 'the payload is not JSON' }],
  ['', { reason: 'payload_invalid', detail: 'the payload is not JSON' }],
])('under a schema the payload %s gives %o', async (payload, expected) => {
  expect(await outcome({ schema: SCHEMA }, payload)).toMatchObject(expected);
});

test('a payload that is not UTF-8 is no JSON', async () => {
  const payload = Buffer.from([0x22, 0xff, 0x22]);
  expect(await outcome({ when: 'true' }, payload)).toMatchObject({ reason: 'payload_invalid' });
});

test('a payload of 100 levels is checked, one of 101 is invalid, and brackets in text do not count', async () => {
  const nested = (levels: number) => `${'['.repeat(levels)}1${']'.repeat(levels)}`;
  expect(await outcome({ when: 'true' }, nested(100))).toEqual({ kind: 'passed' });
  expect(await outcome({ when: 'true' }, nested(101))).toMatchObject({
    reason: 'payload_invalid',
    detail: 'the payload is nested deeper than 100 levels',
  });
  const text = JSON.stringify(`\\"${'['.repeat(500)}`);
  expect(await outcome({ when: 'true' }, text)).toEqual({ kind: 'passed' });
});

test.each([
  ['value > 20', { kind: 'passed' }],
  ['value < 20', { kind: 'filtered' }],
  ['missing > 20', { kind: 'filtered' }],
  ['value', { reason: 'when_failed', detail: 'gives neither true nor false' }],
  ['$number("x") = 1', { reason: 'when_failed' }],
])('the condition %s for the value 21 gives %o', async (when, expected) => {
  expect(await outcome({ when }, '{"value":21}')).toMatchObject(expected);
});

test('an expression knows where the message is from', async () => {
  const transform =
    '[$topic, $client, $username, $gateway, $receivedAt, $capture.device, $capture.metric]';
  const expected = ['devices/d.1/boiler/temp', 'c1', 'ann', 'site-a', 5, 'd.1', 'boiler/temp'];
  expect(await outcome({ transform }, '{}', { username: 'ann' })).toEqual({
    kind: 'passed',
    body: JSON.stringify(expected),
  });
  expect(await outcome({ transform: '$username' }, '{}')).toEqual({ kind: 'filtered' });
});

test.each([
  ['{"t": value}', { kind: 'passed', body: '{"t":21}' }],
  ['value * 2', { kind: 'passed', body: '42' }],
  ['"é" & value', { kind: 'passed', body: 'é21' }],
  ['null', { kind: 'passed', body: 'null' }],
  ['missing', { kind: 'filtered' }],
  ['{"f": function($x) { $x }}', { reason: 'transform_failed', detail: 'gives a function' }],
  ['$sum', { reason: 'transform_failed', detail: 'gives a function' }],
  ['$pad("", 100, "x")', { kind: 'passed' }],
  [
    '$pad("", 101, "x")',
    { reason: 'transform_failed', detail: expect.stringContaining('101 bytes') },
  ],
  ['big', { reason: 'transform_failed', detail: expect.stringContaining('2^53') }],
  ['half', { reason: 'transform_failed', detail: expect.stringContaining('surrogate') }],
  ['value / 0', { reason: 'transform_failed' }],
  [
    '[1..200000]',
    { reason: 'transform_failed', detail: expect.stringContaining('maximum sequence length') },
  ],
])('the transform %s gives %o', async (transform, expected) => {
  const payload = '{"value":21,"big":9007199254740993,"half":"\\ud800"}';
  expect(await outcome({ transform }, payload)).toMatchObject(expected);
});

test('a message that the condition keeps out is not transformed', async () => {
  const keys = { when: 'value > 30', transform: '$error("no")' };
  expect(await outcome(keys, '{"value":21}')).toEqual({ kind: 'filtered' });
});
