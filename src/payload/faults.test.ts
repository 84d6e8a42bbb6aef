import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { payloadFaults } from './faults.ts';
import { type RuleSource, ruleOf } from './rule.ts';

const MAPPING = { name: 'a', filter: '#' };
const CONTEXT = { gatewayId: 'g', maxBodyBytes: 10 };

function fileWith(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidegate-schema-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'schema.json');
  writeFileSync(file, text);
  return file;
}

/** Path and message of each fault, the mapping being the second of two. */
function faultsOf(keys: Partial<RuleSource>): string[] {
  return payloadFaults([MAPPING, { ...MAPPING, ...keys }]).map(
    ({ mapping, path, message }) => `${mapping} ${path.join('.')}: ${message}`,
  );
}

test('a mapping without checks has no rule and no faults', () => {
  expect(ruleOf(MAPPING, CONTEXT)).toBeUndefined();
  expect(faultsOf({})).toEqual([]);
});

test('a schema is taken from the config or from a file, and a frozen one is not touched', () => {
  const schema = Object.freeze({ type: 'object' });
  const inline = ruleOf({ ...MAPPING, payload: { schema } }, CONTEXT);
  const file = fileWith(JSON.stringify(schema));
  expect(inline).toMatchObject({ schema, timeoutMs: 250 });
  expect(ruleOf({ ...MAPPING, payload: { schema: file } }, CONTEXT)).toEqual(inline);
  expect(faultsOf({ payload: { schema } })).toEqual([]);
  expect(faultsOf({ payload: { schema: file } })).toEqual([]);
});

test.each([
  'http://json-schema.org/draft-07/schema#',
  'https://json-schema.org/draft/2019-09/schema',
])('a schema of %s is taken', ($schema) => {
  expect(faultsOf({ payload: { schema: { $schema, type: 'object' } } })).toEqual([]);
});

test('formats are annotations, so that a schema with them is taken', () => {
  expect(faultsOf({ payload: { schema: { type: 'string', format: 'date-time' } } })).toEqual([]);
});

test('what is wrong in a schema is told with its place in it', () => {
  const schema = { properties: { 'a/b': { type: 'nonsense' } } };
  const [fault] = faultsOf({ payload: { schema } });
  expect(fault).toMatch(/^1 payload\.schema\.properties\.a\/b\.type: not a valid JSON Schema/);
});

test.each([
  [{ requried: ['a'] }, /unknown keyword: "requried"/],
  [{ $ref: 'https://example.com/other.json' }, /can't resolve reference/],
  [{ type: 'string', pattern: '(' }, /[Ii]nvalid regular expression/],
  [{ $schema: 'http://json-schema.org/draft-04/schema#' }, /draft-04/],
])('the schema %o is refused', (schema, message) => {
  expect(faultsOf({ payload: { schema } })[0]).toMatch(message);
});

test('a file that is missing or no JSON is a fault of the schema', () => {
  const missing = faultsOf({ payload: { schema: '/nowhere/schema.json' } });
  expect(missing).toEqual([
    '1 payload.schema: the file /nowhere/schema.json cannot be read (ENOENT)',
  ]);
  const file = fileWith('{');
  expect(faultsOf({ payload: { schema: file } })).toEqual([
    `1 payload.schema: the file ${file} is not JSON`,
  ]);
});

test('a syntax fault of an expression is told with its position, and all are told', () => {
  const [when, transform] = faultsOf({ when: 'value >', transform: '{"a": }' });
  expect(when).toMatch(/^1 when: not valid JSONata at character \d+: /);
  expect(transform).toMatch(/^1 transform: not valid JSONata at character \d+: /);
});

test('a section that checks nothing is a fault', () => {
  expect(faultsOf({ payload: { timeoutMs: 100 } })[0]).toMatch(/^1 payload: checks nothing/);
});
