import { expect, test } from 'vitest';
import { configReference } from './config-reference.ts';
import { generatedFiles, staleFiles } from './generate-docs.ts';

test('The JSON Schema and the reference of the config are those of the present schema', () => {
  expect(staleFiles(), 'run npm run docs').toEqual([]);
});

test('The JSON Schema forbids unknown keys in each object', () => {
  const text = generatedFiles().get('config/tidegate.schema.json') ?? '';
  const open: string[] = [];
  JSON.parse(text, (key, value: unknown) => {
    const node = typeof value === 'object' && value !== null ? value : {};
    const isObject = 'properties' in node && 'type' in node && node.type === 'object';
    if (isObject && !('additionalProperties' in node && node.additionalProperties === false))
      open.push(key);
    return value;
  });
  expect(open).toEqual([]);
});

test('Each key of the reference has a meaning', () => {
  const rows = (generatedFiles().get('docs/configuration.md') ?? '')
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  expect(rows.length).toBeGreaterThan(40);
  expect(rows.filter((row) => /^\| `[^`]+` *\| *\|/.test(row))).toEqual([]);
});

test('A row tells unit, default and range', () => {
  const waitMs = { type: 'integer', description: 'Wait', default: 5, minimum: 1, maximum: 9 };
  const text = configReference({
    properties: { a: { properties: { waitMs: { ...waitMs, 'x-unit': 'ms' } } } },
  });
  expect(text).toMatch(/\| `a\.waitMs` +\| Wait +\| ms +\| `5` +\| 1 to 9 +\|/);
});
