import { Readable } from 'node:stream';
import type { AedesPersistence, QueuedPacket } from './aedes-internals.ts';
import { type ByteBudget, ownPayload, packetBytes } from './byte-budget.ts';

/** Most messages that wait for one session; other MQTT servers cut at the same number. */
const MAX_QUEUED_MESSAGES = 1000;

interface Entry {
  packet: QueuedPacket;
  bytes: number;
}

interface Queue {
  entries: Entry[];
  bytes: number;
}

export interface OfflineQueuesOptions {
  /** For all sessions together. */
  readonly budget: ByteBudget;
  readonly maxBytesPerClient: number;
  /** A message was left out. What goes to the broker does not pass here. */
  readonly onFull: () => void;
}

/**
 * What waits in memory for the local subscriptions of persistent sessions, in order, until it is acknowledged. Takes the
 * place of the queues of aedes' memory persistence, which are bounded by nothing and leave something behind for each
 * client identifier that ever sent a PUBACK.
 */
export class OfflineQueues {
  readonly #options: OfflineQueuesOptions;
  readonly #queues = new Map<string, Queue>();

  constructor(options: OfflineQueuesOptions) {
    this.#options = options;
  }

  /** Takes the place of the persistence's own queues. */
  attach(persistence: AedesPersistence): void {
    persistence.outgoingEnqueue = async (session, packet) => this.#enqueue([session], packet);
    persistence.outgoingEnqueueCombi = async (sessions, packet) => this.#enqueue(sessions, packet);
    persistence.outgoingUpdate = async (client, packet) => this.#update(client.id, packet);
    persistence.outgoingClearMessageId = async (client, packet) => this.#clear(client.id, packet);
    persistence.outgoingStream = (client) =>
      Readable.from((this.#queues.get(client.id)?.entries ?? []).map(({ packet }) => packet));
  }

  /** The session has ended. */
  forget(clientId: string): void {
    this.#options.budget.give(this.#queues.get(clientId)?.bytes ?? 0);
    this.#queues.delete(clientId);
  }

  #enqueue(sessions: readonly { readonly clientId: string }[], packet: QueuedPacket): void {
    if (sessions.length === 0) return;
    const bytes = packetBytes(packet);
    const payload = ownPayload(packet.payload);
    for (const { clientId } of sessions) {
      const queue = this.#queues.get(clientId) ?? { entries: [], bytes: 0 };
      if (!this.#hasRoom(queue, bytes)) {
        this.#options.onFull();
        continue;
      }
      this.#queues.set(clientId, queue);
      queue.entries.push({ packet: { ...packet, payload, messageId: undefined }, bytes });
      queue.bytes += bytes;
    }
  }

  #hasRoom(queue: Queue, bytes: number): boolean {
    if (queue.entries.length >= MAX_QUEUED_MESSAGES) return false;
    if (queue.bytes + bytes > this.#options.maxBytesPerClient) return false;
    return this.#options.budget.take(bytes);
  }

  /** A message goes out and has a packet identifier now, or PUBREC came and PUBREL takes its place. */
  #update(clientId: string, packet: QueuedPacket): void {
    const queue = this.#queues.get(clientId);
    // One that was left out, or is retained, is not here: it goes out all the same.
    const entry = queue?.entries.find((one) => isSame(one.packet, packet));
    if (queue === undefined || entry === undefined) return;
    if (packet.cmd === 'publish') {
      entry.packet.messageId = packet.messageId;
      return;
    }
    entry.packet = packet;
    queue.bytes -= entry.bytes;
    this.#options.budget.give(entry.bytes);
    entry.bytes = 0;
  }

  #clear(clientId: string, packet: QueuedPacket): QueuedPacket | undefined {
    const queue = this.#queues.get(clientId);
    const index = queue?.entries.findIndex((one) => isSame(one.packet, packet)) ?? -1;
    const [entry] = queue === undefined || index < 0 ? [] : queue.entries.splice(index, 1);
    if (queue === undefined || entry === undefined) return undefined;
    queue.bytes -= entry.bytes;
    this.#options.budget.give(entry.bytes);
    if (queue.entries.length === 0) this.#queues.delete(clientId);
    return entry.packet;
  }
}

/** By aedes' number of the message, and for what the client sends by the packet identifier. */
function isSame(queued: QueuedPacket, packet: QueuedPacket): boolean {
  if (packet.brokerCounter !== undefined) return queued.brokerCounter === packet.brokerCounter;
  return packet.messageId !== undefined && queued.messageId === packet.messageId;
}
