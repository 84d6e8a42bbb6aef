import type { LaneMessage } from '../shared/message.ts';

/**
 * A clock that was never set says 1970. Stamped before this moment (2020-01-01), a message has no known age
 * and does not expire.
 */
const CLOCK_IS_SET_MS = 1_577_836_800_000;

/** A wall clock that moves against the monotonic one by more than this was set. */
const JUMP_MS = 1_000;

/** Settings of the wall clock that are remembered. One that is set more often has no time that could be trusted. */
const MOST_SETTINGS = 100;

export interface Clocks {
  /** Wall clock, in ms since 1970. */
  readonly wallMs: () => number;
  /** A clock that nobody sets, in ms. */
  readonly monotonicMs: () => number;
}

/** What the wall clock was ahead of the monotonic one, from a seq on. */
interface Setting {
  readonly fromSeq: number;
  readonly aheadMs: number;
}

/**
 * How old messages are. A gateway without a battery clock boots days behind and is set when the uplink returns:
 * what it has just received must not be days old then. So the age of this run's messages goes by the monotonic
 * clock; only that of earlier runs' by the wall clock.
 */
export class MessageAge {
  readonly #epoch: number;
  readonly #clocks: Clocks;
  readonly #settings: Setting[];

  /** `epoch` is that of this run. */
  constructor(epoch: number, clocks: Clocks) {
    this.#epoch = epoch;
    this.#clocks = clocks;
    this.#settings = [{ fromSeq: 0, aheadMs: clocks.wallMs() - clocks.monotonicMs() }];
  }

  /** A message of this run arrives, stamped by the wall clock as it is now. Seqs only grow. */
  arrived(seq: number): void {
    const aheadMs = this.#aheadMs;
    const last = this.#settings.at(-1);
    if (last !== undefined && Math.abs(aheadMs - last.aheadMs) <= JUMP_MS) return;
    this.#settings.push({ fromSeq: seq, aheadMs });
    if (this.#settings.length > MOST_SETTINGS) this.#settings.shift();
  }

  /** Age in ms, within a second for a message of this run; undefined where the clock that stamped it was not set. */
  of({ epoch, seq, receivedAtMs }: LaneMessage): number | undefined {
    if (receivedAtMs < CLOCK_IS_SET_MS) return undefined;
    if (epoch !== this.#epoch) return this.#clocks.wallMs() - receivedAtMs;
    const setting = this.#settings.findLast(({ fromSeq }) => fromSeq <= seq) ?? this.#settings[0];
    return this.#clocks.monotonicMs() + (setting?.aheadMs ?? 0) - receivedAtMs;
  }

  get #aheadMs(): number {
    return this.#clocks.wallMs() - this.#clocks.monotonicMs();
  }
}
