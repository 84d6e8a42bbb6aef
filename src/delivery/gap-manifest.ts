import type { MessageStore, PreviousRun, Unverified } from './ports.ts';

/** Why messages that were numbered will never come. */
export type GapReason =
  /** No room, and `whenFull` said to give one up. */
  | 'full'
  /** Older than `maxAgeMs`. */
  | 'expired'
  /** The store lost them. */
  | 'damaged'
  /** No queue was bound, and `onUnroutable` said to drop. */
  | 'unroutable'
  /** The broker refused them, and `onReject` said to drop. */
  | 'rejected'
  /** An operator discarded parked messages. */
  | 'discarded';

/** Messages of one lane that will never come. */
export interface Gap {
  readonly lane: string;
  readonly reason: GapReason;
  /** How many. Fewer than the range has when only some of it is gone. */
  readonly count: number;
  /** Of payload, 0 where it is not known. */
  readonly bytes: number;
  /** Where it begins, both ends included; absent where damage left nothing to tell it by. */
  readonly epoch?: number;
  /** See `LaneMessage.run`; where it is not given, the run that the store knows the epoch by is told. */
  readonly run?: string | undefined;
  readonly fromSeq?: number;
  readonly toSeq?: number;
  /** Epoch of `toSeq` when it is another than `epoch`. */
  readonly toEpoch?: number;
  readonly detail?: string;
  /** They may have been published before, without an answer: they may have been delivered as well. Absent means no. */
  readonly uncertain?: true;
}

/** A gap that waits to be made durable, and all that wait for it. */
interface Pending {
  gap: Gap;
  readonly waiting: { resolve(): void; reject(error: unknown): void }[];
}

/**
 * The account of what will never come. Each gap is an event on a lane of its own, delivered with the same
 * guarantee as any message; nothing is given up before its gap is safe. While events are on the way to be
 * safe, gaps that follow each other grow into one, so that a full store does not make an event a message.
 */
export class GapManifest {
  readonly #publish: (routingKey: string, event: object) => Promise<void>;
  readonly #runOf: (epoch: number) => string | undefined;
  readonly #now: () => number;
  #pending: Pending[] = [];
  #isWriting = false;
  /** Events made. */
  eventsTotal = 0;

  /**
   * `publish` resolves when the event is safe; `runOf` says what run an epoch of this store had, if that is known;
   * `now` is the wall clock in ms since 1970.
   */
  constructor(
    publish: (routingKey: string, event: object) => Promise<void>,
    runOf: (epoch: number) => string | undefined,
    now: () => number = Date.now,
  ) {
    this.#publish = publish;
    this.#runOf = runOf;
    this.#now = now;
  }

  /**
   * Resolves when the gap is named durably: only then may its messages be given up.
   * @throws {GatewayError} LANE_CLOSED, STORE_CLOSED: it is not named; keep the messages.
   */
  record(gap: Gap): Promise<void> {
    const named = new Promise<void>((resolve, reject) => {
      const last = this.#pending.findLast((one) => one.gap.lane === gap.lane);
      const grown = last === undefined ? undefined : joined(last.gap, gap);
      if (last !== undefined && grown !== undefined) {
        last.gap = grown;
        last.waiting.push({ resolve, reject });
      } else this.#pending.push({ gap, waiting: [{ resolve, reject }] });
    });
    if (!this.#isWriting) void this.#write();
    return named;
  }

  /**
   * Tells how the runs before ended, oldest first: the last seq of each lane, or that nobody knows; and which
   * starts could not verify what they found. The store forgets them when that is safe, so a crash before makes them be told again, and never not at all.
   * @throws {GatewayError} LANE_CLOSED, STORE_CLOSED: the next start tells them.
   */
  async previousRuns(
    store: Pick<MessageStore, 'previousRuns' | 'unverified' | 'previousRunsTold'>,
  ): Promise<void> {
    const { previousRuns, unverified } = store;
    if (previousRuns.length + unverified.length === 0) return;
    await Promise.all([
      ...previousRuns.map((run) => this.#tellRun(run)),
      ...unverified.map((found) => this.#tellUnverified(found)),
    ]);
    await store.previousRunsTold();
  }

  #tellRun({ epoch, run = this.#runOf(epoch), lastSeqs }: PreviousRun): Promise<void> {
    this.eventsTotal += 1;
    return this.#publish('epoch-ended', {
      event: 'epoch-ended',
      epoch,
      run,
      clean: lastSeqs !== undefined,
      ...(lastSeqs === undefined ? {} : { lastSeqs: Object.fromEntries(lastSeqs) }),
      at: this.#now(),
    });
  }

  #tellUnverified({ epoch, run, isAll }: Unverified): Promise<void> {
    this.eventsTotal += 1;
    const event = { event: 'store-unverified', epoch, run, isAll, at: this.#now() };
    return this.#publish('store-unverified', event);
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    await Promise.resolve(); // what is given up within this turn shares the first event
    while (this.#pending.length > 0) {
      const batch = this.#pending;
      this.#pending = [];
      await Promise.all(batch.map((pending) => this.#tell(pending)));
    }
    this.#isWriting = false;
  }

  async #tell({ gap, waiting }: Pending): Promise<void> {
    this.eventsTotal += 1;
    try {
      await this.#publish(`${gap.lane}.${gap.reason}`, this.#eventOf(gap));
      for (const one of waiting) one.resolve();
    } catch (error) {
      for (const one of waiting) one.reject(error);
    }
  }

  /** Each epoch with its run: what is not known is absent in JSON. */
  #eventOf(gap: Gap): object {
    const { epoch, toEpoch } = gap;
    const run = gap.run ?? (epoch === undefined ? undefined : this.#runOf(epoch));
    const toRun = toEpoch === undefined ? undefined : this.#runOf(toEpoch);
    return { event: 'gap', ...gap, run, toRun, at: this.#now() };
  }
}

/** One gap out of two where the second begins right behind the first. */
function joined(first: Gap, second: Gap): Gap | undefined {
  if (first.reason !== second.reason || first.detail !== second.detail) return undefined;
  if (first.uncertain !== second.uncertain) return undefined;
  if (first.toSeq === undefined || second.toSeq === undefined) return undefined;
  if (first.run !== second.run) return undefined;
  if (first.epoch !== second.epoch || first.toEpoch !== second.toEpoch) return undefined;
  if (second.fromSeq !== first.toSeq + 1) return undefined;
  return {
    ...first,
    toSeq: second.toSeq,
    count: first.count + second.count,
    bytes: first.bytes + second.bytes,
  };
}
