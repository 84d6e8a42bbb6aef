import { Aedes, type AedesOptions, type Client } from 'aedes';
import { type AedesPersistence, runPipeline } from './aedes-internals.ts';
import type { Packet } from './aedes-packets.ts';

type Published = (error?: Error) => void;

/**
 * aedes that does nothing more with a PUBLISH that nobody here can get: neither retained, nor with any subscription
 * in the MQTT server, connected or of a persistent session. aedes would look up subscriptions and run its emitter for
 * each; where devices only publish that is a quarter of the work of a message.
 */
export class EmbeddedAedes extends Aedes {
  declare readonly persistence: AedesPersistence;
  /** One function for each subscription of a connected client. */
  readonly #subscribed = new Set<unknown>();
  readonly #offline: OfflineSubscriptions;

  constructor(options: AedesOptions) {
    super(options);
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
    } else if (packet.retain || this.#subscribed.size > 0 || this.#offline.mayExist) {
      runPipeline.call(this, packet, clientOrDone, done);
    } else {
      done?.();
    }
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
