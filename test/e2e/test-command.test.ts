import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { runCommand, tempFile } from '../helpers/run-command.ts';

const EXAMPLES = new URL('../../config/', import.meta.url);

const CONFIG = {
  mappings: [
    {
      name: 'a',
      filter: 'devices/+device/#metric',
      exchange: { name: 'a' },
      routingKey: `\${device}.\${metric}`,
      properties: { type: 'reading' },
      headers: { unit: `\${json:unit}` },
    },
    { name: 'hot', filter: 'devices/#', exchange: { name: 'hot' }, when: 'value > 30' },
  ],
};
const TOPIC = 'devices/d7/temp';
const payload = { json: { unit: 'C', value: 1 } };

/** Differences of one case, whose message has the topic and the payload above unless it says otherwise. */
async function differencesOf(one: object): Promise<string[]> {
  const file = await tempFile({ cases: [{ topic: TOPIC, payload, ...one }] });
  const { out, code } = await runCommand(
    'test',
    file,
    '--config',
    await tempFile(CONFIG),
    '--json',
  );
  const { ok, cases } = JSON.parse(out) as {
    ok: boolean;
    cases: { differences: string[] }[];
  };
  const differences = cases[0]?.differences ?? [];
  expect({ ok, code }).toEqual(
    differences.length === 0 ? { ok: true, code: 0 } : { ok: false, code: 1 },
  );
  return differences;
}

test('the example cases hold for the example config', async () => {
  const [cases, config] = ['tidegate.cases.yaml', 'tidegate.yaml'].map((name) =>
    fileURLToPath(new URL(name, EXAMPLES)),
  );
  const { code, out } = await runCommand('test', String(cases), '--config', String(config));
  expect(out).toContain('3 cases, 0 failed');
  expect(code).toBe(0);
});

test('a case holds when all that it mentions is as it says', async () => {
  const lane = {
    lane: 'a',
    exchange: 'a',
    routingKey: 'd7.temp',
    properties: { type: 'reading', contentType: null },
    headers: { unit: 'C', 'x-mqtt-topic': TOPIC },
    body: payload,
  };
  expect(await differencesOf({ expect: [lane] })).toEqual([]);
  expect(await differencesOf({ expect: [{ lane: 'a' }, { lane: 'hot', filtered: true }] })).toEqual(
    [],
  );
  const parked = [
    { lane: 'a', parked: 'template_failed' },
    { lane: 'hot', parked: 'payload_invalid' },
  ];
  expect(await differencesOf({ payload: { base64: '/w==' }, expect: parked })).toEqual([]);
  expect(await differencesOf({ topic: 'other', expect: 'unmatched' })).toEqual([]);
});

test('what differs is told, each with what was expected and what is', async () => {
  const lane = {
    lane: 'a',
    exchange: 'b',
    routingKey: 'x',
    properties: { type: null },
    headers: { unit: 'F', more: 1 },
    body: { text: 'other' },
  };
  expect(await differencesOf({ expect: [lane] })).toEqual([
    'a: exchange: expected "b", is "a"',
    'a: routingKey: expected "x", is "d7.temp"',
    'a: properties.type: expected not set, is "reading"',
    'a: headers.unit: expected "F", is "C"',
    'a: headers.more: expected 1, is not set',
    String.raw`a: body: expected "other", is "{\"unit\":\"C\",\"value\":1}"`,
  ]);
  const hot = { payload: { json: { unit: 'C', value: 31 } } };
  expect(
    await differencesOf({ ...hot, expect: [{ lane: 'a', parked: 'template_failed' }] }),
  ).toEqual([
    'a: expected to be parked, is published to exchange "a" with the key "d7.temp"',
    'hot: not expected, is published to exchange "hot" with the key "devices.d7.temp"',
  ]);
  expect(await differencesOf({ expect: [{ lane: 'a' }, { lane: 'none' }] })).toEqual([
    'none: expected, but the mapping does not get the message',
  ]);
});

test('a file with faults is told with line and column, and is no failed case', async () => {
  const file = await tempFile('cases:\n  - topic: a/+\n    expect: unmatched\n    more: 1\n');
  const { code, out, err } = await runCommand('test', file);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toMatch(/:2:12: cases\[0\]\.topic: .*no topic name/);
  expect(err).toContain('"more"');
  expect((await runCommand('test', '/nonexistent.yaml')).code).toBe(2);
});
