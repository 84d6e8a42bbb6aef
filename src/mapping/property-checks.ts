import type { PropertiesConfig } from '../config/types.ts';
import type { Template } from './template.ts';

export type PropertyName = keyof PropertiesConfig;

/** A value that AMQP can carry in the property, or why the text gives none. */
type Checked =
  | { readonly ok: true; readonly value: string | number }
  | { readonly ok: false; readonly detail: string };

/** What a property takes. */
interface PropertyCheck {
  /** Why no message, or not every message, can have what this template gives, with what to do. */
  faultOf(template: Template): string | undefined;
  check(text: string): Checked;
}

/** Longest short string in UTF-8 bytes (AMQP 0-9-1 §4.2.5.3, one length octet). */
const MAX_SHORT_STRING_BYTES = 255;

/** `priority` is an octet (AMQP 0-9-1 §1.8.3.5). */
const MAX_PRIORITY = 255;

/** RabbitMQ closes the channel for a longer `expiration`: 32 bits, 49 days (docs/ttl). */
const MAX_EXPIRATION_MS = 2 ** 32 - 1;

const shortString: PropertyCheck = {
  faultOf(template) {
    const bytes = template.fixedBytes;
    if (bytes <= MAX_SHORT_STRING_BYTES) return undefined;
    const limit = `AMQP allows ${MAX_SHORT_STRING_BYTES}; shorten it`;
    return `has at least ${bytes} bytes for every message, ${limit}`;
  },
  check(text) {
    const bytes = Buffer.byteLength(text);
    if (bytes > MAX_SHORT_STRING_BYTES) {
      return invalid(`has ${bytes} bytes, AMQP allows ${MAX_SHORT_STRING_BYTES}`);
    }
    return text.includes('\0') ? invalid('contains NUL') : { ok: true, value: text };
  },
};

/** Each basic property that a mapping can set, by its name in the config. */
export const PROPERTY_CHECKS: Readonly<Record<PropertyName, PropertyCheck>> = {
  contentType: shortString,
  contentEncoding: shortString,
  priority: wholeNumber(MAX_PRIORITY, (number) => number),
  expiration: wholeNumber(MAX_EXPIRATION_MS, String),
  type: shortString,
  correlationId: shortString,
  replyTo: shortString,
};

function wholeNumber(max: number, encode: (value: number) => string | number): PropertyCheck {
  const check = (text: string): Checked =>
    /^\d+$/.test(text) && Number(text) <= max
      ? { ok: true, value: encode(Number(text)) }
      : invalid(`is ${JSON.stringify(shortened(text))}, not a whole number from 0 to ${max}`);
  return {
    check,
    faultOf(template) {
      const { fixedText, isConstant } = template;
      const isPossible = isConstant ? check(fixedText).ok : /^\d*$/.test(fixedText);
      if (isPossible) return undefined;
      return `${JSON.stringify(fixedText)} is no part of a whole number from 0 to ${max}; write digits only`;
    },
  };
}

function invalid(detail: string): Checked {
  return { ok: false, detail };
}

/** A detail is stored and logged: a device must not choose its length. */
function shortened(text: string): string {
  const mostUnits = 40;
  return text.length > mostUnits ? `${text.slice(0, mostUnits)}…` : text;
}
