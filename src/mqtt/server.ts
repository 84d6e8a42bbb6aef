import type { Socket } from 'node:net';
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import type { AedesOptions, Client } from 'aedes';
import type { MqttLimitsConfig } from '../config/types.ts';
import { gatherWrites } from '../shared/gathered-writes.ts';
import { AckGate } from './ack-gate.ts';
import { type AedesClient, onServerError } from './aedes-internals.ts';
import type { ConnectPacket } from './aedes-packets.ts';
import { connectFault } from './connect-check.ts';
import { EmbeddedAedes } from './embedded-aedes.ts';
import { FrameGuard, guardFrames } from './frame-guard.ts';
import { InboundPacketIds } from './inbound-packet-ids.ts';
import { Listener, type ListenerAddress } from './listener.ts';
import { LocalSide, type LocalStats } from './local-side.ts';
import type { AcceptMessage, LimitReason, MqttLog, MqttObserver, PacketIdStore } from './ports.ts';
import { ignoreForeignWills, keepPacketIds } from './session-persistence.ts';
import { SocketReader } from './socket-reader.ts';

/** The slice of the config that the MQTT server takes. */
export interface MqttServerConfig {
  readonly listeners: readonly ListenerAddress[];
  /** Largest payload that must get through; how a larger one is refused is up to `accept`. */
  readonly maxPayloadBytes: number;
  /** Time a connection has to send its CONNECT. */
  readonly connectTimeoutMs: number;
  /** Most connections, over all listeners. */
  readonly maxConnections: number;
  /** Most QoS 2 messages of one session between PUBLISH and PUBREL. */
  readonly maxInflightQos2: number;
  /** Time a subscriber may leave its socket full. */
  readonly drainTimeoutMs: number;
  /** Bounds of what is kept in memory for the local side. */
  readonly limits: MqttLimitsConfig;
}

export interface MqttServerOptions {
  readonly config: MqttServerConfig;
  readonly accept: AcceptMessage;
  /** Default: nobody. */
  readonly observer?: MqttObserver;
  readonly log: MqttLog;
  /** Default: QoS 2 packet identifiers are in memory only. */
  readonly packetIdStore?: PacketIdStore;
}

/** Packets a client may send behind its CONNECT before it is answered (MQTT 3.1.1 §3.1.4): more than any device's window. */
const MAX_PACKETS_BEFORE_CONNACK = 1000;
/** How long closing waits for packet identifiers, and for the wills of the connections it closes; the store takes them in less. */
const CLOSE_WAIT_MS = 2000;

/**
 * The MQTT 3.1.1 server of the devices. A PUBACK or PUBREC leaves it only when its message is safe, those of one
 * client in the order of its PUBLISHes. Subscriptions, retained messages and wills work locally beside that, in memory.
 */
export class MqttServer {
  readonly #options: MqttServerOptions;
  readonly #observer: MqttObserver;
  readonly #packetIds: InboundPacketIds;
  readonly #gate: AckGate;
  readonly #local: LocalSide;
  readonly #aedes: EmbeddedAedes;
  readonly #readers = new Map<Socket, SocketReader>();
  #listeners: readonly Listener[] = [];
  #closing: Promise<void> | undefined;

