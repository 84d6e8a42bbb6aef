import type { WindowConfig } from '../config/types.ts';
import { type Entry, entryBytes } from './entry.ts';

/**
 * What is published and not answered, oldest first, bounded by count and bytes. amqplib would take any number
 * of messages into memory: this window is the only bound.
 */
export class InFlightWindow {
  readonly #limits: WindowConfig;
  readonly #entries = new Set<Entry>();
  #bytes = 0;
  #unstored = 0;
  /** With caution one message at a time is let out. */
  cautious = false;

  constructor(limits: WindowConfig) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** How many are not in the log and not on the way there. */
  get unstored(): number {
    return this.#unstored;
  }

  /** One message always fits, however large. */
  hasRoomFor(entry: Entry): boolean {
    if (this.#entries.size === 0) return true;
    if (this.cautious || this.#entries.size >= this.#limits.maxMessages) return false;
    return this.#bytes + entryBytes(entry) <= this.#limits.maxBytes;
  }

  add(entry: Entry): void {
    this.#entries.add(entry);
    this.#bytes += entryBytes(entry);
    if (!entry.stored) this.#unstored += 1;
  }

  remove(entry: Entry): void {
    if (!this.#entries.delete(entry)) return;
    this.#bytes -= entryBytes(entry);
    if (!entry.stored) this.#unstored -= 1;
  }

  /** Those that were not in the log, in order of publishing: they are on the way there from now on. */
  takeUnstored(): readonly Entry[] {
    const unstored = this.entries().filter((entry) => !entry.stored);
    this.#unstored = 0;
    return unstored;
  }

  oldest(): Entry | undefined {
    return this.#entries.values().next().value;
  }

  /** All entries in order of publishing. */
  entries(): readonly Entry[] {
    return [...this.#entries];
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
    this.#unstored = 0;
  }
}
