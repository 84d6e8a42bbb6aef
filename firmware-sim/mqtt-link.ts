import { connect, type IConnackPacket, type MqttClient, type Packet, Store } from 'mqtt';
import type { InFlight, OutgoingMessage } from './outbox.ts';

/** A packet of the MQTT server that moves a message on. */
export type Receipt = 'puback' | 'pubrec' | 'pubcomp';

export interface LinkOptions {
  readonly host: string;
  readonly port: number;
  readonly clientId: string;
  readonly statusTopic: string;
  readonly keepAliveSeconds: number;
  /** What was in flight when the last connection ended. */
  readonly inFlight: readonly InFlight[];
}

/** What a link tells its device. `onClosed` comes once and is the last. */
export interface LinkListener {
  onOpen(): void;
  onReceipt(receipt: Receipt, counter: number): void;
  onClosed(reason: string): void;
}

/** Time for TCP and CONNACK, in ms. Short: a firmware that cannot connect tries again. */
const CONNECT_TIMEOUT_MS = 5_000;
/** Time for the last PUBACK and DISCONNECT before the socket is simply closed, in ms. */
const GOODBYE_MS = 1_000;
/** Packet identifiers are 1 … 65,000, taken from the counter; the status message has one of its own above. */
const PACKET_IDS = 65_000;
const STATUS_PACKET_ID = 65_535;

/**
 * One MQTT connection of a device, from CONNECT to its end. It never connects again: resending is the
 * device's work, so that MQTT.js, whose stored and live messages may interleave, has nothing to resend
 * but the PUBRELs. Those it sends before the link is open, with their old packet identifiers.
 * The session is kept (clean session 0), as the same packet identifiers are used again [MQTT-4.4.0-1].
 */
export class MqttLink {
  readonly #options: LinkOptions;
  readonly #listener: LinkListener;
  readonly #counters = new Map<number, number>();
  #client: MqttClient | undefined;
  #nextPacketId = STATUS_PACKET_ID;
  #closed = false;

  constructor(options: LinkOptions, listener: LinkListener) {
    this.#options = options;
    this.#listener = listener;
  }

  open(): void {
    const { host, port, clientId, statusTopic, keepAliveSeconds } = this.#options;
    const client = connect({
      protocol: 'mqtt',
      host,
      port,
      clientId,
      clean: false,
      keepalive: keepAliveSeconds,
      connectTimeout: CONNECT_TIMEOUT_MS,
      reconnectPeriod: 0,
      queueQoSZero: false,
      resubscribe: false,
      outgoingStore: this.#pubrels(),
      messageIdProvider: this.#packetIds(),
      will: { topic: statusTopic, payload: Buffer.from('offline'), qos: 1, retain: true },
    });
    this.#client = client;
    client.on('packetreceive', (packet) => this.#onPacket(packet));
    client.on('connect', (connack) => this.#onConnect(connack));
    client.on('error', (error) => this.#end(error.message));
    client.on('close', () => this.#end('connection closed'));
  }

  /** Sends one PUBLISH; only between `onOpen` and `onClosed`. `onWritten` is for QoS 0, which has no receipt. */
  publish(message: OutgoingMessage, dup: boolean, onWritten?: () => void): void {
    const { topic, payload, qos } = message;
    this.#nextPacketId = this.#packetIdOf(message.counter);
    this.#client?.publish(topic, payload, { qos, dup }, (error) => {
      // MQTT.js calls back inside `publish`: leave the caller's loop first.
      if (!error && qos === 0 && onWritten) queueMicrotask(onWritten);
    });
  }

  /** Still sends and hears nothing any more, as a radio that fades: PUBACKs will be missed. Ends by `cut`. */
  deafen(): void {
    this.#client?.stream.unpipe();
  }

  /** Loses the connection without a DISCONNECT: the server publishes the will. */
  cut(reason: string): void {
    this.#end(reason);
  }

  /** Says goodbye: status offline, DISCONNECT. Waits for both, but not for long. */
  async close(): Promise<void> {
    const client = this.#client;
    if (!client || this.#closed) return;
    this.#closed = true;
    if (client.connected) {
      this.#publishStatus('offline');
      await Promise.race([client.endAsync(), timeLimit(GOODBYE_MS)]);
    }
    client.end(true);
    this.#listener.onClosed('closed');
  }

  #onConnect(connack: IConnackPacket): void {
    if (this.#closed || (connack.returnCode ?? 0) !== 0) return;
    this.#publishStatus('online');
    this.#listener.onOpen();
  }

  #publishStatus(status: 'online' | 'offline'): void {
    this.#nextPacketId = STATUS_PACKET_ID;
    this.#client?.publish(this.#options.statusTopic, status, { qos: 1, retain: true });
  }

  #onPacket(packet: Packet): void {
    if (this.#closed) return;
    if (packet.cmd !== 'puback' && packet.cmd !== 'pubrec' && packet.cmd !== 'pubcomp') return;
    const counter = this.#counters.get(packet.messageId ?? 0);
    if (counter !== undefined) this.#listener.onReceipt(packet.cmd, counter);
  }

  #end(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#client?.end(true);
    this.#listener.onClosed(reason);
  }

  #pubrels(): Store {
    const store = new Store();
    for (const { message, progress } of this.#options.inFlight) {
      if (progress !== 'received') continue;
      // MQTT 3.1.1 [MQTT-4.4.0-1]: PUBREL with the packet identifier of its PUBLISH.
      store.put({ cmd: 'pubrel', messageId: this.#packetIdOf(message.counter) }, () => {});
    }
    return store;
  }

  #packetIds(): {
    allocate(): number;
    getLastAllocated(): number;
    register(): boolean;
    deallocate(): void;
    clear(): void;
  } {
    return {
      allocate: () => this.#nextPacketId,
      getLastAllocated: () => this.#nextPacketId,
      register: () => true,
      deallocate: () => {},
      clear: () => {},
    };
  }

  #packetIdOf(counter: number): number {
    const packetId = ((counter - 1) % PACKET_IDS) + 1;
    this.#counters.set(packetId, counter);
    return packetId;
  }
}

function timeLimit(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
