import type { Config } from './types.ts';

const HIDDEN = '***';

const templatesOf = new WeakMap<object, ReadonlyMap<string, string>>();

/** Remembers which texts of a loaded config hold secrets, and how they were written. */
export function rememberSecrets(config: Config, templates: ReadonlyMap<string, string>): void {
  templatesOf.set(config, templates);
}

/**
 * A copy to show to people: texts that held `${env:…}` or `${file:…}` are shown as they were written, passwords
 * of URLs as `***`. It knows the secrets only of the very object `loadConfig` gave, not of a copy.
 */
export function redact(config: Config): unknown {
  return redactValue(config, [], templatesOf.get(config) ?? new Map());
}

function redactValue(
  value: unknown,
  path: readonly (string | number)[],
  templates: ReadonlyMap<string, string>,
): unknown {
  if (typeof value === 'string') return hidePassword(templates.get(JSON.stringify(path)) ?? value);
  if (Array.isArray(value))
    return value.map((item, index) => redactValue(item, [...path, index], templates));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, redactValue(item, [...path, key], templates)]),
  );
}

/** Up to the last '@': a password that was not percent-encoded as it should be must not show either. */
function hidePassword(text: string): string {
  return text.replace(/^([a-z][a-z0-9+.-]*:\/\/[^:/@]*:).*@/is, `$1${HIDDEN}@`);
}
