import { type Entry, entryBytes, storedEntry } from './entry.ts';
import type { LaneLog } from './ports.ts';
import type { Settlement } from './settlement.ts';

/** Messages loaded ahead of the window. More would only take memory. */
const MAX_READY_MESSAGES = 1_000;
const MAX_READY_BYTES = 2 * 1024 * 1024;
const READ_COUNT = 500;

/**
 * What is in the log and not yet published, in order. Near its front it is in memory, the rest is read when
 * it is needed. A message just appended stays in memory if everything before it is there too: a lane that
 * keeps up never reads.
 *
 *     settled … │ in flight … │ ready (memory) … │ on disk … │ being appended
 *               └ low-water mark                 └ loadedTo  └ log.endOffset
 */
export class Backlog {
  readonly #log: LaneLog;
  readonly #settlement: Settlement;
  readonly #onLoaded: () => void;
  readonly #onReadError: (error: unknown) => void;
  #ready: Entry[] = [];
  #head = 0;
  #bytes = 0;
  #loading: Promise<void> | undefined;
  #generation = 0;
  /** Offsets at or above `loadedTo` that are in flight already. */
  readonly #claimed = new Set<number>();
  loadedTo: number;

  constructor(
    log: LaneLog,
    settlement: Settlement,
    hooks: { onLoaded: () => void; onReadError: (error: unknown) => void },
  ) {
    this.#log = log;
    this.#settlement = settlement;
    this.#onLoaded = hooks.onLoaded;
    this.#onReadError = hooks.onReadError;
    this.loadedTo = settlement.lowWaterMark;
  }

  /** True when everything that is durable has been handed out. */
  get isHandedOut(): boolean {
    return this.#head === this.#ready.length && this.loadedTo >= this.#log.endOffset;
  }

  /** The next message to publish, if it is in memory; otherwise loading starts. */
  peek(): Entry | undefined {
    if (this.#ready.length - this.#head < MAX_READY_MESSAGES / 2) this.#load();
    return this.#ready[this.#head];
  }

  /** Takes the message that `peek` showed. */
  shift(): void {
    const entry = this.#ready[this.#head];
    if (entry === undefined) return;
    this.#bytes -= entryBytes(entry);
    this.#head += 1;
    if (this.#head < 256 && this.#head < this.#ready.length) return;
    this.#ready = this.#ready.slice(this.#head);
    this.#head = 0;
  }

  /** An append became durable. Keeps the message in memory if it is the next one and there is room. */
  appended(entry: Entry): void {
    if (this.#loading !== undefined || entry.offset !== this.loadedTo) return;
    const full =
      this.#ready.length - this.#head >= MAX_READY_MESSAGES || this.#bytes > MAX_READY_BYTES;
    if (full) return;
    this.#push(entry);
    this.loadedTo = entry.offset + 1;
  }

  /** This offset is in flight or settled already and must not be handed out. */
  claim(offset: number): void {
    if (offset === this.loadedTo && this.#loading === undefined) this.loadedTo += 1;
    else if (offset >= this.loadedTo) this.#claimed.add(offset);
  }

  /** Begins again at the low-water mark: what was in flight must be published again. */
  rewind(): void {
    this.#generation += 1;
    this.#ready = [];
    this.#head = 0;
    this.#bytes = 0;
    this.#claimed.clear();
    this.loadedTo = this.#settlement.lowWaterMark;
  }

  /** Waits for a read under way. */
  async idle(): Promise<void> {
    await this.#loading;
  }

  #push(entry: Entry): void {
    this.#ready.push(entry);
    this.#bytes += entryBytes(entry);
  }

  #load(): void {
    if (this.#loading !== undefined || this.loadedTo >= this.#log.endOffset) return;
    if (this.#bytes > MAX_READY_BYTES) return;
    this.#loading = this.#read(this.#generation).then(
      () => {
        this.#loading = undefined;
        this.#onLoaded();
      },
      (error: unknown) => {
        this.#loading = undefined;
        this.#onReadError(error);
      },
    );
  }

  async #read(generation: number): Promise<void> {
    const from = this.loadedTo;
    const chunk = await this.#log.read(from, READ_COUNT);
    if (generation !== this.#generation) return;
    let expected = from;
    for (const { offset, message } of chunk.messages) {
      this.#skipDamaged(expected, offset);
      expected = offset + 1;
      if (this.#claimed.delete(offset) || this.#settlement.isSettled(offset)) continue;
      this.#push(storedEntry(offset, message));
    }
    this.#skipDamaged(expected, chunk.nextOffset);
    this.loadedTo = chunk.nextOffset;
    if (this.loadedTo >= this.#log.endOffset) await this.#log.endRead();
  }

  /** What cannot be read will never come: it is settled, so that the rest can be. */
  #skipDamaged(from: number, to: number): void {
    for (let offset = from; offset < to; offset += 1) {
      if (!this.#claimed.delete(offset)) this.#log.settle(this.#settlement.settle(offset));
    }
  }
}
