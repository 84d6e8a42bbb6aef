import type { LaneMessage } from '../shared/message.ts';

/** What the broker said about one published message. */
export type PublishOutcome =
  /** Confirmed and routed to at least one queue: the message is the broker's now. */
  | { readonly kind: 'confirmed' }
  /** No queue was bound for it (basic.return, `mandatory`). The broker has kept nothing. */
  | { readonly kind: 'returned'; readonly replyCode: number; readonly replyText: string }
  /** The broker refused it (basic.nack), for instance for a full queue. It has kept nothing. */
  | { readonly kind: 'nacked' };

/** `replyCode` of a return for a message that does not fit into AMQP frames at all (syntax-error). */
export const UNENCODABLE = 502;

/** Why a lane's way to the broker is closed. */
export interface CloseReason {
  /** What was lost: this lane's channel only, or the connection of all lanes. */
  readonly scope: 'channel' | 'connection';
  /** AMQP reply code when the broker closed it (404, 403, 406, 320 …). */
  readonly replyCode?: number;
  readonly text: string;
}

/** What a publisher tells its lane. Called synchronously, never re-entrantly from inside `publish`. */
export interface PublisherListener {
  /** A channel in confirm mode is ready and the lane's topology is in place. */
  onOpen(): void;
  /** The channel is gone: no outcome will come for anything published before. */
  onClosed(reason: CloseReason): void;
  /** The broker asked to stop publishing (connection.blocked); confirms may stall. */
  onBlocked(reason: string): void;
  onUnblocked(): void;
}

/** One lane's way to the broker: a confirm channel that is opened again by itself whenever it is lost. */
export interface Publisher {
  /** Starts trying to open, for ever, with back-off. Never throws for a broker that is away. */
  start(listener: PublisherListener): void;
  /**
   * Publishes `mandatory` and persistent. `done` is called once with the broker's answer, or never if
   * `onClosed` comes first. Answers may come in any order (RabbitMQ docs/confirms).
   * Only allowed between `onOpen` and `onClosed`.
   */
  publish(message: LaneMessage, done: (outcome: PublishOutcome) => void): void;
  /** Gives the present channel up (`channel`) or the whole connection, which moves on to the next URL. */
  recycle(scope: 'channel' | 'connection', reason: string): void;
  /** Closes the channel for good. */
  stop(): Promise<void>;
}

/** Why a message left its lane's order and waits apart. */
export type ParkReason =
  | 'unroutable'
  | 'rejected'
  | 'routing_key_too_long'
  | 'template_failed'
  | 'property_invalid';

export interface StoredMessage {
  readonly offset: number;
  readonly message: LaneMessage;
}

/** What one read of a log brought. `messages` is empty only at the end of the log. */
export interface LogChunk {
  readonly messages: readonly StoredMessage[];
  /** Where to go on reading: behind the last record read, damaged ones included. */
  readonly nextOffset: number;
}

/**
 * One lane's durable log: offsets 0, 1, 2 … without a gap. Records leave only from the front.
 * It has one writer and one reader, the lane.
 */
export interface LaneLog {
  /** All offsets below it are settled. */
  readonly lowWaterMark: number;
  /** Offset the next durable record will get; equals `lowWaterMark` when nothing is stored. */
  readonly endOffset: number;
  /**
   * Resolves with the record's offset after it is on disk (`sync: true`). Records become durable in the
   * order of the calls. A failing disk delays it, for as long as it takes, and never rejects it.
   * @throws {GatewayError} STORE_CLOSED when the store is closed before.
   */
  append(message: LaneMessage): Promise<number>;
  /** Reads from `offset` on, up to the limits (always at least one record when there is one). */
  read(offset: number, maxCount: number): Promise<LogChunk>;
  /** Ends a read sequence and frees the iterator and its snapshot. */
  endRead(): Promise<void>;
  /** Moves the low-water mark. Persisted later, in passing: a crash may bring it back by a little. */
  settle(lowWaterMark: number): void;
  /** Keeps a message apart from the log, with the reason. Durable when it resolves, like `append`. */
  park(message: LaneMessage, reason: ParkReason, detail: string): Promise<void>;
  /**
   * Moves up to `maxCount` parked messages to the end of the log, oldest first, each with its identity and
   * atomically. Resolves with how many, when they are durable there.
   */
  unpark(maxCount: number): Promise<number>;
}

/** The durable side of the gateway. */
export interface MessageStore {
  /** Counts the openings of this store, from 1. Durable before the store is open. */
  readonly epoch: number;
  /** False while the disk fails: then nothing is acknowledged that is not safe. */
  readonly writable: boolean;
  /** The log of the lane of that name, made if it is new. */
  lane(name: string): Promise<LaneLog>;
}
