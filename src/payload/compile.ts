import type jsonata from 'jsonata';
import { errorText } from '../shared/errors.ts';
import { loadAjv, loadJsonata } from './libraries.ts';

/**
 * Bounds of one evaluation, so that what grows too large is told with its reason before it takes all the memory of the
 * process. Far above what telemetry needs.
 */
const LIMITS = { stack: 10_000, sequence: 100_000 };

/** Compiled JSONata; what it throws is an object with a message. */
export type Expression = jsonata.Expression;

/** `code` of what an expression throws that has run out of its time. */
export const OUT_OF_TIME = 'D1012';

/** Says what does not fit the schema; undefined when all does. */
export type Validate = (payload: unknown) => string | undefined;

/** Something wrong in what was compiled. */
export class CompileFault extends Error {
  /** Place inside a schema. */
  readonly path: readonly string[];

  constructor(message: string, path: readonly string[] = []) {
    super(message);
    this.name = 'CompileFault';
    this.path = path;
  }
}

/**
 * Compiles JSONata. It throws {@link OUT_OF_TIME} after `timeoutMs` of the wall clock, unless it is inside a function
 * of its own at that time, such as a regular expression.
 * @throws {CompileFault} with the position of what is wrong, in characters from 1.
 */
export function compileExpression(text: string, timeoutMs: number): Expression {
  try {
    return loadJsonata()(text, { ...LIMITS, timeout: timeoutMs });
  } catch (error) {
    const { position } = error as { readonly position?: number };
    const where = position === undefined ? '' : ` at character ${position}`;
    throw new CompileFault(`not valid JSONata${where}: ${thrownText(error)}`);
  }
}

/**
 * Compiles a JSON Schema of draft 2020-12, 2019-09, 07 or 06, by its `$schema`.
 * @throws {CompileFault} when it is none, or refers to one that is not in it.
 */
export function compileSchema(schema: unknown): Validate {
  if (typeof schema !== 'boolean' && (typeof schema !== 'object' || schema === null)) {
    throw new CompileFault('a JSON Schema is an object');
  }
  const draft = typeof schema === 'object' && '$schema' in schema ? String(schema.$schema) : '';
  const ajv = loadAjv(draft);
  try {
    if (ajv.validateSchema(schema) === false) {
      const [first] = ajv.errors ?? [];
      const path = (first?.instancePath ?? '').split('/').slice(1).map(fromPointer);
      throw new CompileFault(`not a valid JSON Schema: ${first?.message ?? ''}`, path);
    }
    const validate = ajv.compile(schema);
    return (payload) => {
      if (validate(payload) === true) return undefined;
      return ajv.errorsText(validate.errors, { dataVar: 'payload' });
    };
  } catch (error) {
    if (error instanceof CompileFault) throw error;
    throw new CompileFault(`not a valid JSON Schema: ${errorText(error)}`);
  }
}

/** A step of a JSON pointer (RFC 6901 §4). */
function fromPointer(step: string): string {
  return step.replaceAll('~1', '/').replaceAll('~0', '~');
}

/** JSONata throws plain objects. */
export function thrownText(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'message' in error) {
    return String(error.message);
  }
  return errorText(error);
}
