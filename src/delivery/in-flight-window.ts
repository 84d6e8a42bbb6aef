import type { WindowConfig } from '../config/types.ts';
import { type Entry, entryBytes, publishedBytes } from './entry.ts';
import type { BudgetShare } from './shared-budget.ts';

/**
 * What is published and not answered, oldest first, bounded by count and bytes, and by the bytes that all lanes share.
 * amqplib would take any number of messages into memory: this window is the only bound.
 */
export class InFlightWindow {
  readonly #limits: WindowConfig;
  readonly #share: BudgetShare;
  readonly #entries = new Set<Entry>();
  #bytes = 0;
  /** With caution one message at a time is let out. */
  cautious = false;

  constructor(limits: WindowConfig, share: BudgetShare) {
    this.#limits = limits;
    this.#share = share;
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** As far as this lane goes, in which one message always fits, however large. */
  hasRoomFor(entry: Entry): boolean {
    if (this.#entries.size === 0) return true;
    if (this.cautious || this.#entries.size >= this.#limits.maxMessages) return false;
    return this.#bytes + entryBytes(entry) <= this.#limits.maxBytes;
  }

  /** Puts it in, if there is room here and in what all lanes share; the share tells when there is. */
  add(entry: Entry): boolean {
    if (!this.hasRoomFor(entry) || !this.#share.take(publishedBytes(entry))) return false;
    this.#entries.add(entry);
    this.#bytes += entryBytes(entry);
    return true;
  }

  remove(entry: Entry): void {
    if (!this.#entries.delete(entry)) return;
    this.#bytes -= entryBytes(entry);
    this.#share.give(publishedBytes(entry));
  }

  oldest(): Entry | undefined {
    return this.#entries.values().next().value;
  }

  /** All entries in order of publishing. */
  entries(): readonly Entry[] {
    return [...this.#entries];
  }

  clear(): void {
    for (const entry of this.#entries) this.#share.give(publishedBytes(entry));
    this.#entries.clear();
    this.#bytes = 0;
  }
}
