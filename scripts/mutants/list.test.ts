import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { MUTANTS } from './list.ts';
import { mutated, occurrences } from './mutant.ts';

const ROOT = new URL('../../', import.meta.url);

function pathOf(file: string): string {
  return fileURLToPath(new URL(file, ROOT));
}

test.each(MUTANTS)('the mutant $name fits the source, and its tests are there', (mutant) => {
  const source = readFileSync(pathOf(mutant.file), 'utf8');
  expect(occurrences(source, mutant), `its text in ${mutant.file}`).toBe(1);
  expect(mutated(source, mutant)).not.toBe(source);
  expect(mutant.tests.filter(({ file }) => !existsSync(pathOf(file)))).toEqual([]);
  expect(mutant.tests).not.toHaveLength(0);
});

test('no two mutants have one name', () => {
  const names = MUTANTS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});

test('a mutant whose text is not there, or is there twice, does not fit', () => {
  const mutant = { name: 'm', breaks: '', file: 'f.ts', find: 'a()', replace: '$&', tests: [] };
  expect(() => mutated('b()', mutant)).toThrow('m no longer fits: its text occurs 0 times in f.ts');
  expect(() => mutated('a(); a()', mutant)).toThrow('2 times');
  expect(mutated('x; a();', mutant)).toBe('x; $&;');
});
