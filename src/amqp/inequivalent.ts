/** An argument that a declaration gives otherwise than what is there has it. */
export interface Inequivalence {
  readonly argument: string;
  /** The value at the broker. */
  readonly there: string;
  /** The value of the declaration. */
  readonly here: string;
}

const PATTERN =
  /inequivalent arg '(?<argument>[^']+)' for (?:queue|exchange) '.*' in vhost '.*': received (?<here>.+) but current is (?<there>.+?)"?$/s;

const TYPED_VALUE = /^the value '(?<value>.*)' of type '(?<type>[^']*)'$/s;

/**
 * Reads the text with which RabbitMQ refuses to declare again what is there with other arguments
 * (precondition-failed, 406). Undefined for any other text.
 */
export function readInequivalence(text: string): Inequivalence | undefined {
  const { argument, here = '', there = '' } = PATTERN.exec(text)?.groups ?? {};
  if (argument === undefined) return undefined;
  const plain = { argument, there: plainValue(there), here: plainValue(here) };
  // 1000 and "1000" are two values to the broker.
  return plain.there === plain.here ? { argument, there, here } : plain;
}

function plainValue(text: string): string {
  if (text === 'none') return 'none';
  return TYPED_VALUE.exec(text)?.groups?.['value'] ?? text.replace(/^'(.*)'$/s, '$1');
}
