import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ConfigError } from './faults.ts';
import { loadConfig } from './load.ts';

/** A file of its own for the calling test. */
function fileWith(text: string, name = 'gateway.yaml'): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidegate-config-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

/** The text of the refusal, without the folder of the test. */
function refusalOf(text: string, env: NodeJS.ProcessEnv = {}): string[] {
  const file = fileWith(text);
  try {
    loadConfig({ file, env });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    expect(error.code).toBe('CONFIG_INVALID');
    return error.message.replaceAll(file, 'gateway.yaml').split('\n');
  }
  return [];
}

test('Without a file the config is the defaults', () => {
  const config = loadConfig({ env: {} });
  expect(config.gateway.id).toBe(hostname());
  expect(config.mqtt.listeners).toEqual([{ host: '127.0.0.1', port: 1883 }]);
  expect(config.mqtt.maxPayloadBytes).toBe(256 * 1024);
  expect(config.store).toEqual({
    path: './data',
    maxBytes: 2 * 1024 ** 3,
    reserveBytes: 64 * 1024 ** 2,
    ballastBytes: 16 * 1024 ** 2,
  });
  expect(config.amqp.urls).toEqual(['amqp://guest:guest@127.0.0.1:5672']);
  expect(config.delivery).toMatchObject({
    mode: 'adaptive',
    spillAfterMs: 250,
    directAfterMs: 1000,
    window: { maxMessages: 1000, maxBytes: 8 * 1024 ** 2 },
  });
  expect(config.mappings).toEqual([
    {
      name: 'telemetry',
      filter: '#',
      exchange: { name: 'telemetry', type: 'topic', declare: true },
      queues: [],
      onUnroutable: 'park',
      onReject: 'retry',
    },
  ]);
  expect(config.admin).toEqual({ enabled: true, host: '127.0.0.1', port: 9180 });
});

test('An empty file and a file of comments are the defaults too', () => {
  const defaults = loadConfig({ env: {} });
  expect(loadConfig({ file: fileWith(''), env: {} })).toEqual(defaults);
  expect(loadConfig({ file: fileWith('# nothing yet\n'), env: {} })).toEqual(defaults);
});

test('Sizes are numbers or texts, and numbers when loaded', () => {
  const file = fileWith('store: { maxBytes: 3GiB, reserveBytes: 10MB, ballastBytes: 4096 }\n');
  expect(loadConfig({ file, env: {} }).store).toMatchObject({
    maxBytes: 3 * 1024 ** 3,
    reserveBytes: 10_000_000,
    ballastBytes: 4096,
  });
});

test('All faults are told at once, each at its line and column', () => {
  const text = [
    'gateway: { id: a/b }',
    'mqtt:',
    '  listeners:',
    '    - { host: 127.0.0.1, prot: 1883 }',
    '    - port: 99999',
    '  maxPayloadBytes: 5 bananas',
    'storage: {}',
    'amqp:',
    '  urls: ["http://broker"]',
    'mappings:',
    '  - name: a',
    '    filter: "#"',
    '    exchange: { name: x, type: tpic }',
    '  - name: a',
    '    exchange: {}',
  ].join('\n');
  expect(refusalOf(text)).toEqual([
    "gateway.yaml:1:16: gateway.id: expected 1 to 64 characters without '/' and control characters",
    'gateway.yaml:4:26: mqtt.listeners[0].prot: unknown key "prot"; did you mean "port"?',
    'gateway.yaml:5:13: mqtt.listeners[1].port: Too big: expected number to be <=65535',
    'gateway.yaml:6:20: mqtt.maxPayloadBytes: expected a size of 1 to 128MiB: a whole number of bytes, or text such as 64KiB, 10MB or 2GiB',
    'gateway.yaml:7:1: storage: unknown key "storage"; did you mean "store"?',
    'gateway.yaml:9:10: amqp.urls[0]: expected a URL such as amqp://user:password@host:5672',
    'gateway.yaml:13:32: mappings[0].exchange.type: expected one of "topic"|"direct"|"fanout"|"headers"',
    'gateway.yaml:14:5: mappings[1].filter: is missing',
    'gateway.yaml:14:11: mappings[1].name: the name "a" is taken by an earlier mapping',
    'gateway.yaml:15:5: mappings[1].exchange.name: is missing',
  ]);
});

