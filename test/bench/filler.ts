import { randomBytes } from 'node:crypto';

/** Several of the largest payload, so that a window of it seldom begins where another one did. */
const POOL_BYTES = 1024 * 1024;
/** Prime, so that all places of the pool have their turn. */
const STEP_BYTES = 7_919;

/**
 * Random text for the rest of a payload. Tables of LevelDB are compressed: payloads of one letter, or one that comes
 * again and again, would make it faster and its tables smaller than any telemetry does.
 */
export class Filler {
  readonly #pool: Buffer = Buffer.from(randomBytes(POOL_BYTES).toString('base64'), 'latin1');
  #at = 0;

  /** Fills `bytes` from `start` up to `end`, each time with another text without spaces; at most 1 MiB. */
  fill(bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    this.#at = (this.#at + STEP_BYTES) % (this.#pool.length - length);
    this.#pool.copy(bytes, start, this.#at, this.#at + length);
  }
}
