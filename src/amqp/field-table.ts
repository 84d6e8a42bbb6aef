import type { HeaderValue } from '../shared/message.ts';

const INT8_BYTES = 1;
const INT64_BYTES = 8;
const UINT32_RANGE = 2 ** 32;
const INT64_LIMIT = 2 ** 63;

/**
 * The entries of a field table (AMQP 0-9-1 §4.2.5.5), without its length in front, in the types that RabbitMQ reads
 * (rabbitmq.com/amqp-0-9-1-errata.html): text `S`, boolean `t`, a whole number the smallest of `b`, `s`, `I` and `l`
 * that holds it, any other `d`. As amqplib has them, so that consumers see the same.
 */
export function tableEntries(fields: Readonly<Record<string, HeaderValue>>): Buffer {
  return Buffer.concat(Object.entries(fields).map(([name, value]) => tableEntry(name, value)));
}

/** A field whose value is a signed integer of 8 bytes, 0 so far: they are the last of it. */
export function longEntry(name: string): Buffer {
  return Buffer.concat([shortString(name), typed('l', INT64_BYTES)]);
}

/** Writes a whole number, not negative and exact, into the 8 bytes at `at` (`longlong-int` and `timestamp`). */
export function writeLong(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32BE(Math.floor(value / UINT32_RANGE), at);
  bytes.writeUInt32BE(value % UINT32_RANGE, at + 4);
}

/**
 * Text with its length in one byte in front (AMQP 0-9-1 §4.2.5.3).
 * @throws {RangeError} when it has more than 255 bytes.
 */
export function shortString(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length > 255) {
    throw new RangeError(`"${text.slice(0, 32)}…" has ${bytes.length} bytes, AMQP allows 255`);
  }
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
}

function tableEntry(name: string, value: HeaderValue): Buffer {
  return Buffer.concat([shortString(name), tableValue(value)]);
}

function tableValue(value: HeaderValue): Buffer {
  if (typeof value === 'number') return numberValue(value);
  if (typeof value === 'boolean') {
    const field = typed('t', INT8_BYTES);
    field[1] = value ? 1 : 0;
    return field;
  }
  const text = Buffer.from(value, 'utf8');
  const field = typed('S', 4 + text.length);
  field.writeUInt32BE(text.length, 1);
  field.set(text, 5);
  return field;
}

function numberValue(value: number): Buffer {
  const size = Number.isInteger(value) ? sizeOf(value) : 'd';
  const field = typed(size, { b: 1, s: 2, I: 4, l: INT64_BYTES, d: 8 }[size]);
  if (size === 'b') field.writeInt8(value, 1);
  else if (size === 's') field.writeInt16BE(value, 1);
  else if (size === 'I') field.writeInt32BE(value, 1);
  else if (size === 'l') field.writeBigInt64BE(BigInt(value), 1);
  else field.writeDoubleBE(value, 1);
  return field;
}

function sizeOf(whole: number): 'b' | 's' | 'I' | 'l' | 'd' {
  const magnitude = whole < 0 ? -whole - 1 : whole;
  if (magnitude < 2 ** 7) return 'b';
  if (magnitude < 2 ** 15) return 's';
  if (magnitude < 2 ** 31) return 'I';
  return magnitude < INT64_LIMIT ? 'l' : 'd';
}

function typed(tag: string, bytes: number): Buffer {
  const field = Buffer.alloc(1 + bytes);
  field.write(tag, 'latin1');
  return field;
}
