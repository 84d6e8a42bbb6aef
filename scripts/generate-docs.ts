import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { configJsonSchema } from '../src/config/json-schema.ts';
import { configReference } from './config-reference.ts';

const ROOT = new URL('../', import.meta.url);

/** Files that are made from the config schema, by their path from the root of the project. */
export function generatedFiles(): ReadonlyMap<string, string> {
  const schema = { ...configJsonSchema(), title: 'Tidegate configuration' };
  return new Map([
    ['config/tidegate.schema.json', `${JSON.stringify(schema, null, 2)}\n`],
    ['docs/configuration.md', configReference(configJsonSchema())],
  ]);
}

/** The generated files whose content on disk is not what it should be. */
export function staleFiles(): string[] {
  return [...generatedFiles()]
    .filter(([path, text]) => textOn(path) !== text)
    .map(([path]) => path);
}

function textOn(path: string): string | undefined {
  try {
    return readFileSync(new URL(path, ROOT), 'utf8');
  } catch {
    return undefined;
  }
}

function main(args: readonly string[]): void {
  if (args.includes('--check')) {
    const stale = staleFiles();
    for (const path of stale) console.error(`${path} is stale: run npm run docs`);
    process.exitCode = stale.length > 0 ? 1 : 0;
    return;
  }
  for (const [path, text] of generatedFiles()) writeFileSync(new URL(path, ROOT), text);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.slice(2));
