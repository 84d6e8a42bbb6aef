import { MemoryBound } from '../shared/memory-bound.ts';
import type { LaneMessage } from '../shared/message.ts';
import { messageIdHead } from '../shared/message-id.ts';
import { propertiesOf, type SentProperties, timestampOf } from './amqp-message.ts';
import { longEntry, shortString, tableEntries, writeLong } from './field-table.ts';

/** Of one channel. */
export interface FramesOptions {
  readonly lane: string;
  readonly exchange: string;
  /** Channel number (AMQP 0-9-1 §4.2.3). */
  readonly channel: number;
  /** Largest frame, in bytes, as negotiated (AMQP 0-9-1 §1.4.2.6, frame-max). */
  readonly frameMax: number;
}

/** Type, channel and size in front of a frame's payload, and the frame-end behind it (AMQP 0-9-1 §4.2.3). */
const FRAME_HEAD_BYTES = 7;
const FRAME_OVERHEAD_BYTES = FRAME_HEAD_BYTES + 1;
const FRAME_END = 0xce;
const METHOD_FRAME = 1;
const HEADER_FRAME = 2;
const BODY_FRAME = 3;
/** Class basic, method publish. */
const BASIC = 60;
const PUBLISH = 40;
/** Bit 0 of its flags. */
const MANDATORY = 1;
/** Largest header table, in bytes: beyond it nobody's client library reads it with certainty. */
const MAX_TABLE_BYTES = 65_536;
/** Bodies up to this are copied behind their header, so that a message is one chunk; larger ones are chunks apart. */
const SMALL_BODY_BYTES = 4 * 1024;

/** Property flags (AMQP 0-9-1 §4.2.6.1), in order of the fields. */
const FLAGS = {
  contentType: 1 << 15,
  contentEncoding: 1 << 14,
  headers: 1 << 13,
  deliveryMode: 1 << 12,
  priority: 1 << 11,
  correlationId: 1 << 10,
  replyTo: 1 << 9,
  expiration: 1 << 8,
  messageId: 1 << 7,
  timestamp: 1 << 6,
  type: 1 << 5,
  appId: 1 << 3,
} as const;

/** What stays the same from message to message of a device on a topic, and where what does not has its place. */
interface Frame {
  readonly from: LaneMessage;
  /** The method frame, and the header frame up to the seq in the message-id. */
  readonly head: Buffer;
  /** The header frame behind the timestamp. */
  readonly tail: Buffer;
  /** Where in the head the header frame begins. */
  readonly headerAt: number;
  readonly seqAt: number;
  readonly receivedAtAt: number;
  readonly idLengthAt: number;
}

/** Memory for the frames that are remembered, over all lanes, roughly: those of 9,000 topics. */
const remembered = new MemoryBound(8 * 1024 * 1024);
/** Of one frame beside its bytes. */
const FRAME_MEMORY_BYTES = 512;
/** A topic or a header may be long: those are rare, and are not remembered. */
const MOST_FRAME_BYTES = 2 * 1024;

/**
 * The frames of a basic.publish (AMQP 0-9-1 §1.8.3.7), mandatory and persistent, with the content header.
 *
 * Devices say the same again and again: all but the seq, the time, and the size of the body is encoded once for a topic.
 * amqplib encodes each field of each message, which was a quarter of all the CPU of a drain.
 */
export class PublishFrames {
  readonly #options: FramesOptions;
  readonly #byTopic: Map<string, Frame> = new Map();

  constructor(options: FramesOptions) {
    this.#options = options;
  }

  /**
   * All frames of the message, but for a body apart.
   * @throws {RangeError} when the message does not fit: a text of more than 255 bytes where AMQP allows no more, headers of more
   * than 64 KiB, or properties that are larger than a frame.
   */
  encode(message: LaneMessage): Buffer {
    const { head, tail, headerAt, seqAt, receivedAtAt, idLengthAt } = this.#frameFor(message);
    const { payload } = message;
    const seq = String(message.seq);
    const headerBytes = head.length - headerAt + seq.length + 8 + tail.length;
    this.#checkHeader(headerBytes, head[idLengthAt] ?? 0, seq);
    const isEmpty = payload.length === 0 || bodyApart(message) !== undefined;
    const bodyBytes = isEmpty ? 0 : payload.length + FRAME_OVERHEAD_BYTES;
    const chunk = Buffer.allocUnsafe(headerAt + headerBytes + bodyBytes);
    chunk.set(head);
    chunk.writeUInt32BE(headerBytes - FRAME_OVERHEAD_BYTES, headerAt + 3);
    writeLong(chunk, payload.length, headerAt + FRAME_HEAD_BYTES + 4);
    writeLong(chunk, message.seq, seqAt);
    writeLong(chunk, message.receivedAtMs, receivedAtAt);
    chunk[idLengthAt] = (head[idLengthAt] ?? 0) + seq.length;
    let at = head.length + chunk.write(seq, head.length, 'latin1');
    writeLong(chunk, timestampOf(message), at);
    at += 8;
    chunk.set(tail, at);
    if (bodyBytes > 0) this.#writeBody(chunk, at + tail.length, payload);
    return chunk;
  }

