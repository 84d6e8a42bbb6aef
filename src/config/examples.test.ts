import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
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
