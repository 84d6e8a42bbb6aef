import type { Entry } from './entry.ts';

/** After so many refusals of the same message alone on the channel, the message is at fault and not the lane. */
const MAX_REFUSALS = 3;

/**
 * Reply codes by which a broker closes the channel for what is in one message: content-too-large (311),
 * precondition-failed (406: over max_message_size, bad expiration, foreign user-id). AMQP 0-9-1 §1.1.
 */
const MESSAGE_AT_FAULT: ReadonlySet<number> = new Set([311, 406]);

/**
 * Finds the message that makes the broker close the channel. After a refusal everything that was in flight
 * is suspect and goes out one by one, until the last suspect is settled.
 */
export class Caution {
  #untilOffset = -1;
  #suspectOffset = -1;
  /** The last suspect, while it is on its way into the log. */
  #unplaced: Entry | undefined;
  #refusals = 0;

  /** True while messages go out one by one. */
  isNeeded(lowWaterMark: number): boolean {
    return lowWaterMark <= this.#untilOffset;
  }

  /** Messages up to this one are suspect. `place` is its offset, or the first it can get: released ones may be put before it. */
  extendTo(entry: Entry, place: number): void {
    this.#untilOffset = Math.max(this.#untilOffset, place);
    if (entry.offset < 0) this.#unplaced = entry;
  }

  /** An append became durable, and its place is known. */
  appended(entry: Entry): void {
    if (entry !== this.#unplaced) return;
    this.#unplaced = undefined;
    this.#untilOffset = Math.max(this.#untilOffset, entry.offset);
  }

  /**
   * The channel was closed with `replyCode` while `inFlight` was on it.
   * @returns the message that has proven to be the cause, if there is one.
   */
  closed(replyCode: number | undefined, inFlight: readonly Entry[]): Entry | undefined {
    if (replyCode === undefined || !MESSAGE_AT_FAULT.has(replyCode)) return undefined;
    const [only] = inFlight;
    if (inFlight.length !== 1 || only === undefined || only.offset < 0) return undefined;
    if (only.offset !== this.#suspectOffset) this.#refusals = 0;
    this.#suspectOffset = only.offset;
    this.#refusals += 1;
    return this.#refusals >= MAX_REFUSALS ? only : undefined;
  }
}
