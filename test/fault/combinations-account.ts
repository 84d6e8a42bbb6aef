import type { ConsumeMessage } from 'amqplib';
import { DeliveryLedger, type LedgerVerdict } from '../helpers/ledger.ts';
import { SeqAccount } from '../helpers/seq-account.ts';
import { failuresOf } from '../helpers/soak.ts';
import type { PacedPayload } from './combinations-device.ts';

/** From when to when no queue was bound. */
interface Unbinding {
  readonly fromMs: number;
  toMs: number;
}

interface LaneAccount {
  readonly ledger: DeliveryLedger;
  readonly seqs: SeqAccount;
  readonly unbindings: Unbinding[];
  lastDeliveryMs: number;
}

/** What became of all messages in each lane, told from outside. */
export class CombinationsAccount {
  readonly #lanes: ReadonlyMap<string, LaneAccount>;
  readonly #attemptedMs = new Map<string, number>();
  readonly #seenGaps = new Set<string>();
  /** Attempt of the newest acknowledged message, by device. */
  readonly #newestMs = new Map<string, number>();

  constructor(lanes: readonly string[]) {
    this.#lanes = new Map(
      lanes.map((name) => [
        name,
        {
          ledger: new DeliveryLedger(),
          seqs: new SeqAccount(name),
          unbindings: [],
          lastDeliveryMs: 0,
        },
      ]),
    );
  }

  /** A device is about to send it, to these lanes and perhaps others. */
  attempted(device: string, counter: number, lanes: readonly string[]): void {
    const id = `${device}/${counter}`;
    this.#attemptedMs.set(id, performance.now());
    for (const lane of lanes) this.#lane(lane).ledger.attempted(id);
  }

  /** The device has its acknowledgement: each of these lanes must deliver it, or name it. */
  acknowledged(device: string, counter: number, lanes: readonly string[]): void {
    const id = `${device}/${counter}`;
    for (const lane of lanes) this.#lane(lane).ledger.acknowledged(id);
    const attemptMs = this.attemptMs(device, counter);
    this.#newestMs.set(device, Math.max(attemptMs, this.#newestMs.get(device) ?? 0));
  }

  attemptMs(device: string, counter: number): number {
    return this.#attemptedMs.get(`${device}/${counter}`) ?? Number.NEGATIVE_INFINITY;
  }

  /** Whether something was acknowledged that this device attempted after that moment. */
  hasAcknowledgedSince(device: string, sinceMs: number): boolean {
    return (this.#newestMs.get(device) ?? 0) > sinceMs;
  }

  hasDeliveredSince(lane: string, sinceMs: number): boolean {
    return this.#lane(lane).lastDeliveryMs > sinceMs;
  }

  /** From now on messages of the lane may be returned, and parked. */
  unbinding(lane: string): void {
    this.#lane(lane).unbindings.push({
      fromMs: performance.now(),
      toMs: Number.POSITIVE_INFINITY,
    });
  }

  /** What is attempted from now on is not. */
  bound(lane: string): void {
    const last = this.#lane(lane).unbindings.at(-1);
    if (last !== undefined) last.toMs = performance.now();
  }

  delivered(message: ConsumeMessage): void {
    const lane = this.#lane(message.properties.headers?.['x-lane']);
    const { device, counter } = JSON.parse(message.content.toString()) as PacedPayload;
    const id = `${device}/${counter}`;
    lane.seqs.delivered(message);
    lane.lastDeliveryMs = performance.now();
    lane.ledger.delivered({
      id,
      messageId: message.properties.messageId,
      deviceKey: this.#mayBeLate(lane, id) ? id : device, // alone it is behind nothing
      counter,
    });
  }

  /** A message of the gap manifest arrived. */
  told(message: ConsumeMessage): void {
    if (this.#seenGaps.has(message.properties.messageId)) return;
    this.#seenGaps.add(message.properties.messageId);
    for (const { seqs } of this.#lanes.values()) seqs.told(message, new Set());
  }

  /** Counts of all lanes together. A message that its lane has named is not lost. */
  verdict(): LedgerVerdict {
    return addVerdicts(
      [...this.#lanes.values()].map((lane) => ({
        ...lane.ledger.verdict(),
        lost: this.#lost(lane),
      })),
    );
  }

  /** Messages that events have named, by reason, over all lanes. */
  toldByReason(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const [lane, { seqs }] of this.#lanes) {
      for (const { event, reason = '', lane: of, count = 0 } of seqs.events) {
        if (event === 'gap' && of === lane) counts[reason] = (counts[reason] ?? 0) + count;
      }
    }
    return counts;
  }

  /** What does not hold, a sentence each. A loss that is told for another reason than these was not injected. */
  failures(reasons: readonly string[]): string[] {
    const uninjected = Object.entries(this.toldByReason()).filter(
      ([reason]) => !reasons.includes(reason),
    );
    return [
      ...failuresOf(this.verdict()),
      ...uninjected.map(([reason, count]) => `${count} are named ${reason}, which nothing caused`),
      ...[...this.#lanes].flatMap(([name, lane]) =>
        this.#lost(lane) > 0 ? [`lost in ${name}: ${lane.ledger.lostIds().slice(0, 5)}`] : [],
      ),
    ];
  }

  #lane(name: string): LaneAccount {
    const lane = this.#lanes.get(name);
    if (lane === undefined) throw new Error(`there is no lane ${name}`);
    return lane;
  }

  /** Acknowledged messages that were neither delivered nor named. Who is named only the seqs say: so they are counted. */
  #lost({ ledger, seqs }: LaneAccount): number {
    const named = seqs.epochs.reduce(
      (sum, epoch) => sum + seqs.namedCount(epoch) - seqs.both(epoch).length,
      0,
    );
    return Math.max(0, ledger.lostIds().length - named);
  }

  /** It may have been parked, which is out of order by contract. */
  #mayBeLate({ unbindings }: LaneAccount, id: string): boolean {
    const attemptedMs = this.#attemptedMs.get(id) ?? 0;
    return unbindings.some(({ toMs }) => attemptedMs < toMs);
  }
}

/** The counts of several accounts, added up. */
export function addVerdicts(verdicts: readonly LedgerVerdict[]): LedgerVerdict {
  const sum = (count: (one: LedgerVerdict) => number): number =>
    verdicts.reduce((total, one) => total + count(one), 0);
  return {
    attempted: sum((one) => one.attempted),
    acknowledged: sum((one) => one.acknowledged),
    delivered: sum((one) => one.delivered),
    lost: sum((one) => one.lost),
    unexpected: sum((one) => one.unexpected),
    redelivered: sum((one) => one.redelivered),
    resent: sum((one) => one.resent),
    reordered: sum((one) => one.reordered),
    confused: sum((one) => one.confused),
  };
}
