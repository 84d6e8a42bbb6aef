import { markersIn } from './power-cut-marker.ts';

const PROTOCOL_HEADER = 'AMQP';
const PROTOCOL_HEADER_BYTES = 8;
/** Type, channel and size before the payload; an end octet behind it (AMQP 0-9-1 §2.3.5). */
const FRAME_HEADER_BYTES = 7;
const FRAME_END_BYTES = 1;
const METHOD_FRAME = 1;
const BODY_FRAME = 3;
/** Class basic, methods publish and ack; as read from the first four octets of a method frame. */
const BASIC_PUBLISH = 0x003c_0028;
const BASIC_ACK = 0x003c_0050;

interface Frame {
  readonly type: number;
  readonly channel: number;
  readonly payload: Buffer;
}

/** What was published on one channel in confirm mode and is not confirmed. */
interface Channel {
  lastTag: number;
  readonly markers: Map<number, string>;
}

/** Reads from the bytes of AMQP connections which messages the broker has confirmed. */
export class AmqpPublishes {
  /** By the message's marker, the line on which its first confirm arrived. */
  readonly confirmed: Map<string, number> = new Map();
  readonly #out = new Map<string, FrameReader>();
  readonly #in = new Map<string, FrameReader>();
  readonly #channels = new Map<string, Channel>();

  sent(socket: string, bytes: Buffer): void {
    for (const frame of readerOf(this.#out, socket).read(bytes)) {
      const channel = this.#channel(socket, frame.channel);
      if (frame.type === METHOD_FRAME && frame.payload.readUInt32BE(0) === BASIC_PUBLISH) {
        channel.lastTag += 1;
      } else if (frame.type === BODY_FRAME) {
        const [marker] = markersIn(frame.payload.toString('latin1'));
        if (marker !== undefined) channel.markers.set(channel.lastTag, marker);
      }
    }
  }

  received(socket: string, bytes: Buffer, line: number): void {
    for (const { type, channel: number, payload } of readerOf(this.#in, socket).read(bytes)) {
      if (type !== METHOD_FRAME || payload.readUInt32BE(0) !== BASIC_ACK) continue;
      const channel = this.#channel(socket, number);
      const tag = Number(payload.readBigUInt64BE(4));
      const isMultiple = (payload.readUInt8(12) & 1) === 1;
      for (const [published, marker] of channel.markers) {
        if (published !== tag && !(isMultiple && published < tag)) continue;
        channel.markers.delete(published);
        if (!this.confirmed.has(marker)) this.confirmed.set(marker, line);
      }
    }
  }

  #channel(socket: string, number: number): Channel {
    const key = `${socket}#${number}`;
    const channel = this.#channels.get(key) ?? { lastTag: 0, markers: new Map() };
    this.#channels.set(key, channel);
    return channel;
  }
}

/** Cuts a stream of bytes into frames. */
class FrameReader {
  #held: Buffer = Buffer.alloc(0);

  *read(bytes: Buffer): Generator<Frame> {
    this.#held = Buffer.concat([this.#held, bytes]);
    if (this.#held.toString('latin1', 0, PROTOCOL_HEADER.length) === PROTOCOL_HEADER) {
      this.#held = this.#held.subarray(PROTOCOL_HEADER_BYTES);
    }
    while (this.#held.length >= FRAME_HEADER_BYTES) {
      const end = FRAME_HEADER_BYTES + this.#held.readUInt32BE(3);
      if (this.#held.length < end + FRAME_END_BYTES) return;
      yield {
        type: this.#held.readUInt8(0),
        channel: this.#held.readUInt16BE(1),
        payload: this.#held.subarray(FRAME_HEADER_BYTES, end),
      };
      this.#held = this.#held.subarray(end + FRAME_END_BYTES);
    }
  }
}

function readerOf(readers: Map<string, FrameReader>, socket: string): FrameReader {
  const reader = readers.get(socket) ?? new FrameReader();
  readers.set(socket, reader);
  return reader;
}
