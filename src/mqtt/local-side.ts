import type { AedesOptions, Client } from 'aedes';
import type { MqttLimitsConfig } from '../config/types.ts';
import type { ConnectPacket } from './aedes-packets.ts';
import { ByteBudget } from './byte-budget.ts';
import { CONNACK_UNAVAILABLE, type ConnectFault, connectBytes } from './connect-check.ts';
import type { EmbeddedAedes, LocalDelivery } from './embedded-aedes.ts';
import type { InboundPacketIds } from './inbound-packet-ids.ts';
import { OfflineQueues } from './offline-queues.ts';
import type { LimitReason, MqttObserver } from './ports.ts';
import { limitRetained } from './retained-limit.ts';
import { Sessions } from './sessions.ts';
import { SubscriptionQuota } from './subscription-quota.ts';

export interface LocalSideOptions {
  readonly limits: MqttLimitsConfig;
  readonly packetIds: InboundPacketIds;
  readonly observer: MqttObserver;
}

/** What is kept in memory for clients, and how often a limit cut it short. */
export interface LocalStats {
  /** Client identifiers of open connections. */
  readonly clients: number;
  /** Persistent ones, connected or not. */
  readonly sessions: number;
  readonly subscribedSessions: number;
  /** What waits for local subscribers. */
  readonly queuedBytes: number;
  /** Wills and user names. */
  readonly connectBytes: number;
}

/**
 * Stands for a session without subscriptions when aedes asks for those of a client: it takes a session to be present
 * only when it has some. It is never granted.
 */
const NO_SUBSCRIPTION = { topic: 'none', qos: 0 };

/** What the MQTT server keeps in memory for its clients, each part of it within a limit. */
export class LocalSide {
  readonly #options: LocalSideOptions;
  readonly #budget: ByteBudget;
  readonly #connects: ByteBudget;
  readonly #connectBytes = new WeakMap<Client, number>();
  readonly #queues: OfflineQueues;
  readonly #quota: SubscriptionQuota;
  readonly #sessions: Sessions;
  #aedes: EmbeddedAedes | undefined;
  /** How often each limit was reached. */
  readonly limitedTotal: Record<LimitReason, number> = {
    retained_limit: 0,
    subscription_limit: 0,
    subscriber_queue_limit: 0,
    session_limit: 0,
  };

  constructor(options: LocalSideOptions) {
    const { limits } = options;
    this.#options = options;
    this.#budget = new ByteBudget(limits.maxQueuedBytes);
    this.#connects = new ByteBudget(limits.maxWillBytes);
    this.#queues = new OfflineQueues({
      budget: this.#budget,
      maxBytesPerClient: limits.maxQueuedBytesPerClient,
      onFull: () => this.#limit('subscriber_queue_limit'),
    });
    this.#quota = new SubscriptionQuota(limits);
    this.#sessions = new Sessions(limits, (clientId) => {
      this.#limit('session_limit');
      // Rejects only when the store is closed: the next start finds the identifiers and lets them expire.
      this.#forget(clientId).catch(() => undefined);
    });
  }

  /** The way to local subscribers. */
  get delivery(): LocalDelivery {
    return { budget: this.#budget, onFull: () => this.#limit('subscriber_queue_limit') };
  }

  /** What is kept now. */
  stats(): LocalStats {
    return {
      clients: this.#aedes?.clientCount ?? 0,
      sessions: this.#sessions.count,
      subscribedSessions: this.#quota.sessions,
      queuedBytes: this.#budget.usedBytes,
      connectBytes: this.#connects.usedBytes,
    };
  }

  /** What aedes asks about subscriptions and deliveries. */
  hooks(): Pick<AedesOptions, 'authorizeSubscribe' | 'authorizeForward'> {
    return {
      authorizeSubscribe: (client, subscription, done) => {
        if (subscription.topic === NO_SUBSCRIPTION.topic && !client.connected) done(null, null);
        else if (this.#quota.grant(client, subscription.topic)) done(null, subscription);
        else {
          this.#limit('subscription_limit');
          done(null, null); // SUBACK 0x80 [MQTT-3.9.3-2]
        }
      },
      authorizeForward: (client, packet) => {
        // One that stops reading altogether is closed after `drainTimeoutMs`.
        if (client.conn.writableLength <= this.#options.limits.maxQueuedBytesPerClient)
          return packet;
        this.#limit('subscriber_queue_limit');
        return null;
      },
    };
  }

  /** Takes its place in the persistence. @throws what the store throws when packet identifiers cannot be read. */
  async start(aedes: EmbeddedAedes): Promise<void> {
    const { limits, packetIds } = this.#options;
    const { persistence } = aedes;
    this.#aedes = aedes;
    limitRetained(persistence, limits, () => this.#limit('retained_limit'));
    this.#queues.attach(persistence);
    this.#quota.attach(persistence);
    const subscriptionsByClient = persistence.subscriptionsByClient.bind(persistence);
    persistence.subscriptionsByClient = async (client) => {
      const found = await subscriptionsByClient(client);
      return found.length === 0 && this.#sessions.isWhole(client.id) ? [NO_SUBSCRIPTION] : found;
    };
    aedes.on('client', (client) => this.#registered(client));
    aedes.on('unsubscribe', (filters, client) => {
      // aedes unsubscribes a connection that closes too; its session keeps its subscriptions.
      if (client.clean || !client.closed) this.#quota.remove(client, filters);
    });
    for (const clientId of await packetIds.load()) this.#sessions.restore(clientId);
    this.#sessions.start();
  }

  stop(): void {
    this.#sessions.stop();
  }

  /** A fault when the CONNECT would keep too much in memory. */
  connectFault(client: Client, packet: ConnectPacket): ConnectFault | undefined {
    const bytes = connectBytes(packet);
    if (!this.#connects.take(bytes)) {
      return { text: 'wills and user names are too large together', connack: CONNACK_UNAVAILABLE };
    }
    this.#connectBytes.set(client, bytes);
    return undefined;
  }

  /** Its socket is closed. */
  closed(client: Client): void {
    this.#connects.give(this.#connectBytes.get(client) ?? 0);
    this.#connectBytes.delete(client);
    if (client.clean) {
      this.#quota.forget(client);
      return;
    }
    const owner = this.#aedes?.owner(client.id);
    if (owner === undefined || owner === client) this.#sessions.leave(client.id);
  }

  #registered(client: Client): void {
    if (!client.clean) {
      this.#sessions.enter(client.id);
      return;
    }
    // [MQTT-3.1.2-6]; aedes ends subscriptions and packet identifiers itself.
    this.#sessions.end(client.id);
    this.#queues.forget(client.id);
    this.#quota.forget({ id: client.id, clean: false });
  }

  /** Ends a session whose client is away. */
  async #forget(clientId: string): Promise<void> {
    this.#queues.forget(clientId);
    this.#quota.forget({ id: clientId, clean: false });
    await this.#aedes?.persistence.cleanSubscriptions({ id: clientId });
    await this.#options.packetIds.forget(clientId);
  }

  #limit(reason: LimitReason): void {
    this.limitedTotal[reason] += 1;
    this.#options.observer.limited?.(reason);
  }
}
