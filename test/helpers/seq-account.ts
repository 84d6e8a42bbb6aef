import type { ConsumeMessage } from 'amqplib';

/** An event of the gap manifest, as a consumer gets it. */
export interface GapEvent {
  readonly event: 'gap' | 'epoch-ended';
  readonly lane?: string;
  readonly reason?: string;
  readonly epoch: number;
  readonly run?: string;
  readonly toEpoch?: number;
  readonly toRun?: string;
  readonly fromSeq?: number;
  readonly toSeq?: number;
  readonly count?: number;
  readonly uncertain?: true;
  readonly clean?: boolean;
  readonly lastSeqs?: Readonly<Record<string, number>>;
}

/**
 * What a consumer can tell about one lane by `x-epoch`, `x-run`, `x-seq` and the gap manifest alone. Of one store that is
 * never set back: then an epoch has one run, and `missing` throws when there were two.
 */
export class SeqAccount {
  readonly #lane: string;
  readonly #delivered = new Map<number, Set<number>>();
  readonly #named = new Map<number, Map<number, number>>();
  readonly #runs = new Map<number, string | undefined>();
  #conflict: string | undefined;
  readonly events: GapEvent[] = [];

  constructor(lane: string) {
    this.#lane = lane;
  }

  /** A message of the lane arrived. */
  delivered(message: ConsumeMessage): void {
    const headers = message.properties.headers ?? {};
    const { 'x-epoch': epoch, 'x-run': run, 'x-seq': seq, 'x-lane': lane } = headers;
    this.#checkRun(epoch, run);
    if (lane === this.#lane) of(this.#delivered, epoch, () => new Set()).add(seq);
  }

  /** A message of the gap queue arrived. One that came twice counts once. */
  told(message: ConsumeMessage, seen: Set<string>): void {
    if (seen.has(message.properties.messageId)) return;
    seen.add(message.properties.messageId);
    const event: GapEvent = JSON.parse(message.content.toString());
    this.events.push(event);
    const { lane, epoch, run, toEpoch, toRun, fromSeq = 0, toSeq = -1 } = event;
    this.#checkRun(epoch, run);
    if (toEpoch !== undefined) this.#checkRun(toEpoch, toRun);
    if (lane !== this.#lane) return;
    const named = of(this.#named, epoch, () => new Map());
    for (let seq = fromSeq; seq <= toSeq; seq += 1) named.set(seq, (named.get(seq) ?? 0) + 1);
  }

  /** Messages and events must agree about the run of an epoch. */
  #checkRun(epoch: number | undefined, run: string | undefined): void {
    if (epoch === undefined) return;
    const known = of(this.#runs, epoch, () => run);
    if (known !== run) this.#conflict = `epoch ${epoch} has the runs ${known} and ${run}`;
  }

  /** Epochs of which anything is known, oldest first. */
  get epochs(): number[] {
    return [...new Set([...this.#delivered.keys(), ...this.#named.keys()])].sort((a, b) => a - b);
  }

  deliveredCount(epoch: number): number {
    return this.#delivered.get(epoch)?.size ?? 0;
  }

  namedCount(epoch: number): number {
    return this.#named.get(epoch)?.size ?? 0;
  }

  /** The highest seq that was delivered or named. */
  lastSeq(epoch: number): number {
    const known = [
      ...(this.#delivered.get(epoch) ?? []),
      ...(this.#named.get(epoch)?.keys() ?? []),
    ];
    return known.reduce((last, seq) => Math.max(last, seq), 0);
  }

  /** Seqs up to `lastSeq` that were neither delivered nor named. */
  missing(epoch: number, lastSeq: number = this.lastSeq(epoch)): number[] {
    if (this.#conflict !== undefined) throw new Error(this.#conflict);
    const [delivered, named] = [this.#delivered.get(epoch), this.#named.get(epoch)];
    const all = Array.from({ length: lastSeq }, (_, index) => index + 1);
    return all.filter((seq) => !delivered?.has(seq) && !named?.has(seq));
  }

  /** Seqs that were both delivered and named. */
  both(epoch: number): number[] {
    const named = this.#named.get(epoch);
    return [...(this.#delivered.get(epoch) ?? [])].filter((seq) => named?.has(seq));
  }

  /** Seqs that were named by more than one event. */
  namedTwice(epoch: number): number[] {
    return [...(this.#named.get(epoch) ?? [])].filter(([, times]) => times > 1).map(([seq]) => seq);
  }

  /** The event that tells how that epoch ended. */
  endOf(epoch: number): GapEvent | undefined {
    return this.events.find((one) => one.event === 'epoch-ended' && one.epoch === epoch);
  }
}

function of<T>(map: Map<number, T>, epoch: number, make: () => T): T {
  const known = map.get(epoch) ?? make();
  map.set(epoch, known);
  return known;
}