test('A key that is like no other is unknown without a suggestion', () => {
  expect(refusalOf('store: { temperature: 3 }')).toEqual([
    'gateway.yaml:1:10: store.temperature: unknown key "temperature"',
  ]);
});

test('A key that is given twice is a fault, beside the others', () => {
  expect(refusalOf('store:\n  path: a\n  path: b\nlog: { level: loud }\n')).toEqual([
    'gateway.yaml:3:3: the key "path" is given twice',
    'gateway.yaml:4:15: log.level: expected one of "trace"|"debug"|"info"|"warn"|"error"|"fatal"',
  ]);
});

test('A text that is no YAML is refused at the place where it stops to be', () => {
  expect(refusalOf('store:\n  path: "a\nlog: {}\n')[0]).toMatch(
    /^gateway\.yaml:4:1: not valid YAML: /,
  );
});

test.each(['*geheim', '!geheim x'])(
  'A password %s without quotes is a fault that does not show it',
  (value) => {
    const refusal = refusalOf(`store: { path: ${value} }`);
    expect(refusal).toHaveLength(1);
    expect(refusal[0]).toContain('in quotes');
    expect(refusal[0]).not.toContain('eheim');
  },
);

test('A fault of a value never shows the value', () => {
  const text =
    'amqp: { urls: ["http://u:geheim@h"], heartbeatMs: geheim }\nstore: { maxBytes: geheim }\n';
  const refusal = refusalOf(text);
  expect(refusal).toHaveLength(3);
  expect(refusal.join()).not.toContain('geheim');
});

test('A file that is not there is a fault that names it', () => {
  const file = fileWith('');
  expect(() => loadConfig({ file: `${file}.old`, env: {} })).toThrow(
    `${file}.old: cannot be read (ENOENT)`,
  );
});

test('Keys that must fit each other are checked', () => {
  const text =
    'mqtt: { maxPayloadBytes: 1MiB, maxPendingBytes: 64KiB }\namqp: { reconnect: { minMs: 500, maxMs: 100 } }\n';
  expect(refusalOf(text)).toEqual([
    'gateway.yaml:1:49: mqtt.maxPendingBytes: must be at least mqtt.maxPayloadBytes, or the largest payload never gets in',
    'gateway.yaml:2:41: amqp.reconnect.maxMs: must be at least minMs',
  ]);
});

test('A config is frozen to its leaves', () => {
  const config = loadConfig({
    file: fileWith('mappings: [{ name: a, filter: b, exchange: { name: c } }]'),
    env: {},
  });
  for (const part of [
    config,
    config.mqtt.listeners,
    config.mqtt.listeners[0],
    config.amqp.reconnect,
    config.mappings[0]?.exchange,
  ])
    expect(Object.isFrozen(part)).toBe(true);
});

test('Placeholders that are no secrets stay as they are', () => {
  const key = ['x.', '{device}'].join('$');
  const file = fileWith(
    `mappings: [{ name: a, filter: +device, exchange: { name: c }, routingKey: "${key}" }]`,
  );
  expect(loadConfig({ file, env: {} }).mappings[0]?.routingKey).toBe(key);
});

test('A further check puts its faults at their places, and runs only on a config that fits the schema', () => {
  const text = 'mappings:\n  - name: a\n    filter: a/#/b\n    exchange: { name: c }\n';
  const check = () => [{ path: ['mappings', 0, 'filter'], message: '# must come last' }];
  const file = fileWith(text);
  expect(() => loadConfig({ file, env: {}, check })).toThrow(
    `${file}:3:13: mappings[0].filter: # must come last`,
  );
  const bad = fileWith(`${text}log: { level: 3 }\n`);
  expect(() => loadConfig({ file: bad, env: {}, check })).not.toThrow('come last');
});

test('An id that would make a message-id too long is refused', () => {
  expect(refusalOf(`gateway: { id: ${'ä'.repeat(64)} }`)).toEqual([]);
  expect(refusalOf(`gateway: { id: ${'€'.repeat(64)} }`)).toEqual([
    'gateway.yaml:1:16: gateway.id: expected at most 128 bytes in UTF-8',
  ]);
});
