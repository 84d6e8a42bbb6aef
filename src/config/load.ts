import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { applyEnvironment, type Override } from './environment.ts';
import { ConfigError, type ConfigFault, unknownKeyText } from './faults.ts';
import { type ConfigPath, keysAt, pathText } from './json-schema.ts';
import { rememberSecrets } from './redact.ts';
import { configSchema } from './schema.ts';
import { expandSecrets } from './secrets.ts';
import type { Config } from './types.ts';
import { readYaml, type YamlSource } from './yaml-source.ts';

/** A fault before it is known where it was written. */
export interface PlacedFault {
  readonly path: ConfigPath;
  readonly message: string;
}

/** Where to load from. */
export interface LoadOptions {
  /** YAML 1.2; without it the config is the defaults. */
  readonly file?: string;
  /** For `TIDEGATE__…` and `${env:NAME}`. */
  readonly env: NodeJS.ProcessEnv;
  /** Looks further into a config that fits the schema, such as into its filters and templates. */
  readonly check?: (config: Config) => readonly PlacedFault[];
}

/**
 * Reads, overrides from the environment, fills secrets in, checks, and freezes deeply. Has no other effect.
 * @throws {ConfigError} CONFIG_INVALID, with all faults at once; never shows a secret.
 */
export function loadConfig(options: LoadOptions): Config {
  const source = options.file === undefined ? undefined : readSource(options.file);
  if (source?.unclear) throw new ConfigError(source.faults);
  const { tree, overrides, faults } = applyEnvironment(source?.tree, options.env);
  const secrets = expandSecrets(tree, options.env);
  const parsed = configSchema.safeParse(secrets.tree);
  const unfilled = new Set(secrets.faults.map((fault) => pathText(fault.path)));
  const misfits = parsed.success
    ? (options.check?.(parsed.data) ?? [])
    : schemaFaults(parsed.error);
  const placed = [
    ...secrets.faults,
    ...misfits.filter((fault) => !unfilled.has(pathText(fault.path))),
  ].map((fault) => place(fault, { file: options.file, source, overrides }));
  const all = [...(source?.faults ?? []), ...faults, ...placed].sort(byPosition);
  if (!parsed.success || all.length > 0) throw new ConfigError(all);
  rememberSecrets(parsed.data, secrets.templates);
  return freezeDeeply(parsed.data);
}

function readSource(file: string): YamlSource {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
    throw new ConfigError([{ file, path: '', message: `cannot be read (${code})` }], error);
  }
  return readYaml(file, text);
}

/** One fault for each unknown key, at the key; others as zod words them, without its preamble. */
function schemaFaults(error: z.ZodError): PlacedFault[] {
  return error.issues.flatMap((issue) => {
    const path = issue.path.map((part) => (typeof part === 'number' ? part : String(part)));
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({
        path: [...path, key],
        message: unknownKeyText(key, keysAt(path)),
      }));
    const message = issue.message.endsWith('received undefined')
      ? 'is missing'
      : issue.message.replace(/^(Invalid input|Invalid option): /, '');
    return [{ path, message }];
  });
}

interface Origin {
  readonly file: string | undefined;
  readonly source: YamlSource | undefined;
  readonly overrides: readonly Override[];
}

/** Says where the value was written: in a variable, else in the file, else in a variable of its section. */
function place(fault: PlacedFault, origin: Origin): ConfigFault {
  const rest = { path: pathText(fault.path), message: fault.message };
  const setting = origin.overrides.findLast(({ path }) => startsWith(fault.path, path));
  if (setting !== undefined) return { variable: setting.variable, ...rest };
  const isKeyFault = fault.message.startsWith('unknown key');
  const located = origin.source?.locate(fault.path, isKeyFault ? 'key' : 'value');
  const section = fault.path.slice(0, -1);
  if (located === undefined || located.depth < section.length) {
    const maker = origin.overrides.find(({ path }) => startsWith(path, section));
    if (maker !== undefined) return { variable: maker.variable, ...rest };
  }
  if (origin.file === undefined || located === undefined) return rest;
  return { file: origin.file, line: located.line, column: located.column, ...rest };
}

function startsWith(path: ConfigPath, start: ConfigPath): boolean {
  return start.length <= path.length && start.every((part, index) => path[index] === part);
}

/** In the order of the file, then what comes from the environment. */
function byPosition(a: ConfigFault, b: ConfigFault): number {
  const line = (fault: ConfigFault): number => fault.line ?? Number.MAX_SAFE_INTEGER;
  return line(a) - line(b) || (a.column ?? 0) - (b.column ?? 0);
}

function freezeDeeply<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const child of Object.values(value)) freezeDeeply(child);
    Object.freeze(value);
  }
  return value;
}
