import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { findViolations } from './import-rule.ts';

const ROOT = new URL('../', import.meta.url);
const FOLDERS = ['src', 'firmware-sim'];

const found = FOLDERS.flatMap((folder) =>
  readdirSync(fileURLToPath(new URL(folder, ROOT)), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
    .flatMap((path) => {
      const source = readFileSync(new URL(path, ROOT), 'utf8');
      return findViolations(path, source).map(({ line, message }) => `${path}:${line}: ${message}`);
    }),
);
for (const violation of found) console.error(violation);
process.exitCode = found.length > 0 ? 1 : 0;
