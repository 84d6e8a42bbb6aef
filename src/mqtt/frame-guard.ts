import type { Socket } from 'node:net';
import type { RefusalReason } from './ports.ts';

/** A CONNECT of two strings of 64 KiB; larger ones are attacks, not devices. */
const MAX_BYTES_BEFORE_CONNECT = 131_072;
/** Topic name of 65,535 bytes, its length, packet identifier and fixed header. */
const PUBLISH_OVERHEAD_BYTES = 65_535 + 16;
const CONNECT_TYPE = 1;
/** MQTT 3.1.1 §2.2.3: a remaining length has at most four bytes. */
const MAX_LENGTH_BYTES = 4;

/** What a byte stream does that no MQTT client may do. */
export type FrameFault = Extract<
  RefusalReason,
  'frame_too_large' | 'malformed_length' | 'connect_expected'
>;

/**
 * Follows the MQTT frames of one inbound byte stream and finds the first fault, before anything of the faulty frame's
 * body is buffered. Work is constant per frame; nothing is copied. Frames may be cut anywhere.
 */
export class FrameGuard {
  readonly #maxFrameBytes: number;
  #limitBytes = MAX_BYTES_BEFORE_CONNECT;
  #isFirst = true;
  /** Bytes of the current frame's body that are still to come; -1 within a fixed header. */
  #bodyBytes = -1;
  #lengthBytes = 0;
  #lengthSoFar = 0;
  #inHeader = false;

  /** @param maxPayloadBytes payloads up to it pass with any topic name */
  constructor(maxPayloadBytes: number) {
    this.#maxFrameBytes = maxPayloadBytes + PUBLISH_OVERHEAD_BYTES;
  }

  /** Follows the next bytes; returns the fault, after which the stream must be closed. */
  follow(bytes: Uint8Array): FrameFault | undefined {
    let position = 0;
    while (position < bytes.length) {
      if (this.#bodyBytes >= 0) {
        const skipped = Math.min(this.#bodyBytes, bytes.length - position);
        position += skipped;
        this.#bodyBytes -= skipped;
        if (this.#bodyBytes === 0) this.#endFrame();
        continue;
      }
      const fault = this.#followHeader(bytes[position] ?? 0);
      if (fault !== undefined) return fault;
      position++;
    }
    return undefined;
  }

  #followHeader(byte: number): FrameFault | undefined {
    if (!this.#inHeader) {
      this.#inHeader = true;
      const isConnect = byte >> 4 === CONNECT_TYPE;
      return this.#isFirst && !isConnect ? 'connect_expected' : undefined; // [MQTT-3.1.0-1]
    }
    this.#lengthSoFar += (byte & 0x7f) * 128 ** this.#lengthBytes;
    this.#lengthBytes++;
    if (byte > 0x7f) {
      return this.#lengthBytes === MAX_LENGTH_BYTES ? 'malformed_length' : undefined;
    }
    if (1 + this.#lengthBytes + this.#lengthSoFar > this.#limitBytes) return 'frame_too_large';
    this.#bodyBytes = this.#lengthSoFar;
    if (this.#bodyBytes === 0) this.#endFrame();
    return undefined;
  }

  #endFrame(): void {
    this.#isFirst = false;
    this.#limitBytes = this.#maxFrameBytes;
    this.#bodyBytes = -1;
    this.#lengthBytes = 0;
    this.#lengthSoFar = 0;
    this.#inHeader = false;
  }
}

/**
 * Puts a guard before everything that reads the socket. It replaces `push` on this one socket, the method through
 * which Node hands received bytes to the stream: a Duplex in between would cost a copy of the stream machinery a chunk.
 * @param refuse must destroy the socket; the faulty chunk goes no further
 */
export function guardFrames(
  socket: Socket,
  guard: FrameGuard,
  refuse: (fault: FrameFault) => void,
): void {
  const push = socket.push.bind(socket);
  socket.push = (chunk: Uint8Array | null, encoding?: BufferEncoding): boolean => {
    const fault = chunk === null ? undefined : guard.follow(chunk);
    if (fault === undefined) return push(chunk, encoding);
    refuse(fault);
    return false;
  };
}
