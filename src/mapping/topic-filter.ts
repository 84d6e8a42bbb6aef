/** Longest topic filter in UTF-8 bytes: MQTT strings have a two byte length (MQTT 3.1.1 §1.5.3). */
const MAX_FILTER_BYTES = 65_535;

const CAPTURE_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** One level of a filter: text to be met, `+` (any one level) or `#` (all that remain), perhaps named. */
type FilterLevel =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'single' | 'multi'; readonly name?: string };

/** A valid topic filter. A `multi` level is only ever the last. */
export interface TopicFilter {
  readonly levels: readonly FilterLevel[];
  /** In order of appearance, each once. */
  readonly captureNames: readonly string[];
  /** No topic that matches is shorter than this, in UTF-8 bytes. */
  readonly minTopicBytes: number;
}

/** The filter, or everything that is wrong with it, each fault with what to do. */
export type ParsedFilter =
  | { readonly ok: true; readonly filter: TopicFilter }
  | {
      readonly ok: false;
      readonly faults: readonly string[];
      /** Those that could be read, to go on checking what uses them. */
      readonly captureNames: readonly string[];
    };

/** What the named wildcards of a filter met, by name. A Map, as a name may be `__proto__`. */
export type Captures = ReadonlyMap<string, string>;

const NO_CAPTURES: Captures = new Map();

/**
 * Reads an MQTT topic filter (MQTT 3.1.1 §4.7) in which a wildcard may carry a name:
 * `site/+line/+device/telemetry/#metric`. Never throws.
 */
export function parseTopicFilter(source: string): ParsedFilter {
  if (source === '') {
    const fault = 'is empty [MQTT-4.7.3-1]; write "#" for all topics';
    return { ok: false, faults: [fault], captureNames: [] };
  }
  const faults: string[] = [];
  if (source.includes('\0')) faults.push('contains NUL [MQTT-4.7.3-2]; remove it');
  const texts = source.split('/');
  const levels = texts.map((text, index) => parseLevel(text, index === texts.length - 1, faults));
  const captureNames = namesOf(levels, faults);
  const bytes = plainBytes(levels);
  if (bytes > MAX_FILTER_BYTES) {
    faults.push(`has ${bytes} bytes, MQTT allows ${MAX_FILTER_BYTES} [MQTT-4.7.3-3]; shorten it`);
  }
  if (faults.length > 0) return { ok: false, faults, captureNames };
  return { ok: true, filter: { levels, captureNames, minTopicBytes: minTopicBytes(levels) } };
}

/** The captures if the topic name matches (empty for a filter without names), otherwise undefined. */
export function matchTopic(filter: TopicFilter, topic: string): Captures | undefined {
  const topicLevels = topic.split('/');
  return matches(filter.levels, topicLevels) ? captureLevels(filter, topicLevels) : undefined;
}

/**
 * The captures of a topic that is known to match. `+name` captures its level, `#name` the remaining levels
 * joined with '/': '' if none remains, which is also what one empty level gives (`a` and `a/` for `a/#name`).
 */
export function captureLevels(filter: TopicFilter, topicLevels: readonly string[]): Captures {
  if (filter.captureNames.length === 0) return NO_CAPTURES;
  const captures = new Map<string, string>();
  for (const [index, level] of filter.levels.entries()) {
    if (level.kind === 'literal' || level.name === undefined) continue;
    const value = level.kind === 'single' ? topicLevels[index] : topicLevels.slice(index).join('/');
    captures.set(level.name, value ?? '');
  }
  return captures;
}

/** A topic the server keeps for itself, out of reach of a leading wildcard [MQTT-4.7.2-1]. */
export function isReserved(topicLevels: readonly string[]): boolean {
  return topicLevels[0]?.startsWith('$') === true;
}

function matches(filter: readonly FilterLevel[], topicLevels: readonly string[]): boolean {
  if (filter[0]?.kind !== 'literal' && isReserved(topicLevels)) return false; // [MQTT-4.7.2-1]
  for (const [index, level] of filter.entries()) {
    if (level.kind === 'multi') return true; // also with no level left: [MQTT-4.7.1-2], `a/#` matches `a`
    const text = topicLevels[index];
    if (text === undefined) return false;
    if (level.kind === 'literal' && level.text !== text) return false;
  }
  return filter.length === topicLevels.length;
}

function parseLevel(text: string, isLast: boolean, faults: string[]): FilterLevel {
  if (!/[+#]/.test(text)) return { kind: 'literal', text };
  const kind = text.startsWith('#') ? 'multi' : 'single';
  const name = text.slice(1);
  if (!/^[+#][^+#]*$/.test(text)) {
    // [MQTT-4.7.1-2] for '#', [MQTT-4.7.1-3] for '+'
    faults.push(
      `level "${text}": a wildcard must stand alone in its level; ` +
        'write "+" or "#" for the whole level, with nothing but a capture name behind it',
    );
    return { kind };
  }
  if (name !== '' && !CAPTURE_NAME.test(name)) {
    faults.push(
      `level "${text}": "${name}" is not a capture name; begin with a letter or "_" and go on with ` +
        'letters, digits and "_", or leave the name out',
    );
  } else if (kind === 'multi' && !isLast) {
    faults.push(
      `level "${text}": "#" must be the last level [MQTT-4.7.1-2]; ` +
        'use "+" for one level in the middle, or end the filter here',
    );
  }
  return name === '' ? { kind } : { kind, name };
}

function namesOf(levels: readonly FilterLevel[], faults: string[]): readonly string[] {
  const names = new Set<string>();
  for (const level of levels) {
    if (level.kind === 'literal' || level.name === undefined) continue;
    if (names.has(level.name)) {
      faults.push(`capture name "${level.name}" is used twice; give each wildcard its own name`);
    }
    names.add(level.name);
  }
  return [...names];
}

/** Length of the filter as MQTT knows it, without capture names. */
function plainBytes(levels: readonly FilterLevel[]): number {
  let bytes = levels.length - 1;
  for (const level of levels) bytes += level.kind === 'literal' ? Buffer.byteLength(level.text) : 1;
  return bytes;
}

function minTopicBytes(levels: readonly FilterLevel[]): number {
  const fixed = levels.filter((level) => level.kind !== 'multi');
  let bytes = fixed.length - 1; // the separators; a wildcard level may be empty
  for (const level of fixed) bytes += level.kind === 'literal' ? Buffer.byteLength(level.text) : 0;
  return Math.max(1, bytes); // [MQTT-4.7.3-1]: no topic name is empty
}
