import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { pathText } from '../config/json-schema.ts';
import { readYaml, type YamlSource } from '../config/yaml-source.ts';
import type { ParkReason } from '../delivery/ports.ts';
import { errorText, GatewayError } from '../shared/errors.ts';
import { topicFault } from './explain.ts';

/** Bytes, written in the way that reads best. */
const contentSchema = z.union([
  z.strictObject({ text: z.string() }),
  z.strictObject({ json: z.unknown() }).refine((given) => 'json' in given, 'json is missing'),
  z.strictObject({ base64: z.base64() }),
  z.strictObject({ file: z.string().min(1) }),
]);

/** `null`: must not be set. */
const fieldsSchema = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]));

const expectedLaneSchema = z.union([
  z.strictObject({ lane: z.string(), parked: z.string() }),
  z.strictObject({ lane: z.string(), filtered: z.literal(true) }),
  z.strictObject({
    lane: z.string(),
    exchange: z.string().optional(),
    routingKey: z.string().optional(),
    properties: fieldsSchema.optional(),
    headers: fieldsSchema.optional(),
    body: contentSchema.optional(),
  }),
]);

const caseSchema = z.strictObject({
  name: z.string().optional(),
  topic: z.string().superRefine((topic, context) => {
    const fault = topicFault(topic);
    if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
  }),
  payload: contentSchema.optional(),
  client: z.string().optional(),
  username: z.string().optional(),
  expect: z.union([z.literal('unmatched'), z.array(expectedLaneSchema).min(1)]),
});

const fileSchema = z.strictObject({ cases: z.array(caseSchema).min(1) });

/** Fields that must be as given; `null`: must not be set. Others do not matter. */
export type ExpectedFields = Readonly<Record<string, string | number | boolean | null>>;

/** Bytes that are expected, or JSON that must mean the same. */
export type ExpectedBody =
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'json'; readonly value: unknown };

/** What a lane is expected to make of the message. What is absent does not matter. */
export type ExpectedLane = { readonly lane: string } & (
  | { readonly kind: 'parked'; readonly reason: string }
  | { readonly kind: 'filtered' }
  | {
      readonly kind: 'published';
      readonly exchange?: string;
      readonly routingKey?: string;
      readonly properties?: ExpectedFields;
      readonly headers?: ExpectedFields;
      readonly body?: ExpectedBody;
    }
);

/** One message and what should become of it. */
export interface TestCase {
  readonly name: string;
  /** Line in the file, from 1. */
  readonly line: number;
  readonly topic: string;
  readonly payload: Buffer;
  readonly client?: string;
  readonly username?: string;
  /** Empty: no mapping matches. */
  readonly expected: readonly ExpectedLane[];
}

/**
 * Reads the cases of a YAML file.
 * @throws {GatewayError} CONFIG_INVALID with all that is wrong with it, line by line.
 */
export function readTestCases(file: string): TestCase[] {
  const source = readYaml(file, readText(file).toString());
  if (source.faults.length > 0) {
    const lines = source.faults.map(
      ({ line, column, message }) => `${file}:${line}:${column}: ${message}`,
    );
    throw new GatewayError('CONFIG_INVALID', lines.join('\n'));
  }
  const parsed = fileSchema.safeParse(source.tree);
  if (!parsed.success)
    throw new GatewayError('CONFIG_INVALID', faultsOf(parsed.error, file, source));
  return parsed.data.cases.map((given, index) => {
    const { name, topic, payload, client, username } = given;
    return {
      name: name ?? topic,
      line: source.locate(['cases', index], 'value').line,
      topic,
      payload: payload === undefined ? Buffer.alloc(0) : bytesOf(payload, file),
      ...(client === undefined ? {} : { client }),
      ...(username === undefined ? {} : { username }),
      expected: given.expect === 'unmatched' ? [] : given.expect.map((one) => laneOf(one, file)),
    };
  });
}

function laneOf(given: z.infer<typeof expectedLaneSchema>, file: string): ExpectedLane {
  const { lane } = given;
  if ('parked' in given) return { lane, kind: 'parked', reason: given.parked as ParkReason };
  if ('filtered' in given) return { lane, kind: 'filtered' };
  const { exchange, routingKey, properties, headers, body } = given;
  return {
    lane,
    kind: 'published',
    ...(exchange === undefined ? {} : { exchange }),
    ...(routingKey === undefined ? {} : { routingKey }),
    ...(properties === undefined ? {} : { properties }),
    ...(headers === undefined ? {} : { headers }),
    ...(body === undefined ? {} : { body: bodyOf(body, file) }),
  };
}

function bodyOf(given: z.infer<typeof contentSchema>, file: string): ExpectedBody {
  if ('json' in given) return { kind: 'json', value: given.json };
  return { kind: 'bytes', bytes: bytesOf(given, file) };
}

/** Files are found from the folder of the file with the cases. */
function bytesOf(given: z.infer<typeof contentSchema>, file: string): Buffer {
  if ('text' in given) return Buffer.from(given.text);
  if ('json' in given) return Buffer.from(JSON.stringify(given.json));
  if ('base64' in given) return Buffer.from(given.base64, 'base64');
  return readText(resolve(dirname(file), given.file));
}

function readText(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new GatewayError('CONFIG_INVALID', `${file} cannot be read: ${errorText(error)}`, error);
  }
}

function faultsOf(error: z.ZodError, file: string, source: YamlSource): string {
  const lines = error.issues.map(({ path, message, code }) => {
    const place = path.map((part) => (typeof part === 'number' ? part : String(part)));
    const { line, column } = source.locate(place, 'value');
    const text =
      code === 'invalid_union' ? 'is none of the forms that docs/commands.md shows' : message;
    return `${file}:${line}:${column}: ${pathText(place)}: ${text}`;
  });
  return lines.join('\n');
}
