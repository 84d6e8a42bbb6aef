import { crc32 } from 'node:zlib';
import { GatewayError } from '../shared/errors.ts';
import type { Draft, LaneMessage, MessageProperties, QoS } from '../shared/message.ts';
import { parsedProperties } from './record-properties.ts';
import { encodeTexts } from './record-texts.ts';
import { RunsRead } from './runs-read.ts';

/**
 * One stored message:
 *
 *   u32 crc32 of its key and of all bytes behind this field
 *   u8  layout version (3)      u8  flags: qos (2 bits), dup, retain, has username, released, has properties
 *   u32 epoch                   u48 seq                  u48 receivedAtMs
 *   u48 elapsedMs, all ones when it is not known         8 bytes run, zeros when it has none
 *   u8 + gateway id   u16 + topic   u16 + client id   u16 + username   u8 + routing key
 *   u32 + properties as JSON, of messages whose mapping sets some
 *   payload to the end
 *
 * Version 0.1.0 wrote layouts 1 and 2, without elapsedMs and run; 2 has properties. They are still read.
 *
 * The checksum covers the key, so that a record read under a wrong offset is found out too. LevelDB's own
 * checksums end a log silently where it is damaged; ours say which record is gone.
 */
const OLD_PLAIN_LAYOUT = 1;
const OLD_PROPERTIES_LAYOUT = 2;
const LAYOUT = 3;
const OLD_NUMBERS_BYTES = 4 + 1 + 1 + 4 + 6 + 6;
const RUN_BYTES = 8;
const NUMBERS_BYTES = OLD_NUMBERS_BYTES + 6 + RUN_BYTES;
const LENGTHS_BYTES = 1 + 2 + 2 + 2 + 1;
const NOT_KNOWN_MS = 2 ** 48 - 1;
const FLAG_DUP = 0b0100;
const FLAG_RETAIN = 0b1000;
const FLAG_USERNAME = 0b1_0000;
const FLAG_RELEASED = 0b10_0000;
const FLAG_PROPERTIES = 0b100_0000;
const NO_PROPERTIES: Buffer = Buffer.alloc(0);
const runs = new RunsRead();

/**
 * Serialises a message for the value of `key`; `isReleased`: it was parked, and stands behind younger ones.
 * `texts` are its run and its texts, for a caller that has them encoded.
 */
export function encodeRecord(
  key: Buffer,
  message: LaneMessage,
  isReleased: boolean = false,
  texts: Buffer = encodeTexts(message),
): Buffer {
  const { payload, amqp } = message;
  const properties = encodeProperties(amqp);
  const record = Buffer.allocUnsafe(
    NUMBERS_BYTES - RUN_BYTES + texts.length + properties.length + payload.length,
  );
  record[4] = LAYOUT;
  record[5] = flagsOf(message) | (isReleased ? FLAG_RELEASED : 0);
  let at = record.writeUInt32BE(message.epoch, 6);
  at = record.writeUIntBE(message.seq, at, 6);
  at = record.writeUIntBE(message.receivedAtMs, at, 6);
  at = record.writeUIntBE(message.elapsedMs ?? NOT_KNOWN_MS, at, 6);
  record.set(texts, at);
  at += texts.length;
  if (properties.length > 0) record.set(properties, at);
  record.set(payload, at + properties.length);
  record.writeUInt32BE(checksum(key, record), 0);
  return record;
}

/**
 * The message stored under `key`; its payload is a view into `record`.
 * @throws {GatewayError} RECORD_DAMAGED when the bytes are not what was written under that key.
 */
export function decodeRecord(key: Buffer, record: Buffer): LaneMessage {
  const numbersBytes = checkedNumbersBytes(key, record);
  const flags = record.readUInt8(5);
  let at = numbersBytes + LENGTHS_BYTES;
  const text = (bytes: number, skippedBytes = 0): string => {
    at += skippedBytes + bytes;
    return record.toString('utf8', at - bytes, at);
  };
  const gatewayId = text(record.readUInt8(numbersBytes));
  const topic = text(record.readUInt16BE(numbersBytes + 1));
  const clientId = text(record.readUInt16BE(numbersBytes + 3));
  const username = text(record.readUInt16BE(numbersBytes + 5));
  const routingKey = text(record.readUInt8(numbersBytes + 7));
  const amqp = hasProperties(record) ? text(record.readUInt32BE(at), 4) : undefined;
  const message: Draft<LaneMessage> = {
    topic,
    payload: record.subarray(at),
    qos: (flags & 0b11) as QoS,
    dup: (flags & FLAG_DUP) !== 0,
    retain: (flags & FLAG_RETAIN) !== 0,
    clientId,
    receivedAtMs: record.readUIntBE(16, 6),
    gatewayId,
    epoch: record.readUInt32BE(6),
    seq: record.readUIntBE(10, 6),
    routingKey,
    fromStore: true,
  };
  if (numbersBytes === NUMBERS_BYTES) addRun(message, record);
  if ((flags & FLAG_USERNAME) !== 0) message.username = username;
  if (amqp !== undefined) message.amqp = parsedProperties(amqp);
  return message;
}

/** Bytes in front of the lengths of the texts. @throws {GatewayError} RECORD_DAMAGED. */
function checkedNumbersBytes(key: Buffer, record: Buffer): number {
  if (record.length < OLD_NUMBERS_BYTES + LENGTHS_BYTES) throw damaged('it is too short');
  if (record.readUInt32BE(0) !== checksum(key, record)) throw damaged('its checksum differs');
  const layout = record.readUInt8(4);
  if (layout === LAYOUT) return NUMBERS_BYTES;
  if (layout === OLD_PLAIN_LAYOUT || layout === OLD_PROPERTIES_LAYOUT) return OLD_NUMBERS_BYTES;
  throw damaged(`its layout ${layout} is unknown`);
}

function hasProperties(record: Buffer): boolean {
  const layout = record.readUInt8(4);
  if (layout !== LAYOUT) return layout === OLD_PROPERTIES_LAYOUT;
  return (record.readUInt8(5) & FLAG_PROPERTIES) !== 0;
}

function addRun(message: Draft<LaneMessage>, record: Buffer): void {
  const elapsedMs = record.readUIntBE(OLD_NUMBERS_BYTES, 6);
  if (elapsedMs !== NOT_KNOWN_MS) message.elapsedMs = elapsedMs;
  const run = runs.runIn(record, OLD_NUMBERS_BYTES + 6);
  if (run !== undefined) message.run = run;
}

/** True when the message of a readable record was parked before, so that its seq says nothing of its neighbours. */
export function isReleased(record: Buffer): boolean {
  return (record.readUInt8(5) & FLAG_RELEASED) !== 0;
}

function flagsOf(message: LaneMessage): number {
  return (
    message.qos |
    (message.dup ? FLAG_DUP : 0) |
    (message.retain ? FLAG_RETAIN : 0) |
    (message.username === undefined ? 0 : FLAG_USERNAME) |
    (message.amqp === undefined ? 0 : FLAG_PROPERTIES)
  );
}

function encodeProperties(amqp: MessageProperties | undefined): Buffer {
  if (amqp === undefined) return NO_PROPERTIES;
  const json = Buffer.from(JSON.stringify(amqp), 'utf8');
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(json.length, 0);
  return Buffer.concat([length, json]);
}

function checksum(key: Buffer, record: Buffer): number {
  return crc32(record.subarray(4), crc32(key));
}

function damaged(why: string): GatewayError {
  return new GatewayError('RECORD_DAMAGED', `A stored message cannot be read: ${why}.`);
}
