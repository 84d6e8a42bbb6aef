import { isDeepStrictEqual } from 'node:util';
import { type ConfigPath, pathText, schemaAt } from './config/json-schema.ts';
import type { Config } from './config/types.ts';

/** A mapping that stays, and its keys that differ. */
interface ChangedMapping {
  readonly mapping: string;
  readonly keys: readonly string[];
}

/** What a config changes of the one that runs. Holds keys and names, no values. */
export interface ReloadPlan {
  /** Names of mappings. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly ChangedMapping[];
  /** Keys beside the mappings that are taken over. */
  readonly keys: readonly string[];
  /** Keys that differ and are not taken over: they take a restart. */
  readonly restartKeys: readonly string[];
}

/** Compares the config that runs with the one that is to. */
export function planReload(before: Config, after: Config): ReloadPlan {
  const byName = new Map(before.mappings.map((mapping) => [mapping.name, mapping]));
  const names = new Set(after.mappings.map(({ name }) => name));
  const changed = after.mappings.flatMap((mapping): ChangedMapping[] => {
    const old = byName.get(mapping.name);
    const keys = old === undefined ? [] : changedPaths(old, mapping, []).map(pathText);
    return keys.length === 0 ? [] : [{ mapping: mapping.name, keys }];
  });
  const { mappings: _old, ...othersBefore } = before;
  const { mappings: _new, ...othersAfter } = after;
  const others = changedPaths(othersBefore, othersAfter, []);
  const order = isDeepStrictEqual(commonNames(before, after), commonNames(after, before))
    ? []
    : ['order of mappings'];
  return {
    added: after.mappings.filter(({ name }) => !byName.has(name)).map(({ name }) => name),
    removed: before.mappings.filter(({ name }) => !names.has(name)).map(({ name }) => name),
    changed,
    keys: [...others.filter(isLive).map(pathText), ...order],
    restartKeys: others.filter((path) => !isLive(path)).map(pathText),
  };
}

/** What runs after the reload: the keys that a reload takes over from `after`, the others from `before`. */
export function reloadedConfig(before: Config, after: Config): Config {
  return merged(before, after, []) as Config;
}

function commonNames(of: Config, other: Config): string[] {
  const names = new Set(other.mappings.map(({ name }) => name));
  return of.mappings.map(({ name }) => name).filter((name) => names.has(name));
}

/** The nearest mark in the schema decides (`x-reload`). */
function isLive(path: ConfigPath): boolean {
  return path.some((_, index) => schemaAt(path.slice(0, index + 1))?.['x-reload'] === 'live');
}

function merged(before: unknown, after: unknown, path: ConfigPath): unknown {
  if (path.length > 0 && isLive(path)) return after;
  if (!isSection(before) || !isSection(after)) return before;
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  const entries = [...keys].flatMap((key): [string, unknown][] => {
    const value = merged(before[key], after[key], [...path, key]);
    return value === undefined ? [] : [[key, value]];
  });
  return Object.fromEntries(entries);
}

/** The innermost keys that differ; a list counts as one value. */
function changedPaths(before: unknown, after: unknown, path: ConfigPath): ConfigPath[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (!isSection(before) || !isSection(after)) return [path];
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) => changedPaths(before[key], after[key], [...path, key]));
}

function isSection(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
