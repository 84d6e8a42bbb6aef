import type { EventEmitter } from 'node:events';
import { Aedes, type Client } from 'aedes';
import type { Packet } from './aedes-packets.ts';

/**
 * What the gateway uses of aedes 1.2.0 without its type declarations promising it. The version is pinned; whoever
 * moves it reads this file against `aedes/lib/client.js` and `aedes.js`, and runs test/integration/mqtt*.
 */
export interface AedesClient extends Client {
  /** The will of the CONNECT, until it is published; the same object is given to `authorizePublish`. */
  readonly will: object | null;
  /** Packets that were parsed and are not done. At 0 aedes reads the socket again. */
  readonly _parsingBatch: number;
  readonly _parser: AedesParser;
  /** Marks one packet as done; as listener of `readable` it also counts one down, and so it reads too early. */
  readonly _nextBatch: (error?: Error) => void;
  /** Its connection failed. */
  readonly errored: boolean;
  /** Calls back when the socket takes more, or with an error when it does not within `drainTimeout`, or is closed. */
  waitForDrain(callback: (error?: Error) => void): void;
  /** Nothing is read any more until `resume()`. */
  pause(): void;
}

/** mqtt-packet's parser, of which aedes takes each packet by its event `packet`. */
export interface AedesParser {
  /** Takes the next bytes. Returns how many of them are still in its memory. */
  parse(bytes: Buffer): number;
  emit(event: 'packet', packet: PublishPacket): boolean;
}

/** A PUBLISH as the parser gives it. */
export interface PublishPacket {
  readonly cmd: 'publish';
  readonly retain: boolean;
  readonly qos: 0 | 1 | 2;
  readonly dup: boolean;
  /** Remaining length (MQTT 3.1.1 §2.2.3). */
  readonly length: number;
  readonly topic: string;
  readonly payload: Buffer;
  messageId?: number;
}

/** What aedes calls back, at most once. */
export type Done = (error?: Error | null) => void;

/** A packet that waits for a session, with aedes' number of the message; a PUBREL has no more than its identifier. */
export interface QueuedPacket {
  readonly cmd: string;
  readonly topic: string;
  readonly payload: string | Buffer;
  readonly brokerCounter?: number;
  messageId?: number | undefined;
}

type SessionName = { readonly clientId: string };
type Subscriptions = readonly { readonly topic: string; readonly qos: number }[];

/** A persistence of aedes as far as it is changed here: methods return promises when given no callback. */
export interface AedesPersistence {
  storeRetained(packet: Packet): Promise<void>;
  addSubscriptions(client: Client, subscriptions: Subscriptions): Promise<void>;
  removeSubscriptions(client: Client, topicFilters: unknown): Promise<void>;
  cleanSubscriptions(client: Pick<Client, 'id'>): Promise<void>;
  subscriptionsByClient(client: Pick<Client, 'id'>): Promise<Subscriptions>;
  countOffline(): Promise<{ readonly subsCount: number; readonly clientsCount: number }>;
  outgoingEnqueue(session: SessionName, packet: QueuedPacket): Promise<void>;
  outgoingEnqueueCombi(sessions: readonly SessionName[], packet: QueuedPacket): Promise<void>;
  outgoingUpdate(client: Client, packet: QueuedPacket): Promise<void>;
  outgoingClearMessageId(client: Client, packet: QueuedPacket): Promise<QueuedPacket | undefined>;
  outgoingStream(client: Client): NodeJS.ReadableStream;
  incomingGetPacket(client: Client, packet: Packet): Promise<Packet>;
  incomingStorePacket(client: Client, packet: Packet): Promise<void>;
  incomingDelPacket(client: Client, packet: Packet): Promise<void>;
  cleanIncoming(client: Client): Promise<void>;
  streamWill(): NodeJS.ReadableStream;
}

/** Connected clients by identifier, and the two functions of aedes that keep this table. */
export interface AedesRegistry {
  readonly clients: Record<string, Client | undefined>;
  _finishRegisterClient(client: Client): void;
}

/** The publish pipeline of aedes; its declaration leaves the client out. */
export const runPipeline: (
  this: Pick<Aedes, 'id'>,
  packet: Packet,
  client: Client | null,
  done?: (error?: Error) => void,
) => void = Aedes.prototype.publish as unknown as typeof runPipeline;

/** aedes' own end of a connection, for the one that owns its client identifier. */
export const unregister: (this: object, client: Client) => void = (
  Aedes.prototype as unknown as { unregisterClient(this: object, client: Client): void }
).unregisterClient;

/** The declaration leaves the event out that aedes emits when its persistence fails. */
export function onServerError(aedes: EventEmitter, listener: (error: unknown) => void): void {
  aedes.on('error', listener);
}
