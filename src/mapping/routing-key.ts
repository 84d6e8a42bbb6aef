import type { MessageProperties } from '../shared/message.ts';

/** Longest routing key in UTF-8 bytes: AMQP 0-9-1 carries it as a shortstr (§4.2.5.3, one length octet). */
export const MAX_ROUTING_KEY_BYTES = 255;

/** UTF-8 needs at most this many bytes for one UTF-16 unit (a pair of two units takes four). */
const MAX_BYTES_PER_UNIT = 3;

/** Why a message cannot be published as its mapping says. */
export interface Unpublishable {
  readonly ok: false;
  readonly reason: 'routing_key_too_long' | 'template_failed' | 'property_invalid';
  readonly detail: string;
  /** The routing key, when only a property or header could not be rendered. */
  readonly routingKey?: string;
  /** Those properties and headers that could be rendered. */
  readonly properties?: MessageProperties;
}

/** A key that AMQP can carry, or why there is none for this message. */
export type RoutingKey = { readonly ok: true; readonly routingKey: string } | Unpublishable;

/**
 * The default routing key: the topic name with '/' and '.' swapped, so that topic levels become the words
 * of a topic exchange. Lossless: `topicOfRoutingKey` gives the topic back. Does not check the length.
 */
export function routingKeyOfTopic(topic: string): string {
  return swapSeparators(topic);
}

/** The topic name behind a default routing key. */
export function topicOfRoutingKey(routingKey: string): string {
  return swapSeparators(routingKey);
}

/** Accepts a rendered text as a routing key if AMQP can carry it: at most 255 bytes, no NUL (§4.2.5.3). */
export function checkRoutingKey(text: string): RoutingKey {
  if (text.length * MAX_BYTES_PER_UNIT > MAX_ROUTING_KEY_BYTES) {
    const bytes = Buffer.byteLength(text);
    if (bytes > MAX_ROUTING_KEY_BYTES) {
      const detail = `the routing key has ${bytes} bytes, AMQP allows ${MAX_ROUTING_KEY_BYTES}`;
      return { ok: false, reason: 'routing_key_too_long', detail };
    }
  }
  if (text.includes('\0')) {
    const detail = 'the routing key contains NUL, which AMQP does not allow';
    return { ok: false, reason: 'template_failed', detail };
  }
  return { ok: true, routingKey: text };
}

function swapSeparators(text: string): string {
  // Dots are rare in topics, and one replaceAll is several times faster than a callback for each match.
  if (!text.includes('.')) return text.replaceAll('/', '.');
  return text.replace(/[./]/g, (separator) => (separator === '/' ? '.' : '/'));
}
