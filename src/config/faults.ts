import { GatewayError } from '../shared/errors.ts';

/** One thing that is wrong in a config, and where it was written. Never holds a value, only keys. */
export interface ConfigFault {
  /** File it stands in; absent for what comes from the environment. */
  readonly file?: string;
  /** From 1. */
  readonly line?: number;
  /** From 1. */
  readonly column?: number;
  /** Environment variable it stands in. */
  readonly variable?: string;
  /** Such as `mqtt.listeners[0].port`; empty for faults of the YAML text. */
  readonly path: string;
  readonly message: string;
}

/** A config that cannot be used. `faults` names everything that is wrong with it, `message` says it line by line. */
export class ConfigError extends GatewayError {
  readonly faults: readonly ConfigFault[];

  constructor(faults: readonly ConfigFault[], cause?: unknown) {
    super('CONFIG_INVALID', faults.map(faultText).join('\n'), cause);
    this.name = 'ConfigError';
    this.faults = faults;
  }
}

/** One line for people and editors: `file:line:column: path: message`. */
function faultText(fault: ConfigFault): string {
  const position = [fault.file, fault.line, fault.column].filter((part) => part !== undefined);
  const source =
    fault.variable === undefined ? position.join(':') : `environment ${fault.variable}`;
  return [source, fault.path, fault.message].filter((part) => part !== '').join(': ');
}

/** Says that a key is unknown and names the known one it is nearest to. */
export function unknownKeyText(key: string, known: readonly string[]): string {
  const nearest = nearestWord(key, known);
  return `unknown key "${key}"${nearest === undefined ? '' : `; did you mean "${nearest}"?`}`;
}

/** The word with the fewest edits, if they are few enough for a slip of the finger. */
function nearestWord(word: string, known: readonly string[]): string | undefined {
  const mostEdits = Math.max(2, Math.floor(word.length / 3));
  const ranked = known
    .map((other) => ({ other, edits: editDistance(word.toLowerCase(), other.toLowerCase()) }))
    .filter(({ other, edits }) => edits <= mostEdits && edits < other.length)
    .sort((a, b) => a.edits - b.edits);
  return ranked[0]?.other;
}

/** Levenshtein distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      const replaced = (row[j] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
