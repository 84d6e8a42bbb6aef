/**
 * Which offsets of a log are settled. Confirms come in any order; records leave only from the front, so the
 * low-water mark follows the contiguous prefix.
 *
 *     settled settled settled | open settled open open
 *                             └ low-water mark: 3, settled above it: {4}
 */
export class Settlement {
  #mark: number;
  readonly #above = new Set<number>();

  constructor(lowWaterMark: number) {
    this.#mark = lowWaterMark;
  }

  /** All offsets below it are settled. */
  get lowWaterMark(): number {
    return this.#mark;
  }

  /** How many offsets at or above the mark are settled. Of what was published at most a window; what is given up may be more. */
  get aboveCount(): number {
    return this.#above.size;
  }

  /** Settles one offset and returns the low-water mark. Settling twice is harmless. */
  settle(offset: number): number {
    if (offset > this.#mark) this.#above.add(offset);
    if (offset !== this.#mark) return this.#mark;
    this.#mark += 1;
    while (this.#above.delete(this.#mark)) this.#mark += 1;
    return this.#mark;
  }

  isSettled(offset: number): boolean {
    return offset < this.#mark || this.#above.has(offset);
  }
}
