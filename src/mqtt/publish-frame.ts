import type { PublishPacket } from './aedes-internals.ts';

/** MQTT 3.1.1 §3.3.1: packet type 3 in the upper half of the first byte. */
const PUBLISH_TYPE = 3;
const FLAG_RETAIN = 0b0001;
const FLAG_DUP = 0b1000;
const MAX_QOS = 2;
/** MQTT 3.1.1 §2.2.3: seven bits of the remaining length in each byte, and whether another one follows. */
const LENGTH_BITS = 0x7f;
const TEXT_LENGTH_BYTES = 2;
const PACKET_ID_BYTES = 2;

/** One control packet in a chunk of bytes. */
export interface Frame {
  /** Where its variable header begins. */
  readonly bodyAt: number;
  /** Behind its last byte; beyond the chunk when the rest is still to come. */
  readonly end: number;
}

/**
 * The frame that begins at `at`; undefined when the fixed header itself is cut off (MQTT 3.1.1 §2.2). That a remaining
 * length has four bytes at most is up to the frame guard.
 */
export function frameAt(bytes: Buffer, at: number): Frame | undefined {
  let length = 0;
  let factor = 1;
  for (let next = at + 1; ; next += 1) {
    const byte = bytes[next];
    if (byte === undefined) return undefined;
    length += (byte & LENGTH_BITS) * factor;
    factor *= LENGTH_BITS + 1;
    if (byte <= LENGTH_BITS) return { bodyAt: next + 1, end: next + 1 + length };
  }
}

/**
 * The PUBLISH of a whole frame, as mqtt-packet would give it; its payload is a view into `bytes`. Undefined for any
 * other packet, and for one that is not plainly right: to say what is wrong with it is left to mqtt-packet.
 */
export function publishIn(
  bytes: Buffer,
  at: number,
  { bodyAt, end }: Frame,
): PublishPacket | undefined {
  const first = bytes[at] ?? 0;
  const qos = (first >> 1) & 0b11;
  if (first >> 4 !== PUBLISH_TYPE || qos > MAX_QOS) return undefined;
  const idBytes = qos === 0 ? 0 : PACKET_ID_BYTES;
  const topicAt = bodyAt + TEXT_LENGTH_BYTES;
  if (topicAt + idBytes > end) return undefined;
  const topicEnd = topicAt + bytes.readUInt16BE(bodyAt);
  if (topicEnd + idBytes > end) return undefined;
  const packet: PublishPacket = {
    cmd: 'publish',
    retain: (first & FLAG_RETAIN) !== 0,
    qos: qos as 0 | 1 | 2,
    dup: (first & FLAG_DUP) !== 0,
    length: end - bodyAt,
    topic: bytes.toString('utf8', topicAt, topicEnd),
    payload: bytes.subarray(topicEnd + idBytes, end),
  };
  if (qos > 0) packet.messageId = bytes.readUInt16BE(topicEnd);
  return packet;
}
