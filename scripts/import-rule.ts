import { dirname, join } from 'node:path/posix';

/** What a folder of src may import from other folders: any import, or `import type` only. Entries are folders or modules. */
interface Allowance {
  readonly any: readonly string[];
  readonly types?: readonly string[];
}

const ALLOWED: Readonly<Record<string, Allowance>> = {
  shared: { any: [] },
  config: { any: ['shared'] },
  mapping: { any: ['shared'], types: ['config'] },
  clock: { any: ['shared'], types: ['delivery/ports'] },
  delivery: { any: ['shared'], types: ['config'] },
  ingest: { any: ['mapping', 'delivery', 'payload', 'shared'], types: ['config'] },
  payload: { any: ['mapping', 'shared'], types: ['config', 'delivery/ports'] },
  mqtt: { any: ['shared'], types: ['config', 'ingest'] },
  store: { any: ['shared', 'delivery/ports'], types: ['config'] },
  amqp: { any: ['shared', 'delivery/ports', 'delivery/retry-schedule'], types: ['config'] },
  observe: { any: ['shared'], types: ['config', 'clock', 'delivery', 'store', 'amqp'] },
  dashboard: { any: ['shared'], types: ['config'] },
};

/** Put everything together, so they may import from all folders; no folder imports from them. */
const COMPOSERS: readonly string[] = ['cli', ''];

/** Packages of which one folder is the only importer, also of their types. */
const OWNERS: ReadonlyMap<string, string> = new Map([
  ['aedes', 'mqtt'],
  ['aedes-persistence', 'mqtt'],
  ['level', 'store/writer'],
  ['classic-level', 'store/writer'],
  ['amqplib', 'amqp'],
  ['ajv', 'payload'],
  ['jsonata', 'payload'],
]);

/** Modules that only their own folder may import. The handle of the database: whoever has it can write beside the writer. */
const PRIVATE: readonly string[] = ['store/writer/handle'];

/** An import that goes the wrong way. */
export interface Violation {
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

interface Import {
  readonly line: number;
  readonly specifier: string;
  readonly isTypeOnly: boolean;
}

/**
 * The imports of one file that break the rule. `path` is from the root of the project, with '/'.
 * It reads the text, not the syntax tree: an import that is written inside a comment or a string at the start
 * of a line counts too.
 */
export function findViolations(path: string, source: string): Violation[] {
  if (path.endsWith('.test.ts')) return [];
  return importsOf(source).flatMap(({ line, specifier, isTypeOnly }) => {
    const message = specifier.startsWith('.')
      ? relativeFault(path, join(dirname(path), specifier), isTypeOnly)
      : packageFault(path, specifier);
    return message === undefined ? [] : [{ line, message }];
  });
}

function importsOf(source: string): Import[] {
  const statement = /^[ \t]*(?:import|export)\b([^'";]*?)['"]([^'"\n]+)['"]/gm;
  const call = /\bimport\(\s*['"]([^'"\n]+)['"]/g;
  const lineAt = (index: number): number => source.slice(0, index).split('\n').length;
  const statements = [...source.matchAll(statement)]
    .filter(([, clause = '']) => clause.trim() === '' || /\bfrom\s*$/.test(clause))
    .map((match) => ({
      line: lineAt(match.index),
      specifier: match[2] ?? '',
      isTypeOnly: /^\s+type\b(?!\s+from)/.test(match[1] ?? ''),
    }));
  const calls = [...source.matchAll(call)].map((match) => ({
    line: lineAt(match.index),
    specifier: match[1] ?? '',
    isTypeOnly: false,
  }));
  return [...statements, ...calls];
}

function packageFault(path: string, specifier: string): string | undefined {
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  const owner = OWNERS.get(name);
  const isOwner = owner !== undefined && path.startsWith(`src/${owner}/`);
  if (owner === undefined || !path.startsWith('src/') || isOwner) return undefined;
  return `"${specifier}" may be imported in src/${owner} only`;
}

function relativeFault(path: string, target: string, isTypeOnly: boolean): string | undefined {
  const isInSrc = path.startsWith('src/');
  if (!target.startsWith('src/'))
    return isInSrc ? `src must not import from outside: ${target}` : undefined;
  if (!isInSrc)
    return path.startsWith('firmware-sim/')
      ? `firmware-sim must not share code with src: ${target}`
      : undefined;
  const isPrivate = PRIVATE.some((name) => target === `src/${name}.ts`);
  if (isPrivate && dirname(path) !== dirname(target))
    return `${target} may be imported in ${dirname(target)} only`;
  const from = folderOf(path);
  const to = folderOf(target);
  if (from === to || COMPOSERS.includes(from)) return undefined;
  const allowance = ALLOWED[from];
  if (allowance === undefined) return `src/${from} has no entry in the import rule`;
  if (covers(allowance.any, target)) return undefined;
  if (!covers(allowance.types ?? [], target)) return `src/${from} must not import ${target}`;
  return isTypeOnly ? undefined : `src/${from} may import ${target} by \`import type\` only`;
}

function covers(entries: readonly string[], target: string): boolean {
  return entries.some(
    (entry) => target === `src/${entry}.ts` || target.startsWith(`src/${entry}/`),
  );
}

/** Folder below src; empty for files in src itself. */
function folderOf(path: string): string {
  const parts = path.split('/');
  return parts.length > 2 ? (parts[1] ?? '') : '';
}
