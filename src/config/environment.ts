import { parse } from 'yaml';
import { type ConfigFault, unknownKeyText } from './faults.ts';
import { type ConfigPath, keysAt, pathText, type SchemaNode, schemaAt } from './json-schema.ts';

/** Variables that set a key begin with it: `TIDEGATE__STORE__PATH`. */
const PREFIX = 'TIDEGATE__';

type Container = Record<string, unknown> | unknown[];

/** A key that a variable has set. */
export interface Override {
  readonly variable: string;
  readonly path: ConfigPath;
}

/** What `applyEnvironment` did. */
export interface Overridden {
  readonly tree: unknown;
  readonly overrides: readonly Override[];
  readonly faults: readonly ConfigFault[];
}

/**
 * Sets keys of a config tree from the environment, in place. Names match the keys in any case, list entries go
 * by index; an absent list starts from its default. Values are YAML, except that a text needs no quotes.
 */
export function applyEnvironment(tree: unknown, env: NodeJS.ProcessEnv): Overridden {
  const root: unknown = tree ?? {};
  const overrides: Override[] = [];
  const faults: ConfigFault[] = [];
  for (const variable of variablesOf(env)) {
    try {
      const path = pathOf(variable.slice(PREFIX.length).split('__'));
      const value = readValue(env[variable] ?? '', schemaAt(path));
      overrides.push({ variable, path });
      setAt(root, path, value);
    } catch (error) {
      if (!(error instanceof OverrideFault)) throw error;
      faults.push({ variable, path: pathText(error.path), message: error.message });
    }
  }
  return { tree: root, overrides, faults };
}

class OverrideFault extends Error {
  readonly path: ConfigPath;

  constructor(path: ConfigPath, message: string) {
    super(message);
    this.path = path;
  }
}

/** A section comes before its keys, entry 2 before entry 10. */
function variablesOf(env: NodeJS.ProcessEnv): string[] {
  return Object.keys(env)
    .filter((name) => name.toUpperCase().startsWith(PREFIX))
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
}

function pathOf(parts: readonly string[]): ConfigPath {
  const path: (string | number)[] = [];
  for (const part of parts) {
    const node = schemaAt(path);
    if (node?.items !== undefined) {
      if (!/^\d{1,6}$/.test(part)) throw new OverrideFault(path, `"${part}" is not an index`);
      path.push(Number(part));
      continue;
    }
    const known = keysAt(path).find((key) => key.toLowerCase() === part.toLowerCase());
    const isFree = typeof node?.additionalProperties === 'object';
    if (known === undefined && !isFree)
      throw new OverrideFault(path, unknownKeyText(part, keysAt(path)));
    path.push(known ?? part);
  }
  return path;
}

/** `#`, `123` or a password with `: ` in it are meant as they stand where the key is a text. */
function readValue(text: string, node: SchemaNode | undefined): unknown {
  const isText = node?.type === 'string';
  if (isText && !/^\s*["']/.test(text)) return text;
  try {
    const value: unknown = parse(text, { prettyErrors: false, logLevel: 'silent' });
    return isText && typeof value !== 'string' ? text : value;
  } catch {
    return text; // the schema then says what it wants to see
  }
}

function setAt(root: unknown, path: ConfigPath, value: unknown): void {
  let container = root;
  for (const [index, part] of path.entries()) {
    const here = path.slice(0, index);
    if (!isContainer(container))
      throw new OverrideFault(here, 'is not a section, so it has no keys');
    if (Array.isArray(container) && Number(part) > container.length)
      throw new OverrideFault(
        here,
        `has ${container.length} entries; the next index is ${container.length}`,
      );
    if (index === path.length - 1) put(container, part, value);
    else container = childOf(container, part, schemaAt([...here, part]));
  }
}

/** The child to go on in, made when it is not there yet. */
function childOf(
  container: Container,
  part: string | number,
  node: SchemaNode | undefined,
): unknown {
  const present: unknown = Reflect.get(container, part);
  if (present !== undefined && present !== null) return present;
  const isList = node?.items !== undefined;
  const made: unknown = isList ? structuredClone(node?.default ?? []) : {};
  put(container, part, made);
  return made;
}

function put(container: Container, part: string | number, value: unknown): void {
  Object.defineProperty(container, part, {
    value,
    writable: true,
    enumerable: true,
    configurable: true,
  });
}

function isContainer(value: unknown): value is Container {
  return typeof value === 'object' && value !== null;
}
