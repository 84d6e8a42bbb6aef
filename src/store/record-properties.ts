import type { MessageProperties } from '../shared/message.ts';

/** Of properties that depend on the topic at most. */
const MOST_TEXTS = 512;
/** Longer ones come from payloads, and differ. */
const MOST_LENGTH = 512;

const byText: Map<string, MessageProperties> = new Map();

/**
 * The properties of a record from their JSON; the same object for the same text, as long as it is remembered: whoever sends
 * messages takes the same object for the same properties.
 */
export function parsedProperties(text: string): MessageProperties {
  const known = byText.get(text);
  if (known !== undefined) return known;
  const properties = JSON.parse(text) as MessageProperties;
  if (text.length > MOST_LENGTH) return properties;
  if (byText.size === MOST_TEXTS) byText.clear();
  byText.set(text, properties);
  return properties;
}
