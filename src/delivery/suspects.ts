import type { Entry } from './entry.ts';

/**
 * Which messages may have arrived although the lane knows nothing of it: they were published, and their answer was lost.
 * Given up afterwards, they are named as uncertain. In doubt a message is suspect: so are all of earlier runs, which may
 * have published them.
 */
export class Suspects {
  /** In the log all below it are suspect. */
  #endOffset: number;
  /** Suspect, and on their way into the log. */
  readonly #unplaced = new Set<Entry>();

  /** `endOffset` is that of the log as the start found it. */
  constructor(endOffset: number) {
    this.#endOffset = endOffset;
  }

  /** It was in flight, and no answer will come. */
  add(entry: Entry): void {
    if (entry.offset < 0) this.#unplaced.add(entry);
    else this.#endOffset = Math.max(this.#endOffset, entry.offset + 1);
  }

  /** An append became durable: the entry has its offset. */
  appended(entry: Entry): void {
    if (this.#unplaced.size > 0 && this.#unplaced.delete(entry)) this.add(entry);
  }

  has(entry: Entry): boolean {
    return this.hasOffset(entry.offset) || this.#unplaced.has(entry);
  }

  /** The same of a place in the log; -1 is none. */
  hasOffset(offset: number): boolean {
    return offset >= 0 && offset < this.#endOffset;
  }
}
