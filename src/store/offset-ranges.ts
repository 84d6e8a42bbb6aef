/** Offsets, kept as ranges: few, however many offsets they hold. */
export class OffsetRanges {
  #ranges: { from: number; to: number }[] = [];

  /** Adds `from` up to but without `to`. Returns those parts that were not in it yet. */
  add(from: number, to: number): { from: number; to: number }[] {
    const fresh: { from: number; to: number }[] = [];
    let at = from;
    for (const range of this.#ranges.filter((one) => one.to > from && one.from < to)) {
      if (range.from > at) fresh.push({ from: at, to: range.from });
      at = Math.max(at, range.to);
    }
    if (at < to) fresh.push({ from: at, to });
    this.#ranges = [...this.#ranges, ...fresh].sort((a, b) => a.from - b.from);
    return fresh;
  }

  /** Forgets the ranges that lie below `offset` as a whole. */
  forgetBelow(offset: number): void {
    this.#ranges = this.#ranges.filter((range) => range.to > offset);
  }
}
