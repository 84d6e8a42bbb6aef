import { expect, test } from 'vitest';
import { applyEnvironment } from './environment.ts';
import { loadConfig } from './load.ts';

test('A variable sets its key, whatever the case of its name', () => {
  const config = loadConfig({
    env: { TIDEGATE__STORE__PATH: '/data', tidegate__Mqtt__maxPAYLOADbytes: '1MiB' },
  });
  expect(config.store.path).toBe('/data');
  expect(config.mqtt.maxPayloadBytes).toBe(1024 ** 2);
});

test('The environment wins over the file and leaves its neighbours alone', () => {
  const { tree } = applyEnvironment(
    { store: { path: 'a', maxBytes: 1 } },
    { TIDEGATE__STORE__PATH: 'b' },
  );
  expect(tree).toEqual({ store: { path: 'b', maxBytes: 1 } });
});

test('A list entry goes by its index, and an absent list starts from its default', () => {
  const config = loadConfig({
    env: {
      TIDEGATE__AMQP__URLS__1: 'amqp://second',
      TIDEGATE__MQTT__LISTENERS__0__PORT: '0',
      TIDEGATE__MAPPINGS__0__FILTER: 'devices/#',
    },
  });
  expect(config.amqp.urls).toEqual(['amqp://guest:guest@127.0.0.1:5672', 'amqp://second']);
  expect(config.mqtt.listeners).toEqual([{ host: '127.0.0.1', port: 0 }]);
  expect(config.mappings[0]).toMatchObject({ name: 'telemetry', filter: 'devices/#' });
});

test('The default of a list is not changed for later loads', () => {
  loadConfig({ env: { TIDEGATE__MQTT__LISTENERS__0__PORT: '7' } });
  expect(loadConfig({ env: {} }).mqtt.listeners[0]?.port).toBe(1883);
});

test('Entry 2 comes before entry 10', () => {
  const names = Array.from({ length: 12 }, (_, index) => `TIDEGATE__AMQP__URLS__${index}`);
  const env = Object.fromEntries(names.map((name, index) => [name, `amqp://broker-${index}`]));
  expect(loadConfig({ env }).amqp.urls[11]).toBe('amqp://broker-11');
});

test('Values are YAML: booleans, numbers, flow collections', () => {
  const config = loadConfig({
    env: {
      TIDEGATE__ADMIN__ENABLED: 'false',
      TIDEGATE__DELIVERY__WINDOW: '{ maxMessages: 5 }',
      TIDEGATE__AMQP__URLS: '[amqp://one, amqp://two]',
    },
  });
  expect(config.admin.enabled).toBe(false);
  expect(config.delivery.window.maxMessages).toBe(5);
  expect(config.amqp.urls).toEqual(['amqp://one', 'amqp://two']);
});

test.each([
  ['#', '#'],
  ['123', '123'],
  ['a: b #c', 'a: b #c'],
  ['"quoted"', 'quoted'],
])('A text needs no quotes: %s', (given, meant) => {
  expect(loadConfig({ env: { TIDEGATE__STORE__PATH: given } }).store.path).toBe(meant);
});

test('Faults name the variable, all of them at once, and no value', () => {
  const env = {
    TIDEGATE__LOG__LEVL: 'geheim',
    TIDEGATE__ADMIN__PORT: 'geheim',
    TIDEGATE__AMQP__URLS__5: 'geheim',
    TIDEGATE__AMQP__URLS__FIRST: 'geheim',
    TIDEGATE__STORE__PATH__X: 'geheim',
    TIDEGATE__MAPPINGS__1__NAME: 'second',
  };
  let text = '';
  try {
    loadConfig({ env });
  } catch (error) {
    text = String(error);
  }
  for (const line of [
    'environment TIDEGATE__LOG__LEVL: log: unknown key "LEVL"; did you mean "level"?',
    'environment TIDEGATE__ADMIN__PORT: admin.port: expected number, received string',
    'environment TIDEGATE__AMQP__URLS__5: amqp.urls: has 1 entries; the next index is 1',
    'environment TIDEGATE__AMQP__URLS__FIRST: amqp.urls: "FIRST" is not an index',
    'environment TIDEGATE__STORE__PATH__X: store.path: unknown key "X"',
    'environment TIDEGATE__MAPPINGS__1__NAME: mappings[1].filter: is missing',
  ])
    expect(text).toContain(line);
  expect(text).not.toContain('geheim');
});

test('Other variables of the same beginning are none of ours', () => {
  expect(() => loadConfig({ env: { TIDEGATE_HOME: 'x', TIDEGATE: 'y' } })).not.toThrow();
});
