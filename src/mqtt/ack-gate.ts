import { crc32 } from 'node:zlib';
import type { Client } from 'aedes';
import type { DeviceMessage, Draft } from '../shared/message.ts';
import { promised, type Receipt } from '../shared/receipt.ts';
import type { AedesClient, Done } from './aedes-internals.ts';
import type { Packet } from './aedes-packets.ts';
import { CompletionQueue } from './completion-queue.ts';
import type { InboundPacketIds } from './inbound-packet-ids.ts';
import type { AcceptMessage, MqttObserver } from './ports.ts';
import { publishFault } from './publish-check.ts';

/** Packet type 4 and a remaining length of 2. */
const PUBACK_HEADER = 0x4002;

/** What the gate knows of one connection. */
interface Publisher {
  readonly username: string | undefined;
  readonly queue: CompletionQueue;
  /** One of its messages was refused: nothing behind that is acknowledged any more. */
  refused: boolean;
}

export interface AckGateOptions {
  readonly accept: AcceptMessage;
  readonly observer: MqttObserver;
  readonly packetIds: InboundPacketIds;
  /** Most QoS 2 messages of one session between PUBLISH and PUBREL. */
  readonly maxInflightQos2: number;
  /** Hands a message of QoS 1 to local subscribers, once it is acknowledged. */
  readonly deliver: (packet: Packet, client: Client) => void;
}

/**
 * Holds back PUBACK and PUBREC until the message is safe. It stands in the asynchronous `authorizePublish` of aedes,
 * which runs synchronously on arrival and before anything else is done with a PUBLISH of any QoS: what is called back
 * is acknowledged and delivered to local subscribers, an error closes the connection. QoS 1 goes no further in aedes: a
 * PUBACK of four bytes took mqtt-packet and aedes a quarter of the work of a stored message.
 */
export class AckGate {
  readonly #options: AckGateOptions;
  readonly #publishers = new WeakMap<Client, Publisher>();
  readonly #pendingWills = new Set<Promise<void>>();

  constructor(options: AckGateOptions) {
    this.#options = options;
  }

  /** Makes a connection known, with what its CONNECT said. */
  connect(client: Client, username: string | undefined): void {
    this.#publishers.set(client, { username, queue: new CompletionQueue(), refused: false });
  }

  /** Payload bytes of that connection that are not complete. */
  pendingBytes(client: Client): number {
    return this.#publishers.get(client)?.queue.pendingBytes ?? 0;
  }

  /** Resolves when the wills so far are safe or refused. */
  async willsSettled(): Promise<void> {
    await Promise.allSettled(this.#pendingWills);
  }

  /** The hook for aedes. A will comes through it too, when its connection has been closed. */
  authorizePublish(client: AedesClient, packet: Packet, done: Done): void {
    const isWill = client.closed && client.will === packet;
    const fault = publishFault(packet, isWill);
    if (fault !== undefined) {
      this.#options.observer.refused?.(fault.reason);
      done(new Error(fault.text));
      return;
    }
    const publisher = this.#publishers.get(client);
    if (publisher === undefined) done(new Error('PUBLISH before CONNECT'));
    else if (isWill) this.#admitWill(client, publisher, packet, done);
    else this.#admit(client, publisher, packet, done);
  }

  #admit(client: AedesClient, publisher: Publisher, packet: Packet, done: Done): void {
    // The device sends it again, behind the refused one. Accepted now, it would be ahead of that. QoS 0 does not come again.
    if (packet.qos > 0 && publisher.queue.hasFailed) return;
    const once = packet.qos === 2 ? this.#acceptOnce(client, publisher, packet) : undefined;
    if (packet.qos === 2 && once === undefined) {
      this.#options.observer.refused?.('qos2_window');
      done(new Error('too many QoS 2 messages wait for PUBREL'));
      return;
    }
    const startedAtMs = performance.now();
    const release = (error: Error | undefined): void => {
      // A connection that is gone takes no PUBACK: the device sends the message again. One of QoS 0 does not come
      // again, so local subscribers still get it.
      const isGone = client.closed || publisher.refused;
      if (isGone && (packet.qos > 0 || error !== undefined)) return;
      if (error !== undefined) {
        publisher.refused = true;
        setImmediate(done, error); // after the PUBACKs before it, which are written at the end of this tick
        return;
      }
      if (packet.qos > 0) {
        this.#options.observer.pubackLatency?.(performance.now() - startedAtMs);
      }
      // MQTT 3.1.1 [MQTT-4.3.2-2] [MQTT-4.3.3-2]: only now is it ours
      if (packet.qos === 1) this.#acknowledge(client, packet);
      else done(null);
    };
    const receipt = publisher.queue.enter(packet.payload.length, release);
    if (once === undefined) this.#accept(client, publisher, packet, receipt);
    else tellBy(once, receipt);
  }

