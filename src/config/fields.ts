import { z } from 'zod';
import { formatBytes, parseBytes, SIZE_PATTERN } from './size.ts';

/** The schemas of all keys of `T`: with `satisfies` it forbids a key too few and a key too many. */
export type Shape<T> = { readonly [K in keyof T]-?: z.ZodType };

interface NumberField {
  readonly description: string;
  readonly min: number;
  readonly max: number;
}

/** One day, the longest wait that a config may ask for where nothing else is said. */
export const DAY_MS: number = 86_400_000;

/** A whole number of something. */
export function count(field: NumberField): z.ZodType<number> {
  return z.int().min(field.min).max(field.max).meta({ description: field.description });
}

/** A length of time in whole milliseconds. */
export function durationMs(field: NumberField & { readonly step?: number }): z.ZodType<number> {
  const plain = z.int().min(field.min).max(field.max);
  const stepped = field.step === undefined ? plain : plain.multipleOf(field.step);
  return stepped.meta({ description: field.description, 'x-unit': 'ms' });
}

/** A size in bytes, written as a number or as text such as `64KiB`; always a number when loaded. */
export function bytes(field: NumberField): z.ZodType<number> {
  const range = `${formatBytes(field.min)} to ${formatBytes(field.max)}`;
  const fault = `expected a size of ${range}: a whole number of bytes, or text such as 64KiB, 10MB or 2GiB`;
  return z
    .union([z.int({ error: fault }), z.string().meta({ pattern: SIZE_PATTERN })], { error: fault })
    .transform((given, context) => {
      const size = typeof given === 'number' ? given : parseBytes(given);
      if (size !== undefined && size >= field.min && size <= field.max) return size;
      context.addIssue({ code: 'custom', message: fault });
      return z.NEVER;
    })
    .meta({ description: field.description, 'x-unit': 'bytes', 'x-range': range });
}

/** A TCP port. */
export function port(field: { readonly description: string }): z.ZodType<number> {
  const highestPort = 65_535; // 16 bits (RFC 9293 §3.1)
  return count({
    description: `${field.description}; 0 = any free port`,
    min: 0,
    max: highestPort,
  });
}

/** An address or a name to listen on. */
export function host(field: { readonly description: string }): z.ZodType<string> {
  return z.string().min(1).max(255).meta(field);
}

/** A name in AMQP: a short string of 1 to 255 bytes (AMQP 0-9-1 §4.2.5.3). */
export function shortString(field: { readonly description: string }): z.ZodType<string> {
  const maxBytes = 255;
  return z
    .string()
    .min(1)
    .max(maxBytes)
    .refine((text) => Buffer.byteLength(text) <= maxBytes, 'expected at most 255 bytes in UTF-8')
    .meta(field);
}

/** One of a few words. */
export function choice<const T extends string>(
  description: string,
  words: readonly [T, ...T[]],
): z.ZodType<T> {
  return z.enum(words).meta({ description });
}
