import type { AedesPersistence } from './aedes-internals.ts';
import type { SessionOwner } from './inbound-packet-ids.ts';

export interface SubscriptionLimits {
  readonly maxSubscriptionsPerClient: number;
  /** Most memory of all subscriptions of all clients, estimated. */
  readonly maxSubscriptionBytes: number;
  /** Longest topic filter. */
  readonly maxFilterBytes: number;
}

/** What aedes holds for a subscription, roughly: a node in two tries for each level, and functions. */
const LEVEL_BYTES = 600;
const SUBSCRIPTION_BYTES = 1024;

/** Counts the subscriptions of all sessions, and decides about new ones. */
export class SubscriptionQuota {
  readonly #limits: SubscriptionLimits;
  /** By session: the client identifier of a persistent one, the connection of a clean one. */
  readonly #filters = new Map<string | SessionOwner, Set<string>>();
  #bytes = 0;

  constructor(limits: SubscriptionLimits) {
    this.#limits = limits;
  }

  /** Sessions with a subscription. */
  get sessions(): number {
    return this.#filters.size;
  }

  /** Takes a subscription in; false when it is above a limit: SUBACK 0x80 [MQTT-3.9.3-2]. */
  grant(owner: SessionOwner, filter: string): boolean {
    const { maxSubscriptionsPerClient, maxSubscriptionBytes, maxFilterBytes } = this.#limits;
    const filters = this.#filters.get(keyOf(owner)) ?? new Set<string>();
    if (filters.has(filter)) return true;
    const bytes = memoryOf(filter);
    if (Buffer.byteLength(filter) > maxFilterBytes) return false;
    if (filters.size >= maxSubscriptionsPerClient) return false;
    if (this.#bytes + bytes > maxSubscriptionBytes) return false;
    filters.add(filter);
    this.#filters.set(keyOf(owner), filters);
    this.#bytes += bytes;
    return true;
  }

  remove(owner: SessionOwner, filters: readonly string[]): void {
    const held = this.#filters.get(keyOf(owner));
    if (held === undefined) return;
    for (const filter of filters) if (held.delete(filter)) this.#bytes -= memoryOf(filter);
    if (held.size === 0) this.#filters.delete(keyOf(owner));
  }

  /** The session has ended. */
  forget(owner: SessionOwner): void {
    this.remove(owner, [...(this.#filters.get(keyOf(owner)) ?? [])]);
  }

  /**
   * Stores of a SUBSCRIBE what was granted, once. aedes stores all topic filters of the packet for each one that is
   * granted, refused ones included.
   */
  attach(persistence: AedesPersistence): void {
    const add = persistence.addSubscriptions.bind(persistence);
    const started = new WeakMap<object, Promise<void>>();
    persistence.addSubscriptions = (client, subscriptions) => {
      const known = started.get(subscriptions);
      if (known !== undefined) return known;
      const held = (): ReadonlySet<string> | undefined => this.#filters.get(keyOf(client));
      // All of the packet are decided within this turn of the event loop.
      const adding = Promise.resolve().then(() =>
        add(
          client,
          subscriptions.filter(({ topic }) => held()?.has(topic)),
        ),
      );
      started.set(subscriptions, adding);
      return adding;
    };
  }
}

function keyOf(owner: SessionOwner): string | SessionOwner {
  return owner.clean ? owner : owner.id;
}

function memoryOf(filter: string): number {
  const levels = filter.split('/').length;
  return 2 * Buffer.byteLength(filter) + levels * LEVEL_BYTES + SUBSCRIPTION_BYTES;
}
