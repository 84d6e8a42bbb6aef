import type { AedesParser } from './aedes-internals.ts';
import { frameAt, publishIn } from './publish-frame.ts';

/**
 * Takes the packets out of the bytes of one connection. A PUBLISH that is whole in a chunk and plainly right is taken
 * here, and everything else by mqtt-packet, frame by frame: its way was a quarter of the work of a stored message. It
 * gets no byte behind a frame, so that what comes next begins with a fixed header.
 */
export class PacketReader {
  readonly #parser: AedesParser;
  readonly #parse: (bytes: Buffer) => number;
  /** Bytes that the frame which mqtt-packet has begun still lacks. */
  #missingBytes = 0;
  /** A fixed header that is cut off: four bytes at most. */
  #cutHeader: Buffer | undefined;

  constructor(parser: AedesParser) {
    this.#parser = parser;
    this.#parse = parser.parse.bind(parser);
  }

  /** Takes the next bytes, in which frames may be cut anywhere. Throws what aedes or mqtt-packet throws. */
  read(chunk: Buffer): void {
    const bytes = this.#cutHeader === undefined ? chunk : Buffer.concat([this.#cutHeader, chunk]);
    this.#cutHeader = undefined;
    let at = Math.min(this.#missingBytes, bytes.length);
    this.#missingBytes -= at;
    if (at > 0) this.#parse(bytes.subarray(0, at));
    while (at < bytes.length) {
      const frame = frameAt(bytes, at);
      if (frame === undefined) {
        this.#cutHeader = bytes.subarray(at);
        return;
      }
      const publish = frame.end <= bytes.length ? publishIn(bytes, at, frame) : undefined;
      if (publish === undefined) {
        this.#missingBytes = Math.max(0, frame.end - bytes.length);
        this.#parse(bytes.subarray(at, frame.end));
      } else this.#parser.emit('packet', publish);
      at = frame.end;
    }
  }
}
