import { type Entry, tellUnsafe } from './entry.ts';
import type { AppendDone, LaneLog } from './ports.ts';

/** What is on the way into the log, in the order in which it will be durable. */
export class AppendQueue implements AppendDone {
  readonly #log: LaneLog;
  readonly #onDurable: (entry: Entry) => void;
  readonly #entries: Entry[] = [];
  #failed = 0;

  /** `onDurable` is called in the order of the appends, after the entry was given its offset. */
  constructor(log: LaneLog, onDurable: (entry: Entry) => void) {
    this.#log = log;
    this.#onDurable = onDurable;
  }

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** Appends; a log that was closed first makes the message unsafe. */
  append(entry: Entry): void {
    entry.stored = true;
    if (!entry.inFlight) entry.message.fromStore = true;
    this.#entries.push(entry);
    this.#log.append(entry.message, this);
  }

  /** For the log. */
  appended(offset: number): void {
    const entry = this.#entries.shift();
    if (entry === undefined) throw new Error('the log has more appends than the lane');
    entry.offset = offset;
    this.#onDurable(entry);
  }

  /** For the log. What failed stays among the entries: it has its place in the order and is not safe. */
  failed(error: unknown): void {
    const entry = this.#entries[this.#failed];
    this.#failed += 1;
    if (entry !== undefined) tellUnsafe(entry, error);
  }

  /** The message's offset, or the least that it is about to get: released messages may come before it. */
  placeOf(entry: Entry): number {
    return entry.offset >= 0 ? entry.offset : this.#log.endOffset + this.#entries.indexOf(entry);
  }
}
