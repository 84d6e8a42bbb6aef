/** What one packet holds in memory beside topic name and payload, roughly. */
const PACKET_OVERHEAD_BYTES = 512;

/** Bytes of memory that may be in use for one purpose, over all clients. */
export class ByteBudget {
  readonly #maxBytes: number;
  #usedBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Takes so many, or none and returns false. */
  take(bytes: number): boolean {
    if (this.#usedBytes + bytes > this.#maxBytes) return false;
    this.#usedBytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes;
  }
}

/** Memory that a packet holds, roughly. */
export function packetBytes(packet: {
  readonly topic: string;
  readonly payload: string | Buffer;
}): number {
  return packet.payload.length + Buffer.byteLength(packet.topic) + PACKET_OVERHEAD_BYTES;
}

/** A payload on its own: as it arrives it keeps all that was read from the socket with it in memory. */
export function ownPayload(payload: string | Buffer): Buffer {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
  const own = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(own);
  return own;
}
