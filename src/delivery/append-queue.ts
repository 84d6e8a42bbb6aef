import type { Entry } from './entry.ts';
import type { LaneLog } from './ports.ts';

/** What is on the way into the log, in the order in which it will be durable. */
export class AppendQueue {
  readonly #log: LaneLog;
  readonly #onDurable: (entry: Entry) => void;
  #entries: Entry[] = [];

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
    this.#log.append(entry.message).then(
      (offset) => {
        this.#entries.shift();
        entry.offset = offset;
        this.#onDurable(entry);
      },
      (error: unknown) => entry.unsafe(error),
    );
  }

  /** The message's offset, or the least that it is about to get: released messages may come before it. */
  placeOf(entry: Entry): number {
    return entry.offset >= 0 ? entry.offset : this.#log.endOffset + this.#entries.indexOf(entry);
  }
}