  #checkHeader(bytes: number, idBytes: number, seq: string): void {
    if (bytes > this.#options.frameMax) {
      throw new RangeError(`properties of ${bytes} bytes do not fit into a frame`);
    }
    if (idBytes + seq.length > 255) throw new RangeError('the message-id has more than 255 bytes');
  }

  #writeBody(chunk: Buffer, at: number, payload: Buffer): void {
    writeFrameHead(chunk, at, BODY_FRAME, this.#options.channel, payload.length);
    chunk.set(payload, at + FRAME_HEAD_BYTES);
    chunk[at + FRAME_HEAD_BYTES + payload.length] = FRAME_END;
  }

  #frameFor(message: LaneMessage): Frame {
    const known = this.#byTopic.get(message.topic);
    if (known !== undefined && isAlike(known.from, message)) return known;
    const frame = this.#frameOf(message);
    const bytes = frame.head.length + frame.tail.length;
    if (bytes <= MOST_FRAME_BYTES) {
      remembered.remember(this.#byTopic, message.topic, frame, bytes + FRAME_MEMORY_BYTES);
    }
    return frame;
  }

  #frameOf(message: LaneMessage): Frame {
    const { lane, channel, exchange } = this.#options;
    const method = methodFrame(channel, exchange, message.routingKey);
    const properties = propertiesOf(message, lane);
    const { 'x-seq': _seq, 'x-received-at': _receivedAt, ...same } = properties.headers;
    const seq = longEntry('x-seq');
    const receivedAt = longEntry('x-received-at');
    const table = Buffer.concat([seq, receivedAt, tableEntries(same)]);
    if (table.length > MAX_TABLE_BYTES) throw new RangeError('the headers have more than 64 KiB');
    const before = [headerHead(channel, properties), lengthOf(table)];
    const tableAt = method.length + Buffer.concat(before).length;
    const upToId = [method, ...before, table, ...fieldsBeforeId(properties)];
    const idLengthAt = Buffer.concat(upToId).length;
    return {
      from: kept(message),
      head: Buffer.concat([...upToId, shortString(messageIdHead(message, lane))]),
      tail: Buffer.concat([
        ...text(properties.type),
        shortString(properties.appId),
        Buffer.of(FRAME_END),
      ]),
      headerAt: method.length,
      seqAt: tableAt + seq.length - 8,
      receivedAtAt: tableAt + seq.length + receivedAt.length - 8,
      idLengthAt,
    };
  }
}

/** The body of a message, if it is too large to be copied behind its header: it has to follow in frames of its own. */
export function bodyApart({ payload }: LaneMessage): Buffer | undefined {
  return payload.length > SMALL_BODY_BYTES ? payload : undefined;
}

/** The payload would be kept with it. */
function kept(message: LaneMessage): LaneMessage {
  return { ...message, payload: Buffer.alloc(0) };
}

/** True if but for the seq, the time and the payload the two are the same, topic and gateway apart, which are. */
function isAlike(one: LaneMessage, other: LaneMessage): boolean {
  return (
    one.clientId === other.clientId &&
    one.routingKey === other.routingKey &&
    one.amqp === other.amqp &&
    one.epoch === other.epoch &&
    one.run === other.run &&
    one.qos === other.qos &&
    one.dup === other.dup &&
    one.retain === other.retain &&
    one.fromStore === other.fromStore &&
    one.gatewayId === other.gatewayId
  );
}

function methodFrame(channel: number, exchange: string, routingKey: string): Buffer {
  const ids = Buffer.alloc(2 + 2 + 2); // the last two are reserved
  ids.writeUInt16BE(BASIC, 0);
  ids.writeUInt16BE(PUBLISH, 2);
  const fields = [shortString(exchange), shortString(routingKey), Buffer.of(MANDATORY)];
  const payload = Buffer.concat([ids, ...fields]);
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  writeFrameHead(head, 0, METHOD_FRAME, channel, payload.length);
  return Buffer.concat([head, payload, Buffer.of(FRAME_END)]);
}

/** The header frame up to its headers; its size and that of the body are 0. */
function headerHead(channel: number, properties: SentProperties): Buffer {
  const fixed = Buffer.alloc(FRAME_HEAD_BYTES + 2 + 2 + 8 + 2);
  writeFrameHead(fixed, 0, HEADER_FRAME, channel, 0);
  fixed.writeUInt16BE(BASIC, FRAME_HEAD_BYTES);
  let flags = 0;
  for (const [name, flag] of Object.entries(FLAGS)) {
    if (properties[name as keyof SentProperties] !== undefined) flags |= flag;
  }
  fixed.writeUInt16BE(flags, fixed.length - 2);
  return Buffer.concat([
    fixed,
    ...text(properties.contentType),
    ...text(properties.contentEncoding),
  ]);
}

function fieldsBeforeId(properties: SentProperties): Buffer[] {
  const { deliveryMode, priority, correlationId, replyTo, expiration } = properties;
  const octets = [deliveryMode, ...(priority === undefined ? [] : [priority])];
  return [Buffer.from(octets), ...text(correlationId), ...text(replyTo), ...text(expiration)];
}

function text(value: string | undefined): Buffer[] {
  return value === undefined ? [] : [shortString(value)];
}

function lengthOf(table: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(table.length, 0);
  return length;
}

function writeFrameHead(
  bytes: Buffer,
  at: number,
  type: number,
  channel: number,
  payloadBytes: number,
): void {
  bytes[at] = type;
  bytes.writeUInt16BE(channel, at + 1);
  bytes.writeUInt32BE(payloadBytes, at + 3);
}
