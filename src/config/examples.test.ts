import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { compileMappings } from '../mapping/mapping.ts';
import { payloadFaults } from '../payload/faults.ts';
import { loadConfig } from './load.ts';

const FOLDER = new URL('../../config/', import.meta.url);

/** Values of one directive of the systemd unit. */
function directive(name: string): string[] {
  const unit = readFileSync(new URL('tidegate.service', FOLDER), 'utf8');
  return unit
    .split('\n')
    .filter((line) => line.startsWith(`${name}=`))
    .map((line) => line.slice(name.length + 1));
}

test('The example config is a config', () => {
  const config = loadConfig({ file: fileURLToPath(new URL('tidegate.yaml', FOLDER)), env: {} });
  expect(config.gateway.id).toBe('site-a');
  expect(config.mappings.map((mapping) => mapping.name)).toEqual(['telemetry', 'alarms']);
});

test('The examples of the page on mappings are configs', () => {
  const page = readFileSync(new URL('../../docs/mappings.md', import.meta.url), 'utf8');
  const examples = [...page.matchAll(/```yaml\n(.*?)```/gs)].map(([, text = '']) => text);
  const folder = mkdtempSync(join(tmpdir(), 'tidegate-examples-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const names = examples.flatMap((text, index) => {
    const file = join(folder, `${index}.yaml`);
    writeFileSync(file, text);
    const { mappings } = loadConfig({ file, env: {} });
    expect(payloadFaults(mappings)).toEqual([]);
    return compileMappings(mappings, 'site-a').map((mapping) => mapping.name);
  });
  expect(names).toEqual([
    'telemetry',
    'alarms',
    'rest',
    'readings',
    'commands',
    'alarms',
    'telemetry',
  ]);
});

test('The systemd unit gives the gateway the time and the open files that its defaults ask for', () => {
  const { shutdown, mqtt } = loadConfig({ env: {} });
  expect(Number(directive('TimeoutStopSec')[0]) * 1000).toBeGreaterThan(shutdown.timeoutMs);
  expect(Number(directive('LimitNOFILE')[0])).toBeGreaterThan(mqtt.maxConnections);
});

test('The systemd unit is hardened, but lets V8 compile', () => {
  const hardening = {
    DynamicUser: 'yes',
    NoNewPrivileges: 'yes',
    ProtectSystem: 'strict',
    ProtectHome: 'yes',
    PrivateTmp: 'yes',
    PrivateDevices: 'yes',
    RestrictAddressFamilies: 'AF_UNIX AF_INET AF_INET6',
    RestrictNamespaces: 'yes',
    LockPersonality: 'yes',
    CapabilityBoundingSet: '',
    UMask: '0077',
    Restart: 'always',
    StateDirectory: 'tidegate',
  };
  for (const [name, value] of Object.entries(hardening)) expect(directive(name)).toEqual([value]);
  expect(directive('SystemCallFilter')).toContain('@system-service');
  expect(directive('MemoryDenyWriteExecute')).toEqual([]);
});
