/**
 * Keys of the store. All of one lane's records lie side by side in order of their offsets, so that a read by
 * position and a range clear touch nothing else.
 *
 *   01                                   format version   → u8
 *   02                                   epoch            → u32, sealed
 *   03                                   how runs ended that were not told of yet, with the last seqs of the clean ones
 *   04                                   serial of the last batch that was not only records → u48, sealed
 *   05  epoch u32                        note of a run (JSON), sealed
 *   10  lane name (UTF-8)                lane number      → u16, sealed
 *   20  lane u16                         low-water mark   → u48, sealed
 *   30  lane u16  offset u48             record
 *   40  lane u16  epoch u32  seq u48     parked message
 *   41  lane u16  epoch u32  seq u48     note of a released message until it is settled
 *   42  lane u16  epoch u32  seq u48     parked message that cannot be read, as it was found
 *   50  number u48                       gap of the manifest, not yet delivered
 *   60  packet id u16  client id (UTF-8) QoS 2 packet identifier → u32 fingerprint of its message
 */
const RUN = 0x05;
const LANE_NAME = 0x10;
const MARK = 0x20;
const RECORD = 0x30;
const PARKED = 0x40;
const RELEASED = 0x41;
const UNREADABLE = 0x42;
const PACKET_ID = 0x60;

export const FORMAT_KEY: Buffer = Buffer.from([0x01]);
export const EPOCH_KEY: Buffer = Buffer.from([0x02]);
export const CLEAN_END_KEY: Buffer = Buffer.from([0x03]);
export const SERIAL_KEY: Buffer = Buffer.from([0x04]);

/** Six bytes count 2.8e14 messages, thousands of years at full speed, and fit a double exactly. */
const U48_BYTES = 6;
const LANE_PREFIX_BYTES = 3;

function lanePrefixed(kind: number, lane: number, extraBytes: number): Buffer {
  const key = Buffer.allocUnsafe(LANE_PREFIX_BYTES + extraBytes);
  key[0] = kind;
  key.writeUInt16BE(lane, 1);
  return key;
}

/** Key of the note of a run. */
export function runKey(epoch: number): Buffer {
  const key = Buffer.from([RUN, 0, 0, 0, 0]);
  key.writeUInt32BE(epoch, 1);
  return key;
}

/** All notes of runs. */
export const RUN_RANGE: { readonly gte: Buffer; readonly lt: Buffer } = {
  gte: Buffer.from([RUN]),
  lt: Buffer.from([RUN + 1]),
};

export function laneNameKey(name: string): Buffer {
  return Buffer.concat([Buffer.from([LANE_NAME]), Buffer.from(name, 'utf8')]);
}

/** Bounds of all lane names, for listing them. */
export const LANE_NAME_RANGE: { readonly gte: Buffer; readonly lt: Buffer } = {
  gte: Buffer.from([LANE_NAME]),
  lt: Buffer.from([LANE_NAME + 1]),
};

export function laneNameOf(key: Buffer): string {
  return key.toString('utf8', 1);
}

export function markKey(lane: number): Buffer {
  return lanePrefixed(MARK, lane, 0);
}

export function recordKey(lane: number, offset: number): Buffer {
  const key = lanePrefixed(RECORD, lane, U48_BYTES);
  key.writeUIntBE(offset, LANE_PREFIX_BYTES, U48_BYTES);
  return key;
}

/** All records, of whatever lane. */
export const RECORD_RANGE: { readonly gte: Buffer; readonly lt: Buffer } = {
  gte: Buffer.from([RECORD]),
  lt: Buffer.from([RECORD + 1]),
};

/** All parked messages, of whatever lane. */
export const PARKED_RANGE: { readonly gte: Buffer; readonly lt: Buffer } = {
  gte: Buffer.from([PARKED]),
  lt: Buffer.from([PARKED + 1]),
};

/** Lane number in the key of a record or a parked message. */
export function laneOf(key: Buffer): number {
  return key.readUInt16BE(1);
}

/** The first key behind all records of the lane. */
export function recordsEnd(lane: number): Buffer {
  return lanePrefixed(RECORD, lane + 1, 0);
}

export function offsetOf(key: Buffer): number {
  return key.readUIntBE(LANE_PREFIX_BYTES, U48_BYTES);
}

/** A parked message is named by its identity, so that parking it twice keeps it once. */
export function parkedKey(lane: number, epoch: number, seq: number): Buffer {
  const key = lanePrefixed(PARKED, lane, 4 + U48_BYTES);
  key.writeUInt32BE(epoch, LANE_PREFIX_BYTES);
  key.writeUIntBE(seq, LANE_PREFIX_BYTES + 4, U48_BYTES);
  return key;
}

/** Epoch and seq in the key of a parked or released message. */
const RECORD_KEY_BYTES = LANE_PREFIX_BYTES + U48_BYTES;

/** False for a key that damage has brought into the range of records. */
export function isRecordKey(key: Buffer): boolean {
  return key.length === RECORD_KEY_BYTES;
}

const PARKED_KEY_BYTES = LANE_PREFIX_BYTES + 4 + U48_BYTES;

/** False for a key that damage has brought into the range of parked messages. */
export function isParkedKey(key: Buffer): boolean {
  return key.length === PARKED_KEY_BYTES;
}

export function identityOf(key: Buffer): { epoch: number; seq: number } {
  const seq = key.readUIntBE(LANE_PREFIX_BYTES + 4, U48_BYTES);
  return { epoch: key.readUInt32BE(LANE_PREFIX_BYTES), seq };
}

export function parkedRange(lane: number): { gte: Buffer; lt: Buffer } {
  return { gte: lanePrefixed(PARKED, lane, 0), lt: lanePrefixed(PARKED, lane + 1, 0) };
}

export function releasedKey(parked: Buffer): Buffer {
  return ofKind(RELEASED, parked);
}

export function releasedRange(lane: number): { gte: Buffer; lt: Buffer } {
  return { gte: lanePrefixed(RELEASED, lane, 0), lt: lanePrefixed(RELEASED, lane + 1, 0) };
}

export function unreadableKey(parked: Buffer): Buffer {
  return ofKind(UNREADABLE, parked);
}

function ofKind(kind: number, key: Buffer): Buffer {
  const other = Buffer.from(key);
  other[0] = kind;
  return other;
}

/** A QoS 2 packet identifier of a session (MQTT 3.1.1 §2.3.1). */
export function packetIdKey(clientId: string, packetId: number): Buffer {
  const head = Buffer.from([PACKET_ID, packetId >> 8, packetId & 0xff]);
  return Buffer.concat([head, Buffer.from(clientId, 'utf8')]);
}

/** The inverse of {@link packetIdKey}. */
export function decodePacketIdKey(key: Buffer): { clientId: string; packetId: number } {
  return { packetId: key.readUInt16BE(1), clientId: key.toString('utf8', 3) };
}

/** Bounds of all QoS 2 packet identifiers. */
export const PACKET_ID_RANGE: { readonly gte: Buffer; readonly lt: Buffer } = {
  gte: Buffer.from([PACKET_ID]),
  lt: Buffer.from([PACKET_ID + 1]),
};

export function encodeU48(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(U48_BYTES);
  bytes.writeUIntBE(value, 0, U48_BYTES);
  return bytes;
}

export function decodeU48(bytes: Buffer): number {
  return bytes.readUIntBE(0, U48_BYTES);
}
