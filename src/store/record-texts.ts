import { MemoryBound } from '../shared/memory-bound.ts';
import type { LaneMessage } from '../shared/message.ts';

/** The run in front of all of it. */
const RUN_BYTES = 8;
/** Lengths in front of the texts: gateway id u8, topic, client id and username u16 each, routing key u8. */
const LENGTHS_BYTES = 1 + 2 + 2 + 2 + 1;
/** Memory for the texts that are remembered, over all lanes, roughly: those of 12,000 topics. */
const remembered = new MemoryBound(8 * 1024 * 1024);
/** Of one beside its bytes. */
const TEXTS_MEMORY_BYTES = 512;
/** Longer ones are not remembered: a device that makes up topic names of 64 KiB would take half a gigabyte with them. */
const MOST_BYTES = 512;
/** Memory for what is remembered is taken in pieces of this size. */
const PAGE_BYTES = 4 * 1024;

type Texts = Pick<
  LaneMessage,
  'run' | 'gatewayId' | 'topic' | 'clientId' | 'username' | 'routingKey'
>;

interface Encoded {
  readonly texts: Texts;
  readonly bytes: Buffer;
}

/** The run and the texts of a record, as they stand in it, remembered by topic: devices say the same again and again. */
export class RecordTexts {
  readonly #byTopic = new Map<string, Encoded>();
  #page: Buffer = Buffer.alloc(0);

  of(message: LaneMessage): Buffer {
    const known = this.#byTopic.get(message.topic);
    if (known !== undefined && isSame(known.texts, message)) return known.bytes;
    const encoded = encodeTexts(message);
    if (encoded.length > MOST_BYTES) return encoded;
    const { run, gatewayId, topic, clientId, username, routingKey } = message;
    const named = username === undefined ? {} : { username };
    const numbered = run === undefined ? {} : { run };
    const texts = { gatewayId, topic, clientId, routingKey, ...named, ...numbered };
    const bytes = this.#keep(encoded);
    const size = bytes.length + TEXTS_MEMORY_BYTES;
    remembered.remember(this.#byTopic, topic, { texts, bytes }, size);
    return bytes;
  }

  /** Small buffers are slices of 8 KiB that they share with what is long gone: one that stays would keep all of it. */
  #keep(bytes: Buffer): Buffer {
    if (this.#page.length < bytes.length) this.#page = Buffer.allocUnsafeSlow(PAGE_BYTES);
    const kept = this.#page.subarray(0, bytes.length);
    kept.set(bytes);
    this.#page = this.#page.subarray(bytes.length);
    return kept;
  }
}

/** The run and the texts of one message, as they stand in its record. */
export function encodeTexts(message: Texts): Buffer {
  const { run, gatewayId, topic, clientId, username, routingKey } = message;
  const texts = [gatewayId, topic, clientId, username ?? '', routingKey].map((text) =>
    Buffer.from(text, 'utf8'),
  );
  const [gateway = 0, topicBytes = 0, client = 0, user = 0, key = 0] = texts.map(
    ({ length }) => length,
  );
  const lengths = Buffer.allocUnsafe(LENGTHS_BYTES);
  let at = lengths.writeUInt8(gateway, 0);
  at = lengths.writeUInt16BE(topicBytes, at);
  at = lengths.writeUInt16BE(client, at);
  at = lengths.writeUInt16BE(user, at);
  lengths.writeUInt8(key, at);
  const runBytes = run === undefined ? Buffer.alloc(RUN_BYTES) : Buffer.from(run, 'hex');
  return Buffer.concat([runBytes, lengths, ...texts]);
}

function isSame(one: Texts, other: Texts): boolean {
  return (
    one.clientId === other.clientId &&
    one.routingKey === other.routingKey &&
    one.username === other.username &&
    one.run === other.run &&
    one.gatewayId === other.gatewayId
  );
}
