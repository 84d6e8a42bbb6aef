import { expect, test } from 'vitest';
import { runCommand, tempFile } from '../helpers/run-command.ts';

const CONFIG = {
  gateway: { id: 'site-a' },
  routing: { match: 'all' },
  mappings: [
    {
      name: 'telemetry',
      filter: 'devices/+device/telemetry/#metric',
      exchange: { name: 'telemetry' },
      routingKey: `\${device}.\${metric}`,
      properties: { contentType: 'application/json' },
      headers: { unit: `\${json:unit}`, user: `\${username}` },
    },
    { name: 'alarms', filter: 'devices/+/alarm', exchange: { name: 'alarms' } },
    {
      name: 'hot',
      filter: 'devices/#',
      exchange: { name: 'hot' },
      when: 'value > 30',
      transform: '{"degrees": value, "device": $client}',
    },
    { name: 'rest', filter: '#', exchange: { name: '' }, routingKey: 'rest' },
  ],
};
const TOPIC = 'devices/d7/telemetry/boiler/temp';

async function explain(payload: string, config: object, ...args: string[]) {
  const files = ['--payload', await tempFile(payload), '--config', await tempFile(config)];
  return runCommand('explain', TOPIC, ...files, ...args);
}

test('explain tells for each mapping whether it matches, and all that would be published', async () => {
  const { code, out } = await explain(
    '{"unit":"°C","value":31}',
    CONFIG,
    ...['--client', 'c1', '--username', 'ann', '--json'],
  );
  expect(code).toBe(0);
  const [telemetry, alarms, hot, rest] = JSON.parse(out).mappings;
  expect(telemetry).toMatchObject({
    mapping: 'telemetry',
    kind: 'takes',
    captures: { device: 'd7', metric: 'boiler/temp' },
    outcome: {
      kind: 'published',
      publish: {
        exchange: 'telemetry',
        routingKey: 'd7.boiler.temp',
        properties: { contentType: 'application/json', deliveryMode: 2, appId: 'tidegate' },
        headers: {
          ...{ unit: '°C', user: 'ann', 'x-mqtt-topic': TOPIC, 'x-client-id': 'c1' },
          ...{ 'x-gateway-id': 'site-a', 'x-lane': 'telemetry' },
        },
        bodyText: '{"unit":"°C","value":31}',
      },
    },
  });
  expect(alarms).toMatchObject({ kind: 'parts', why: 'level 3: "telemetry" is not "alarm"' });
  const body = JSON.parse(hot.outcome.publish.bodyText);
  expect(body).toEqual({ degrees: 31, device: 'c1' });
  expect(rest.outcome.publish).toMatchObject({ exchange: '', routingKey: 'rest' });
});

test('explain tells why a message would be parked, filtered, or is behind another mapping', async () => {
  const parked = await explain('{"value":1}', CONFIG);
  expect(parked.out).toContain(
    'parked: template_failed: headers.unit: json field "unit" is missing',
  );
  expect(parked.out).toMatch(/✗ hot.*\n.*filtered/);
  const first = await explain('{}', { ...CONFIG, routing: { match: 'first' } });
  expect(first.out).toMatch(/✗ rest.*\n.*telemetry is before it/);
});

test('explain tells that no mapping matches, that a config has faults, and that a topic name is none', async () => {
  const mappings = [{ name: 'other', filter: 'other/#', exchange: { name: 'other' } }];
  expect((await explain('', { mappings })).out).toContain('counted as unmatched');
  const faulty = await explain('', { mappings: [{ ...mappings[0], routingKey: `\${nobody}` }] });
  expect(faulty).toMatchObject({ code: 2, out: '', err: expect.stringContaining('nobody') });
  expect(await runCommand('explain', 'a/+')).toMatchObject({ code: 2, out: '' });
  expect(await runCommand('explain')).toMatchObject({ code: 2, out: '' });
});
