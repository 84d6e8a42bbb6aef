import { z } from 'zod';
import { configSchema } from './schema.ts';

/** Place of a value in a config: keys and, in lists, indexes. */
export type ConfigPath = readonly (string | number)[];

/** The part of JSON Schema (draft 2020-12) that our schema makes use of, with our four annotations. */
export interface SchemaNode {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly multipleOf?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly pattern?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly items?: SchemaNode;
  readonly additionalProperties?: boolean | SchemaNode;
  /** Unit of a number. */
  readonly 'x-unit'?: string;
  /** Range in words, where `minimum` and `maximum` cannot say it. */
  readonly 'x-range'?: string;
  /** `live`: a reload takes over what changed in it. */
  readonly 'x-reload'?: 'live';
  /** Default in words, where it depends on the machine. */
  readonly 'x-default'?: string;
}

let made: SchemaNode | undefined;

/** JSON Schema of what a config file may contain (sizes as text included). */
export function configJsonSchema(): SchemaNode {
  made ??= z.toJSONSchema(configSchema, { io: 'input' }) as SchemaNode;
  return made;
}

/** What the schema says of the value at a path; undefined where nothing may stand. */
export function schemaAt(path: ConfigPath): SchemaNode | undefined {
  let node: SchemaNode | undefined = configJsonSchema();
  for (const part of path) {
    if (node === undefined) return undefined;
    node = typeof part === 'number' ? node.items : keyNode(node, part);
  }
  return node;
}

/** Keys that may stand in the object at a path. */
export function keysAt(path: ConfigPath): readonly string[] {
  return Object.keys(schemaAt(path)?.properties ?? {});
}

/** A path as people write it: `mqtt.listeners[0].port`. */
export function pathText(path: ConfigPath): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? part : `${text}.${part}`;
  }, '');
}

function keyNode(node: SchemaNode, key: string): SchemaNode | undefined {
  if (node.properties !== undefined && Object.hasOwn(node.properties, key))
    return node.properties[key];
  return typeof node.additionalProperties === 'object' ? node.additionalProperties : undefined;
}
