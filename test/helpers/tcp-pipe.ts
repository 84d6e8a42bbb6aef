import type { Socket } from 'node:net';

/** How a proxy treats bytes at present; all its pipes share one and obey changes at once. */
export interface Shape {
  stalled: boolean;
  latencyMs: number;
  /** Per connection and direction; undefined is no limit. */
  bytesPerSecond: number | undefined;
}

/** What is held back before the source is no longer read, so that its sender feels the stall. */
const HELD_LIMIT_BYTES = 256 * 1024;
/** A throttled pipe sends in steps of this length, which keeps a slow link smooth. */
const THROTTLE_STEP_MS = 20;

type Parcel =
  | { readonly dueMs: number; readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly dueMs: number; readonly kind: 'end' | 'reset' };

/** One direction of a proxied connection: bytes, end and reset leave in the order in which they came. */
export class TcpPipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #shape: Shape;
  readonly #parcels: Parcel[] = [];
  #heldBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #waitsForDrain = false;
  /** Not before then may a throttled pipe send again. */
  #nextSendMs = 0;

  constructor(from: Socket, to: Socket, shape: Shape) {
    this.#from = from;
    this.#to = to;
    this.#shape = shape;
  }

  /** Read from the source and not yet written to the target. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  start(): void {
    this.#from.on('data', (bytes) => {
      this.#heldBytes += bytes.length;
      if (this.#heldBytes > HELD_LIMIT_BYTES) this.#from.pause();
      this.#push({ kind: 'bytes', bytes, dueMs: performance.now() + this.#shape.latencyMs });
    });
    this.#from.on('end', () =>
      this.#push({ kind: 'end', dueMs: performance.now() + this.#shape.latencyMs }),
    );
    this.#from.on('close', (hadError) => {
      // Without an error both sides have ended in order, and nothing is left to tell.
      if (hadError) this.#push({ kind: 'reset', dueMs: performance.now() + this.#shape.latencyMs });
    });
    // 'close' follows, and is what the other side gets to feel.
    this.#from.on('error', () => {});
    this.#to.on('drain', () => {
      this.#waitsForDrain = false;
      this.wake();
    });
    this.#to.on('close', () => clearTimeout(this.#timer));
  }

  /** Looks again at what is held, after the shape has changed. */
  wake(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#move();
  }

  #push(parcel: Parcel): void {
    this.#parcels.push(parcel);
    if (this.#timer === undefined) this.#move();
  }

  #move(): void {
    while (!this.#shape.stalled && !this.#waitsForDrain && !this.#to.destroyed) {
      const parcel = this.#parcels[0];
      if (parcel === undefined) return;
      const waitMs = Math.max(parcel.dueMs, this.#nextSendMs) - performance.now();
      if (waitMs > 0) {
        this.#moveIn(waitMs);
        return;
      }
      this.#parcels.shift();
      if (parcel.kind === 'bytes') this.#send(parcel);
      else if (parcel.kind === 'end') this.#to.end();
      else this.#to.resetAndDestroy();
    }
  }

  #send(parcel: Parcel & { kind: 'bytes' }): void {
    const { bytesPerSecond } = this.#shape;
    let { bytes } = parcel;
    if (bytesPerSecond !== undefined) {
      bytes = bytes.subarray(0, Math.ceil((bytesPerSecond * THROTTLE_STEP_MS) / 1000));
      const startMs = Math.max(this.#nextSendMs, performance.now() - THROTTLE_STEP_MS);
      this.#nextSendMs = startMs + (bytes.length / bytesPerSecond) * 1000;
    }
    if (bytes.length < parcel.bytes.length) {
      this.#parcels.unshift({ ...parcel, bytes: parcel.bytes.subarray(bytes.length) });
    }
    this.#waitsForDrain = !this.#to.write(bytes);
    this.#heldBytes -= bytes.length;
    if (this.#heldBytes <= HELD_LIMIT_BYTES) this.#from.resume();
  }

  #moveIn(waitMs: number): void {
    this.#timer = setTimeout(() => this.wake(), waitMs);
  }
}