  constructor(options: MqttServerOptions) {
    this.#options = options;
    this.#observer = options.observer ?? {};
    this.#packetIds = new InboundPacketIds(options.packetIdStore);
    this.#gate = new AckGate({
      accept: options.accept,
      observer: this.#observer,
      packetIds: this.#packetIds,
      maxInflightQos2: options.config.maxInflightQos2,
      deliver: (packet, client) => this.#aedes.publish(packet, client),
    });
    this.#local = new LocalSide({
      limits: options.config.limits,
      packetIds: this.#packetIds,
      observer: this.#observer,
    });
    this.#aedes = this.#createAedes();
  }

  /** TCP connections that are open, with or without CONNECT. */
  get connections(): number {
    return this.#readers.size;
  }

  /** How much is kept for clients, by what it is. */
  stats(): LocalStats {
    return this.#local.stats();
  }

  /** How often each limit of the local side was reached. */
  get limitedTotal(): Readonly<Record<LimitReason, number>> {
    return this.#local.limitedTotal;
  }

  /**
   * Opens all listeners, or none.
   * @throws {GatewayError} LISTENER_FAILED with what to do about it.
   */
  async start(): Promise<void> {
    await this.#aedes.listen();
    keepPacketIds(this.#aedes.persistence, this.#packetIds);
    ignoreForeignWills(this.#aedes.persistence);
    await this.#local.start(this.#aedes);
    this.#listeners = this.#options.config.listeners.map(
      (address) => new Listener(address, (socket) => this.#onConnection(socket)),
    );
    try {
      for (const listener of this.#listeners) await listener.open();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Where clients can connect, with the real ports, in the order of the config. */
  addresses(): ListenerAddress[] {
    return this.#listeners.map((listener) => listener.address);
  }

  /** Takes no more connections and reads no more packets; what was read is still completed and acknowledged. */
  stopAccepting(): void {
    for (const listener of this.#listeners) listener.close();
    for (const [socket, reader] of this.#readers) {
      if (reader.isConnected) reader.stop();
      else socket.destroy();
    }
  }

  /**
   * Closes all connections; wills are accepted, as for any connection that ends without DISCONNECT. PUBACKs that are
   * pending are never sent. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.stopAccepting();
    this.#local.stop();
    // A PUBREC or PUBCOMP that is due leaves yet; aedes takes a turn of the event loop for it.
    await within(CLOSE_WAIT_MS, this.#packetIds.settled());
    await nextTurn();
    await new Promise<void>((resolve) => this.#aedes.close(resolve));
    await Promise.all([...this.#readers.keys()].map(destroyed));
    await within(CLOSE_WAIT_MS, this.#gate.willsSettled());
    await within(CLOSE_WAIT_MS, this.#packetIds.settled());
  }

  #createAedes(): EmbeddedAedes {
    const { connectTimeoutMs, drainTimeoutMs } = this.#options.config;
    const options: AedesOptions = {
      connectTimeout: connectTimeoutMs,
      drainTimeout: drainTimeoutMs,
      queueLimit: MAX_PACKETS_BEFORE_CONNACK,
      maxInflightInbound: 0, // the gate has that limit, and has it before a message is accepted
      preConnect: (client, packet, done) => this.#preConnect(client, packet, done),
      authorizePublish: (client, packet, done) => {
        // Only a will of another server has no client, and there is no other server.
        if (client === null) done(new Error('PUBLISH without a client'));
        else this.#gate.authorizePublish(client as AedesClient, packet, done);
      },
      ...this.#local.hooks(),
    };
    const aedes = new EmbeddedAedes(options, this.#local.delivery);
    aedes.on('clientError', (client, error) => this.#logFault(client, error));
    aedes.on('connectionError', (client, error) => this.#logFault(client, error));
    const { log } = this.#options;
    onServerError(aedes, (error) => log.error({ err: error }, 'MQTT server failed'));
    return aedes;
  }

  #onConnection(socket: Socket): void {
    if (this.#readers.size >= this.#options.config.maxConnections) {
      this.#observer.refused?.('max_connections');
      socket.destroy();
      return;
    }
    gatherWrites(socket);
    guardFrames(socket, new FrameGuard(this.#options.config.maxPayloadBytes), (fault) => {
      this.#observer.refused?.(fault);
      socket.destroy(new Error(`not acceptable as MQTT: ${fault}`));
    });
    const client = this.#aedes.handle(socket) as AedesClient;
    const reader = new SocketReader(client, () => this.#gate.pendingBytes(client));
    this.#readers.set(socket, reader);
    this.#observer.connectionOpened?.();
    socket.once('close', () => {
      this.#readers.delete(socket);
      this.#local.closed(client);
      this.#observer.connectionClosed?.();
    });
    reader.start();
  }

  #preConnect(
    client: Client,
    packet: ConnectPacket,
    done: (error: Error | null, success: boolean) => void,
  ): void {
    const invalid = connectFault(packet);
    const fault = invalid ?? this.#local.connectFault(client, packet);
    if (fault === undefined) {
      this.#gate.connect(client, packet.username);
      done(null, true);
      return;
    }
    this.#observer.refused?.(invalid === undefined ? 'will_limit' : 'connect_invalid');
    const refuse = (): void => done(new Error(fault.text), false);
    if (fault.connack === undefined) refuse();
    else client.conn.end(fault.connack, refuse);
  }

  /** A peer that vanishes is everyday life, one that breaks the protocol or was refused is worth a look. */
  #logFault(client: Client, error: Error): void {
    const fields = { clientId: client.id ?? undefined, err: error };
    if ('syscall' in error || 'errno' in error) {
      this.#options.log.debug(fields, 'MQTT connection lost');
    } else {
      this.#options.log.warn(fields, 'MQTT connection closed');
    }
  }
}

/** Waits for `done`, but not longer than that. */
async function within(limitMs: number, done: Promise<void>): Promise<void> {
  const limit = new AbortController();
  const tooLate = delay(limitMs, undefined, { signal: limit.signal }).catch(() => undefined);
  await Promise.race([done, tooLate]);
  limit.abort();
}

function destroyed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
    socket.destroy();
  });
}
