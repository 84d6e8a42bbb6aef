import type { AedesClient } from './aedes-internals.ts';
import { PacketReader } from './packet-reader.ts';

/**
 * While this much of one client is not complete, its socket is not read ahead: enough for the usual window of a device,
 * so that PUBLISHes which arrive one by one need not wait for each other.
 */
const READ_AHEAD_PACKETS = 64;
const READ_AHEAD_BYTES = 65_536;

/**
 * Decides when a client's socket is read, so that a client whose messages do not become safe is held back by TCP and
 * not by our memory: what is held is bounded by the read-ahead, one chunk of the socket and one frame.
 *
 * aedes 1.2.0 means to read the next chunk when all packets of the last are done, but its listener of `readable` counts
 * one packet down for each event: chunks of one packet each would be read without bound. This listener replaces it.
 */
export class SocketReader {
  readonly #client: AedesClient;
  readonly #pendingBytes: () => number;
  #stopped = false;

  /** @param pendingBytes payload bytes of this client that are not complete */
  constructor(client: AedesClient, pendingBytes: () => number) {
    this.#client = client;
    this.#pendingBytes = pendingBytes;
  }

  /** True once the client has its CONNACK. */
  get isConnected(): boolean {
    return this.#client.connected;
  }

  /** Takes the place of aedes' own listener. */
  start(): void {
    const { conn, _nextBatch: nextBatch, _parser: parser } = this.#client;
    conn.removeListener('readable', nextBatch);
    conn.on('readable', () => this.#onReadable());
    const packets = new PacketReader(parser);
    // What a packet makes aedes or the parser throw ends its connection, not the process.
    parser.parse = (bytes) => {
      // A DISCONNECT makes aedes read on from within it, and the bytes of then would be ahead of those behind it.
      if (conn.destroyed) return 0;
      try {
        packets.read(bytes);
      } catch (error) {
        this.#client.emit('error', error);
      }
      return 0; // aedes does not look at it
    };
  }

  /** Reads nothing more, for good. Packets that were read are completed. */
  stop(): void {
    this.#stopped = true;
    this.#client.pause();
  }

  #onReadable(): void {
    const client = this.#client;
    if (this.#stopped) return;
    if (!client.connected) {
      // Until CONNECT is there: read on. While it is being answered: wait, aedes goes on reading by itself.
      if (!client.connecting) client._nextBatch();
      return;
    }
    if (client._parsingBatch >= READ_AHEAD_PACKETS) return;
    if (this.#pendingBytes() >= READ_AHEAD_BYTES) return;
    const bytes: Buffer | null = client.conn.read();
    if (bytes !== null) client._parser.parse(bytes);
  }
}
