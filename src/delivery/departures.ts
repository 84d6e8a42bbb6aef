import { NO_RECEIPT } from '../shared/receipt.ts';
import { type Entry, entryBytes, tellSafe, tellUnsafe } from './entry.ts';
import type { GapManifest, GapReason } from './gap-manifest.ts';
import type { LaneBudgets } from './lane-budgets.ts';
import type { LaneCounters } from './lane-counters.ts';
import type { LaneLog, LostRecords, ParkReason } from './ports.ts';
import type { Retention } from './retention.ts';
import type { Settlement } from './settlement.ts';
import type { BudgetShare } from './shared-budget.ts';
import type { Suspects } from './suspects.ts';

export interface DepartureParts {
  readonly lane: string;
  readonly log: LaneLog;
  readonly settlement: Settlement;
  readonly retention: Retention;
  readonly suspects: Pick<Suspects, 'has' | 'hasOffset'>;
  readonly gaps: Pick<GapManifest, 'record'>;
  readonly counters: LaneCounters;
  /** Messages that earlier runs parked. */
  readonly parkedBefore: number;
  readonly budgets: Pick<LaneBudgets, 'leaving' | 'alone'>;
  /** Messages that may be on their way out at a time. */
  readonly maxUnderWay: number;
  /** A message that was on its way out is parked or given up. */
  readonly onGone: (entry: Entry) => void;
  /** More may be on their way out than before. */
  readonly onRoom: () => void;
}

/**
 * The ways by which a message leaves its lane: settled (the broker has it), parked, or given up. Whichever it
 * is, it is durable before the message counts as safe and its record may go.
 */
export class Departures {
  readonly #parts: DepartureParts;
  /** On the way to be parked or to be named in the gap manifest. */
  readonly #underWay = new Set<Entry>();
  readonly #share: BudgetShare;
  #parked: number;

  constructor(parts: DepartureParts) {
    this.#parts = parts;
    this.#parked = parts.parkedBefore;
    this.#share = parts.budgets.leaving.share({ onRoom: parts.onRoom });
  }

  /** Messages on their way out. */
  get underWay(): number {
    return this.#underWay.size;
  }

  /** There are many, here or in all lanes: the lane publishes no further, and sheds no more. */
  get isCrowded(): boolean {
    return this.#underWay.size >= this.#parts.maxUnderWay || this.#share.isSpent();
  }

  /** The lane has ended. */
  stop(): void {
    this.#share.close();
  }

  /** What is on its way out. It must not be published meanwhile. */
  get entries(): Iterable<Entry> {
    return this.#underWay;
  }

  has(entry: Entry): boolean {
    return this.#underWay.has(entry);
  }

  /** Messages that are parked now. */
  get parkedMessages(): number {
    return this.#parked;
  }

  /** The message needs nothing more from this lane. */
  settle(entry: Entry): void {
    const { log, settlement, retention } = this.#parts;
    entry.settled = true;
    retention.remove(entry);
    tellSafe(entry);
    if (entry.offset >= 0) log.settle(settlement.settle(entry.offset));
  }

  /** Keeps the message apart, with the reason. It leaves the order of the lane. */
  park(entry: Entry, reason: ParkReason, detail: string): Promise<void> {
    const nowMs = Date.now();
    const attempt = { firstAttemptMs: nowMs, lastAttemptMs: nowMs, attempts: 1 };
    // Of a message that was parked before the log knows it already.
    const note = { reason, detail, ...attempt, ...flag(this.#parts.suspects.has(entry)) };
    return this.#depart(entry, async () => {
      const isNew = await this.#parts.log.park(entry.message, note);
      if (isNew) this.#parked += 1;
    });
  }

  /** Gives the message up, once the gap manifest has it. */
  drop(entry: Entry, reason: GapReason): Promise<void> {
    const { lane, gaps, counters, retention } = this.#parts;
    const { epoch, run, seq, payload } = entry.message;
    retention.remove(entry); // its room counts as free from now on
    // Whether one that was parked before was uncertain is with what it was parked for, and not read any more.
    const isUncertain = entry.isReleased || this.#parts.suspects.has(entry);
    const range = { epoch, run, fromSeq: seq, toSeq: seq, ...flag(isUncertain) };
    return this.#depart(entry, async () => {
      await gaps.record({ lane, reason, count: 1, bytes: payload.length, ...range });
      counters.drop(reason);
    });
  }

  /** Records that the store has lost: told by the backlog, which settles them when this resolves. */
  async lost(records: LostRecords): Promise<void> {
    const { lane, gaps, counters, retention } = this.#parts;
    const { fromOffset, ...gap } = records;
    retention.forget(records.count, 0);
    counters.damaged += records.count;
    const isSuspect = this.#parts.suspects.hasOffset(fromOffset);
    await gaps.record({ lane, reason: 'damaged', bytes: 0, ...gap, ...flag(isSuspect) });
  }

  /** Puts up to `maxCount` parked messages back into the lane, at its end. Resolves with how many. */
  release(maxCount: number, reason?: ParkReason): Promise<number> {
    return this.#parts.budgets.alone(async () => {
      const { messages, bytes } = await this.#parts.log.unpark(maxCount, reason);
      this.#parts.retention.released(messages, bytes);
      this.#parked = Math.max(0, this.#parked - messages);
      return messages;
    });
  }

  /** Deletes up to `maxCount` parked messages, once the gap manifest has them. Resolves with how many. */
  discard(maxCount: number): Promise<number> {
    return this.#parts.budgets.alone(() => this.#discard(maxCount));
  }

  async #discard(maxCount: number): Promise<number> {
    const { lane, log, gaps, counters } = this.#parts;
    const parked = await log.parked(maxCount);
    const named = parked.map(({ message: { epoch, run, seq, payload }, note }) => {
      const range = { epoch, run, fromSeq: seq, toSeq: seq, ...flag(note.uncertain === true) };
      return gaps.record({ lane, reason: 'discarded', count: 1, bytes: payload.length, ...range });
    });
    await Promise.all(named);
    const discarded = await log.discardParked(parked.map(({ message }) => message));
    for (let n = 0; n < discarded; n += 1) counters.drop('discarded');
    this.#parked = Math.max(0, this.#parked - discarded);
    return discarded;
  }

  async #depart(entry: Entry, makeDurable: () => Promise<void>): Promise<void> {
    this.#underWay.add(entry);
    // What somebody waits for counts in what is pending.
    const bytes = entry.receipt === NO_RECEIPT ? entryBytes(entry) : 0;
    this.#share.force(bytes);
    try {
      await makeDurable();
    } catch (error) {
      tellUnsafe(entry, error); // the store is closed: what is in the log stays there
      return;
    } finally {
      this.#underWay.delete(entry);
      this.#share.give(bytes);
    }
    this.settle(entry);
    this.#parts.onGone(entry);
  }
}

function flag(isUncertain: boolean): { readonly uncertain?: true } {
  return isUncertain ? { uncertain: true } : {};
}
