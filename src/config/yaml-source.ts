import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type YAMLError,
} from 'yaml';
import { errorText } from '../shared/errors.ts';
import type { ConfigFault } from './faults.ts';
import type { ConfigPath } from './json-schema.ts';

/** Where something stands in the text, both from 1. */
interface Position {
  readonly line: number;
  readonly column: number;
}

/** What `locate` found: the position of the path, or of the innermost part of it that is in the file. */
export interface Located extends Position {
  /** How many parts of the path are in the file. */
  readonly depth: number;
}

/** A config file that was read as YAML 1.2. */
export interface YamlSource {
  /** The content; undefined for an empty file, and when a syntax fault leaves it unclear. */
  readonly tree: unknown;
  readonly faults: readonly ConfigFault[];
  /** True when the content is not what was meant, so that checking it further would only mislead. */
  readonly unclear: boolean;
  /** Finds the value at a path, or its key when the fault is in the key or in a whole section. */
  locate(path: ConfigPath, want: 'key' | 'value'): Located;
}

/** Reads YAML 1.2. Syntax faults and keys given twice are in `faults`; it does not throw. */
export function readYaml(file: string, text: string): YamlSource {
  const lines = new LineCounter();
  // The library's pretty texts quote the source, which may hold a password.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const problems = [...document.errors, ...document.warnings];
  const faults: ConfigFault[] = problems.map((problem) => ({
    file,
    ...at(problem.pos[0]),
    path: '',
    message: problemText(problem, text),
  }));
  let tree: unknown;
  let unclear = problems.some((problem) => problem.code !== 'DUPLICATE_KEY');
  try {
    tree = document.toJS() ?? undefined;
  } catch (error) {
    unclear = true;
    faults.push({ file, line: 1, column: 1, path: '', message: aliasText(errorText(error)) });
  }
  return { tree, faults, unclear, locate: (path, want) => locate(document, at, path, want) };
}

/** The library's text, except where it quotes what may be part of a password. */
function problemText(problem: YAMLError, text: string): string {
  if (problem.code === 'DUPLICATE_KEY') {
    const key = /^[\w.-]+/.exec(text.slice(problem.pos[0]))?.[0];
    return key === undefined ? 'a key is given twice' : `the key "${key}" is given twice`;
  }
  if (problem.code === 'TAG_RESOLVE_FAILED')
    return 'unknown tag; put a value that starts with "!" in quotes';
  if (problem.code === 'BAD_ALIAS') return aliasText('');
  return `not valid YAML: ${problem.message}`;
}

function aliasText(text: string): string {
  return text.startsWith('Excessive alias')
    ? 'too many aliases'
    : 'an alias without its anchor; put a value that starts with "*" in quotes';
}

function locate(
  document: Document.Parsed,
  at: (offset: number) => Position,
  path: ConfigPath,
  want: 'key' | 'value',
): Located {
  let node: unknown = document.contents;
  let found: Located = { line: 1, column: 1, depth: 0 };
  for (const [index, part] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    const step = isMap(node) ? mapStep(node.items, part) : listStep(node, part);
    if (step === undefined) break;
    const isLast = index === path.length - 1;
    const atValue = isLast && want === 'value' && (isScalar(step.value) || isAlias(step.value));
    const offset = startOf(atValue ? step.value : step.key) ?? startOf(step.key);
    if (offset !== undefined) found = { ...at(offset), depth: index + 1 };
    node = step.value;
  }
  return found;
}

interface Step {
  readonly key: unknown;
  readonly value: unknown;
}

function mapStep(items: readonly Step[], part: string | number): Step | undefined {
  return items.find(({ key }) => isScalar(key) && String(key.value) === String(part));
}

function listStep(node: unknown, part: string | number): Step | undefined {
  const item = isSeq(node) && typeof part === 'number' ? node.items[part] : undefined;
  return item === undefined ? undefined : { key: item, value: item };
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}