  /** What aedes does with a PUBLISH of QoS 1, and as there a client that does not take its PUBACKs is read no further. */
  #acknowledge(client: AedesClient, packet: Packet): void {
    const isTaken = client.conn.write(pubackOf(packet.messageId ?? 0));
    this.#options.deliver(packet, client);
    if (isTaken || client.errored) client._nextBatch();
    else client.waitForDrain(client._nextBatch);
  }

  /** Accepts a QoS 2 PUBLISH unless its packet identifier is held already; undefined when the window is full. */
  #acceptOnce(
    client: AedesClient,
    publisher: Publisher,
    packet: Packet,
  ): Promise<void> | undefined {
    const { packetIds, maxInflightQos2 } = this.#options;
    const publish = { packetId: packet.messageId ?? 0, fingerprint: fingerprintOf(packet) };
    const repeated = packetIds.find(client, publish.packetId, publish.fingerprint);
    if (repeated !== undefined) return repeated;
    if (packetIds.isFull(client, maxInflightQos2)) return undefined;
    const accepted = promised((receipt) => this.#accept(client, publisher, packet, receipt));
    return packetIds.hold(client, publish, accepted);
  }

  #admitWill(client: AedesClient, publisher: Publisher, packet: Packet, done: Done): void {
    const safe = promised((receipt) => this.#accept(client, publisher, packet, receipt));
    this.#pendingWills.add(safe);
    const release = (error: Error | undefined): void => {
      this.#pendingWills.delete(safe);
      done(error ?? null);
    };
    tellBy(safe, publisher.queue.enter(packet.payload.length, release));
  }

  #accept(client: AedesClient, publisher: Publisher, packet: Packet, receipt: Receipt): void {
    this.#options.observer.received?.(packet.qos, packet.payload.length);
    this.#options.accept(deviceMessage(client.id, publisher.username, packet), receipt);
  }
}

/** MQTT 3.1.1 §3.4. */
function pubackOf(packetId: number): Buffer {
  const puback = Buffer.allocUnsafe(4);
  puback.writeUInt16BE(PUBACK_HEADER, 0);
  puback.writeUInt16BE(packetId, 2);
  return puback;
}

function tellBy(safe: Promise<void>, receipt: Receipt): void {
  safe.then(
    () => receipt.safe(),
    (error: unknown) => receipt.unsafe(error),
  );
}

/** A resend has the topic name and payload of the first PUBLISH. */
function fingerprintOf({ topic, payload }: Packet): number {
  return crc32(payload, crc32(topic));
}

function deviceMessage(
  clientId: string,
  username: string | undefined,
  packet: Packet,
): DeviceMessage {
  const { topic, payload, qos } = packet;
  const message: Draft<DeviceMessage> = {
    topic,
    payload: typeof payload === 'string' ? Buffer.from(payload) : payload,
    qos,
    dup: packet.dup === true,
    retain: packet.retain === true,
    clientId,
    receivedAtMs: Date.now(),
  };
  if (username !== undefined) message.username = username;
  return message;
}
