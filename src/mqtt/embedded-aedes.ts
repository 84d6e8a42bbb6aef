import { Aedes, type AedesOptions, type Client } from 'aedes';
import {
  type AedesPersistence,
  type AedesRegistry,
  runPipeline,
  unregister,
} from './aedes-internals.ts';
import type { Packet } from './aedes-packets.ts';
import { type ByteBudget, packetBytes } from './byte-budget.ts';

type Published = (error?: Error) => void;

export interface LocalDelivery {
  /** Memory of what is on its way to local subscribers. */
  readonly budget: ByteBudget;
  /** A message was left out because the budget is used up. */
  readonly onFull: () => void;
}

/**
 * aedes that does nothing more with a PUBLISH that nobody here can get: neither retained, nor with any subscription
 * in the MQTT server, connected or of a persistent session. aedes would look up subscriptions and run its emitter for
 * each; where devices only publish that is a quarter of the work of a message. And one whose publishers do not wait for
 * local subscribers: what a slow one holds up is bounded by a budget, and left out beyond it.
 */
export class EmbeddedAedes extends Aedes {
  declare readonly persistence: AedesPersistence;
  /** One function for each subscription of a connected client. */
  readonly #subscribed = new Set<unknown>();
  readonly #offline: OfflineSubscriptions;
  readonly #local: LocalDelivery;

  constructor(options: AedesOptions, local: LocalDelivery) {
    // aedes would hold all deliveries back while 100 of them wait for one slow subscriber; the budget bounds them.
    super({ ...options, concurrency: 0 });
    this.#local = local;
    this.#offline = new OfflineSubscriptions();
  }

  override async listen(): Promise<void> {
    await super.listen();
    this.#offline.watch(this.persistence);
  }

  /** Called with a client for a PUBLISH or will, without one for aedes' own `$SYS` topics. */
  override publish(
    packet: Packet,
    clientOrDone: Client | null | Published,
    done?: Published,
  ): void {
    if (typeof clientOrDone === 'function') {
      super.publish(packet, clientOrDone);
      return;
    }
    if (packet.retain || this.#subscribed.size > 0 || this.#offline.mayExist) {
      this.#deliver(packet, clientOrDone);
    }
    done?.();
  }

  /**
   * Called by aedes when a CONNECT has been accepted: the client identifier is its from now on, and a connection that
   * had it is closed [MQTT-3.1.4-2]. aedes would wait for the end of the other first, and lose track when a third comes.
   */
  registerClient(client: Client): void {
    if (client.closed) return;
    const registry = this as unknown as AedesRegistry;
    const before = registry.clients[client.id];
    registry._finishRegisterClient(client);
    before?.close();
  }

  /** Called by aedes when a connection that was registered has ended. */
  unregisterClient(client: Client): void {
    if (this.owner(client.id) === client) unregister.call(this, client);
  }

  /** Client identifiers that a connection has. */
  get clientCount(): number {
    return Object.keys((this as unknown as AedesRegistry).clients).length;
  }

  /** The connection that has this client identifier. */
  owner(clientId: string): Client | undefined {
    return (this as unknown as AedesRegistry).clients[clientId];
  }

  #deliver(packet: Packet, client: Client | null): void {
    const { budget, onFull } = this.#local;
    const bytes = packetBytes(packet);
    if (budget.take(bytes)) {
      runPipeline.call(this, packet, client, () => budget.give(bytes));
      return;
    }
    onFull();
    if (packet.retain) this.persistence.storeRetained(packet).catch(() => undefined);
  }

  override subscribe(...args: Parameters<Aedes['subscribe']>): void {
    this.#subscribed.add(args[1]);
    super.subscribe(...args);
  }

  override unsubscribe(...args: Parameters<Aedes['unsubscribe']>): void {
    this.#subscribed.delete(args[1]);
    super.unsubscribe(...args);
  }
}

/** Knows whether any persistent session has a subscription that queues (QoS 1 or 2). */
class OfflineSubscriptions {
  #count = 0;
  #changing = 0;

  /** True also while subscriptions change: in doubt they exist. */
  get mayExist(): boolean {
    return this.#count > 0 || this.#changing > 0;
  }

  watch(persistence: AedesPersistence): void {
    const add = persistence.addSubscriptions.bind(persistence);
    const remove = persistence.removeSubscriptions.bind(persistence);
    const clean = persistence.cleanSubscriptions.bind(persistence);
    persistence.addSubscriptions = (client, subscriptions) =>
      this.#during(persistence, add(client, subscriptions));
    persistence.removeSubscriptions = (client, topicFilters) =>
      this.#during(persistence, remove(client, topicFilters));
    persistence.cleanSubscriptions = (client) => this.#during(persistence, clean(client));
  }

  async #during(persistence: AedesPersistence, change: Promise<void>): Promise<void> {
    this.#changing++;
    try {
      await change;
      this.#count = (await persistence.countOffline()).subsCount;
    } finally {
      this.#changing--;
    }
  }
}
