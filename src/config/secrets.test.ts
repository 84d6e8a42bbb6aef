import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { loadConfig } from './load.ts';
import { redact } from './redact.ts';
import { expandSecrets } from './secrets.ts';

/** Written apart, so that the lint rule for forgotten template strings keeps its use elsewhere. */
function reference(kind: 'env' | 'file', name: string): string {
  return `$\{${kind}:${name}}`;
}

function secretFile(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidegate-secret-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'password');
  writeFileSync(file, text);
  return file;
}

test('References inside a text are filled in from the environment and from a file without its last line end', () => {
  const file = secretFile('pa ss\n');
  const url = `amqp://${reference('env', 'WHO')}:${reference('file', file)}@h`;
  expect(expandSecrets({ urls: [url] }, { WHO: 'me' }).tree).toEqual({
    urls: ['amqp://me:pa ss@h'],
  });
});

test('A reference in a key stays, and so does what a secret looks like itself', () => {
  const key = reference('env', 'A');
  expect(expandSecrets({ [key]: key }, { A: reference('env', 'B'), B: 'b' }).tree).toEqual({
    [key]: reference('env', 'B'),
  });
});

test('A missing secret is one fault, which names the reference and where it is used', () => {
  const env = {
    TIDEGATE__AMQP__URLS__0: reference('env', 'NOWHERE'),
    TIDEGATE__STORE__PATH: reference('file', '/nowhere/x'),
  };
  expect(() => loadConfig({ env })).toThrow(
    [
      `environment TIDEGATE__AMQP__URLS__0: amqp.urls[0]: ${reference('env', 'NOWHERE')}: this environment variable is not set`,
      `environment TIDEGATE__STORE__PATH: store.path: ${reference('file', '/nowhere/x')}: this file cannot be read (ENOENT)`,
    ].join('\n'),
  );
});

test('A shown config has no password and no secret', () => {
  const config = loadConfig({
    env: {
      TIDEGATE__AMQP__URLS: `["amqp://me:ge%2Fhe@im@h:1/v", "amqps://me:${reference('env', 'S')}@h", "amqp://h"]`,
      TIDEGATE__STORE__PATH: reference('env', 'S'),
      S: 'geheim',
    },
  });
  expect(config.store.path).toBe('geheim');
  const shown = redact(config);
  expect(shown).toMatchObject({
    amqp: { urls: ['amqp://me:***@h:1/v', 'amqps://me:***@h', 'amqp://h'] },
    store: { path: reference('env', 'S'), maxBytes: config.store.maxBytes },
  });
  expect(JSON.stringify(shown)).not.toMatch(/geheim|he@im/);
});
