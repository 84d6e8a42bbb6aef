import { readFileSync } from 'node:fs';
import type { MappingConfig } from '../config/types.ts';

/**
 * Time one message may take when its mapping says nothing else, in ms. An everyday expression takes far less
 * than one; a device must not be able to hold its lane up for long with a message that takes for ever.
 */
const DEFAULT_TIMEOUT_MS = 250;

/** What a mapping asks of its payloads, complete in itself, as it goes to another process. */
export interface PayloadRule {
  /** Names the mapping and its lane. */
  readonly name: string;
  /** Topic filter of the mapping, for `$capture`. */
  readonly filter: string;
  /** For `$gateway`. */
  readonly gatewayId: string;
  /** JSON Schema of the payload; not checked yet whether it is one. */
  readonly schema?: unknown;
  /** JSONata; a message for which it is not true does not go to the lane. */
  readonly when?: string;
  /** JSONata; its result is the body of the AMQP message. */
  readonly transform?: string;
  readonly timeoutMs: number;
  /** Largest body that a transform may make. */
  readonly maxBodyBytes: number;
}

/** What there is to know of the gateway besides its mappings. */
export interface RuleContext {
  readonly gatewayId: string;
  readonly maxBodyBytes: number;
}

/** The part of a mapping that says what its payloads must be. */
export type RuleSource = Pick<MappingConfig, 'name' | 'filter' | 'payload' | 'when' | 'transform'>;

/**
 * The rule of a mapping; undefined when it takes payloads as they are. Reads the file of the schema, if it is one.
 * @throws {Error} when that file cannot be read or is no JSON. The text is for people.
 */
export function ruleOf(mapping: RuleSource, context: RuleContext): PayloadRule | undefined {
  const { name, filter, payload, when, transform } = mapping;
  if (payload?.schema === undefined && when === undefined && transform === undefined) {
    return undefined;
  }
  return {
    name,
    filter,
    ...context,
    ...(payload?.schema === undefined ? {} : { schema: schemaOf(payload.schema) }),
    ...(when === undefined ? {} : { when }),
    ...(transform === undefined ? {} : { transform }),
    timeoutMs: payload?.timeoutMs ?? DEFAULT_TIMEOUT_MS,
  };
}

/** A copy: what comes from the config is frozen, which the compiler of schemas does not expect. */
function schemaOf(given: string | Readonly<Record<string, unknown>>): unknown {
  if (typeof given !== 'string') return structuredClone(given);
  let text: string;
  try {
    text = readFileSync(given, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
    throw new Error(`the file ${given} cannot be read (${code})`, { cause: error });
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`the file ${given} is not JSON`, { cause: error });
  }
}
