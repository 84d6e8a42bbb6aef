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

  /** One message always fits, however large. */
  hasRoomFor(entry: Entry): boolean {
    if (this.#entries.size === 0) return true;
    if (this.cautious || this.#entries.size >= this.#limits.maxMessages) return false;
    return this.#bytes + entryBytes(entry) <= this.#limits.maxBytes;
  }

  add(entry: Entry): void {
    this.#entries.add(entry);
    this.#bytes += entryBytes(entry);
  }

  remove(entry: Entry): void {
    if (this.#entries.delete(entry)) this.#bytes -= entryBytes(entry);
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
  }
}
