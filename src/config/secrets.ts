import { readFileSync } from 'node:fs';
import type { ConfigPath } from './json-schema.ts';

/** Other placeholders, such as the captures in a routing key, are none of ours. */
const REFERENCE = /\$\{(env|file):([^}]*)\}/g;

/** A reference that leads nowhere. */
export interface SecretFault {
  readonly path: ConfigPath;
  readonly message: string;
}

/** What `expandSecrets` made. */
export interface Expanded {
  /** A copy of the tree with all references replaced by what they stand for. */
  readonly tree: unknown;
  /** Texts that hold a reference, as they were written, by `JSON.stringify` of their path. */
  readonly templates: ReadonlyMap<string, string>;
  readonly faults: readonly SecretFault[];
}

/**
 * Replaces `${env:NAME}` and `${file:PATH}` in all text values, not in keys. Line ends at the end of a file
 * are left out. What is put in is not looked at again.
 */
export function expandSecrets(tree: unknown, env: NodeJS.ProcessEnv): Expanded {
  const templates = new Map<string, string>();
  const faults: SecretFault[] = [];
  const expandText = (text: string, path: ConfigPath): string =>
    text.replace(REFERENCE, (reference, kind: string, name: string) => {
      templates.set(JSON.stringify(path), text);
      const found = kind === 'env' ? fromEnvironment(name, env) : fromFile(name);
      if (found.value === undefined) faults.push({ path, message: `${reference}: ${found.fault}` });
      return found.value ?? reference;
    });
  const expand = (value: unknown, path: ConfigPath): unknown => {
    if (typeof value === 'string') return expandText(value, path);
    if (Array.isArray(value)) return value.map((item, index) => expand(item, [...path, index]));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, expand(item, [...path, key])]),
    );
  };
  return { tree: expand(tree, []), templates, faults };
}

interface Found {
  readonly value?: string;
  readonly fault?: string;
}

function fromEnvironment(name: string, env: NodeJS.ProcessEnv): Found {
  const value = env[name];
  return value === undefined ? { fault: 'this environment variable is not set' } : { value };
}

function fromFile(path: string): Found {
  try {
    return { value: readFileSync(path, 'utf8').replace(/[\r\n]+$/, '') };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
    return { fault: `this file cannot be read (${code})` };
  }
}
