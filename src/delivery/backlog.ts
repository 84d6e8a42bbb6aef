import { type Entry, entryBytes, storedEntry } from './entry.ts';
import type { LaneLog, LostRecords } from './ports.ts';
import type { Settlement } from './settlement.ts';
import type { BudgetShare, SharedBudget } from './shared-budget.ts';

/** Messages loaded ahead of the window, within what all lanes share. More would only take memory. */
const MAX_READY_MESSAGES = 1_000;
const MAX_READY_BYTES = 2 * 1024 * 1024;
const READ_COUNT = 500;
/** What the log brings in one read, roughly, beside one message that is larger. */
const READ_BYTES = 256 * 1024;
/** What was loaded less long ago is not given up for others: to load it again would cost more than it gains. */
const KEEP_LOADED_MS = 1_000;
/** Offsets of what is settled are forgotten when there are so many. */
const FORGET_CLAIMED_AT = 4_096;

/** What the lane has to do for its backlog. */
export interface BacklogHooks {
  onLoaded(): void;
  onReadError(error: unknown): void;
  /** What is loaded can be published at present; otherwise it only keeps the room from others. */
  isInUse(): boolean;
  /**
   * These will never come, and this is told once. Resolves when that is on record: only then they count as
   * settled. Rejects when the store is closed first; they stay unsettled and are found again at the next start.
   */
  onLost(lost: LostRecords): Promise<void>;
}

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
  readonly #hooks: BacklogHooks;
  #ready: Entry[] = [];
  #head = 0;
  #bytes = 0;
  readonly #share: BudgetShare;
  #loading: Promise<void> | undefined;
  #loadedAtMs = 0;
  #largestBytes = 0;
  #generation = 0;
  /** Offsets that are in flight or on their way out, until they are settled. */
  readonly #claimed = new Set<number>();
  #forgetAt = FORGET_CLAIMED_AT;
  /** Lost in the log while their messages were in flight: not lost if they are confirmed yet. */
  #lostInFlight: LostRecords[] = [];
  /** In flight no more: they are lost now unless they are settled or in flight again. */
  #lostAgain: LostRecords[] = [];
  loadedTo: number;

  constructor(log: LaneLog, settlement: Settlement, budget: SharedBudget, hooks: BacklogHooks) {
    this.#log = log;
    this.#settlement = settlement;
    this.#hooks = hooks;
    this.#share = budget.share({
      onRoom: () => hooks.onLoaded(),
      giveUp: () => this.#giveUp(),
    });
    this.loadedTo = settlement.lowWaterMark;
  }

  /** Stored and not settled. */
  get messages(): number {
    return this.#log.endOffset - this.#settlement.lowWaterMark - this.#settlement.aboveCount;
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
    const bytes = entryBytes(entry);
    this.#bytes -= bytes;
    this.#share.give(bytes);
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
    if (full || !this.#share.takeIfFree(entryBytes(entry))) return;
    this.#push(entry);
    this.loadedTo = entry.offset + 1;
  }

  /** This offset is in flight or settled already and must not be handed out. */
  claim(offset: number): void {
    if (!this.#settlement.isSettled(offset)) this.#claimed.add(offset);
    if (this.#claimed.size > this.#forgetAt) this.#forgetSettled();
    if (offset === this.loadedTo && this.#loading === undefined) this.loadedTo += 1;
  }

  /** Begins again at the low-water mark: what was in flight must be published again. */
  rewind(): void {
    this.#generation += 1;
    this.#unload();
    this.#claimed.clear();
    this.#lostAgain.push(...this.#lostInFlight.splice(0));
    this.loadedTo = this.#settlement.lowWaterMark;
  }

  /** Waits for a read under way; nothing is loaded any more. */
  async stop(): Promise<void> {
    await this.#loading;
    this.#share.close();
  }

  #unload(): void {
    this.#share.give(this.#bytes);
    this.#ready = [];
    this.#head = 0;
    this.#bytes = 0;
  }

  /** Others wait for the room, and this lane cannot publish: it is loaded again when it is needed. */
  #giveUp(): void {
    const first = this.#ready[this.#head];
    if (first === undefined || this.#loading !== undefined || this.#hooks.isInUse()) return;
    if (performance.now() - this.#loadedAtMs < KEEP_LOADED_MS) return;
    this.loadedTo = first.offset;
    this.#unload();
    this.#log.endRead().catch(() => undefined); // the next read begins anew
  }

  #forgetSettled(): void {
    for (const offset of this.#claimed)
      if (this.#settlement.isSettled(offset)) this.#claimed.delete(offset);
    this.#forgetAt = Math.max(FORGET_CLAIMED_AT, 2 * this.#claimed.size);
  }

  #push(entry: Entry): void {
    this.#ready.push(entry);
    this.#bytes += entryBytes(entry);
  }

  #load(): void {
    if (this.#loading !== undefined || this.loadedTo >= this.#log.endOffset) return;
    if (this.#bytes > MAX_READY_BYTES) return;
    // What it will be is not known before: what the last reads brought is taken instead.
    const reservedBytes = READ_BYTES + this.#largestBytes;
    if (!this.#share.take(reservedBytes)) return;
    this.#loading = this.#read(this.#generation, reservedBytes).then(
      () => {
        this.#loading = undefined;
        this.#hooks.onLoaded();
      },
      (error: unknown) => {
        this.#loading = undefined;
        this.#hooks.onReadError(error);
      },
    );
  }

  async #read(generation: number, reservedBytes: number): Promise<void> {
    const chunk = await this.#log.read(this.loadedTo, READ_COUNT).finally(() => {
      this.#share.give(reservedBytes);
    });
    // The log tells each loss once: it counts also when all else was read in vain.
    const lost = [...this.#lostAgain.splice(0), ...chunk.lost];
    for (const one of lost) this.#lose(one);
    if (generation !== this.#generation) return;
    for (const stored of chunk.messages) {
      const { offset } = stored;
      if (this.#claimed.has(offset) || this.#settlement.isSettled(offset)) continue;
      const entry = storedEntry(stored);
      const bytes = entryBytes(entry);
      this.#largestBytes = Math.max(this.#largestBytes, bytes);
      this.#share.force(bytes);
      this.#push(entry);
    }
    this.#loadedAtMs = performance.now();
    this.loadedTo = chunk.nextOffset;
    // While others wait, an iterator that waits too would only keep the memory of what it has read last.
    const isLast = this.loadedTo >= this.#log.endOffset;
    if (isLast || this.#share.isContended) await this.#log.endRead();
  }

  /** Tells what is lost, except what the lane still has in its hands or needs no more. */
  #lose(lost: LostRecords): void {
    const end = lost.fromOffset + lost.count;
    let from = lost.fromOffset;
    for (let offset = from; offset <= end; offset += 1) {
      const isClaimed = this.#claimed.has(offset);
      if (offset < end && !isClaimed && !this.#settlement.isSettled(offset)) continue;
      if (offset > from) this.#tell({ ...lost, fromOffset: from, count: offset - from });
      if (isClaimed && offset < end && !this.#settlement.isSettled(offset))
        this.#lostInFlight.push({ ...lost, fromOffset: offset, count: 1 });
      from = offset + 1;
    }
  }

  #tell(lost: LostRecords): void {
    this.#hooks.onLost(lost).then(
      () => {
        for (let nth = 0; nth < lost.count; nth += 1)
          this.#log.settle(this.#settlement.settle(lost.fromOffset + nth));
        this.#hooks.onLoaded();
      },
      () => undefined, // the store is closed: unsettled, so that the next start finds them
    );
  }
}
