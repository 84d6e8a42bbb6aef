/** Looks at the processor time so many times within the limit. */
const LOOKS = 2;

/** Of the time between two looks, what must have been spent computing to count as more than a slow machine. */
const BUSY_SHARE = 0.8;

/** Looks after which it is over whatever was spent: a process that is stopped or swapped out computes nothing. */
const MOST_LOOKS = 20;

export interface TimeLimitParts {
  /** Processor time of the process so far, in ms; undefined where the system does not tell. */
  readonly cpuMs: () => number | undefined;
  /** `isProven`: it was the process that took the time, and not the machine that did not give it any. */
  readonly onOver: (isProven: boolean) => void;
}

/**
 * Limits the time that a process may take without telling anything. Time counts in which it computes: on a machine
 * that is overloaded, or was suspended, a message must not be parked for it.
 */
export class TimeLimit {
  readonly #parts: TimeLimitParts;
  #timer: NodeJS.Timeout | undefined;
  #looks = 0;
  /** At the first look: all that is spent later is spent within the limit. */
  #firstCpuMs = 0;
  /** Counts the beginnings and ends, so that a late look finds out that it is not wanted any more. */
  #turn = 0;

  constructor(parts: TimeLimitParts) {
    this.#parts = parts;
  }

  /** Begins anew. `onOver` is called once when the time is over, unless `end` or `begin` comes first. */
  begin(limitMs: number): void {
    this.end();
    this.#looks = 0;
    this.#lookIn(limitMs / LOOKS);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#turn += 1;
  }

  #lookIn(waitMs: number): void {
    const turn = this.#turn;
    this.#timer = setTimeout(() => {
      // When it is the gateway that was slow, what the process told is there and is read before that.
      setImmediate(() => {
        if (turn === this.#turn) this.#look(waitMs);
      });
    }, waitMs);
  }

  #look(waitMs: number): void {
    const cpuMs = this.#parts.cpuMs() ?? performance.now();
    this.#looks += 1;
    if (this.#looks === 1) this.#firstCpuMs = cpuMs;
    else {
      const isProven = cpuMs - this.#firstCpuMs >= waitMs * BUSY_SHARE;
      if (isProven || this.#looks >= MOST_LOOKS) {
        this.end();
        this.#parts.onOver(isProven);
        return;
      }
    }
    this.#lookIn(waitMs);
  }
}
