import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { withoutRun } from '../helpers/message-id.ts';
import { createPayloadBench } from '../helpers/payload-bench.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const PATIENCE = { withinMs: 30_000 };

test('messages are checked, chosen and shaped by mapping, and one that takes payloads as they are gets all', async () => {
  const bench = await createPayloadBench();
  const filter = 'readings/+device/#metric';
  await bench.start({
    all: { filter },
    hot: {
      filter,
      payload: { schema: { required: ['value'], properties: { value: { type: 'number' } } } },
      when: 'value > 50',
      transform: '{ "celsius": value, "device": $capture.device, "from": $client }',
      routingKey: `\${device}.\${json:value}`,
    },
  });
  const device = await bench.device('d-7');
  const payloads = ['{"value":20}', '{"value":60}', '{"value":"60"}', 'no json', '{"value":70.5}'];
  for (const payload of payloads) {
    await device.publishAsync('readings/d7/boiler', payload, { qos: 1 });
  }
  await eventually(() => expect(bench.bodies('all')).toEqual(payloads), PATIENCE);
  await eventually(() => {
    expect(bench.bodies('hot')).toEqual([
      '{"celsius":60,"device":"d7","from":"d-7"}',
      '{"celsius":70.5,"device":"d7","from":"d-7"}',
    ]);
  }, PATIENCE);
  const keys = bench.received.get('hot')?.map(({ fields }) => fields.routingKey);
  expect(keys).toEqual(['d7.60', 'd7.70.5']); // of the payload as it arrived
  expect(await bench.parked('hot')).toBe(2);
  expect(await bench.refused('payload_invalid')).toBe(2);
  expect(await bench.refused('filtered')).toBe(1);
});

test('what a check parked is released when a mended config lets it pass, as it would have gone out', async () => {
  const bench = await createPayloadBench();
  const schema = join(await tempDir(), 'schema.json');
  await writeFile(schema, '{"properties":{"value":{"maximum":50}}}');
  const mapping = { payload: { schema }, transform: '{ "v": value }', routingKey: `\${device}` };
  const first = await bench.start({ readings: mapping });
  const device = await bench.device('d-7');
  for (const value of [60, 40, 70, 900]) {
    await device.publishAsync('readings/d7/boiler', JSON.stringify({ value }), { qos: 1 });
  }
  expect(await bench.parked('readings')).toBe(3);
  expect(await bench.release('readings')).toBe(0);
  expect(await bench.parked('readings')).toBe(3);

  await first.stop();
  await writeFile(schema, '{"properties":{"value":{"maximum":100}}}');
  await bench.start({ readings: mapping });
  expect(await bench.release('readings')).toBe(2);
  const bodies = ['{"v":40}', '{"v":60}', '{"v":70}'];
  await eventually(() => expect(bench.bodies('readings')).toEqual(bodies), PATIENCE);
  const messages = bench.received.get('readings') ?? [];
  expect(messages.map(({ fields }) => fields.routingKey)).toEqual(['d7', 'd7', 'd7']);
  const ids = messages.map(({ properties }) => withoutRun(properties.messageId));
  expect(ids).toEqual(['bench/readings/1.2', 'bench/readings/1.1', 'bench/readings/1.3']);
  expect(await bench.parked('readings')).toBe(1);
});

test('a schema or an expression with faults ends the start, and is told with its line', async () => {
  const bench = await createPayloadBench();
  const start = bench.start({
    readings: {
      payload: { schema: { properties: { value: { type: 'nmber' } } } },
      when: 'value >',
      transform: '{',
    },
    others: { payload: { schema: 'no-such-file.json' } },
  });
  const text = await start.then(
    () => '',
    (error) => String(error),
  );
  const line = (path: string, message: string): RegExp =>
    new RegExp(`config\\.yaml:\\d+:\\d+: mappings\\[${path}: ${message}`);
  expect(text).toMatch(
    line('0\\]\\.payload\\.schema\\.properties\\.value\\.type', 'not a valid JSON Schema'),
  );
  expect(text).toMatch(line('0\\]\\.when', 'not valid JSONata at character 7'));
  expect(text).toMatch(line('0\\]\\.transform', 'not valid JSONata at character 1'));
  expect(text).toMatch(
    line('1\\]\\.payload\\.schema', 'the file no-such-file.json cannot be read'),
  );
});
