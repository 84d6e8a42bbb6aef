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
  | 'property_invalid'
  /** Not JSON, nested too deep, or not as the schema of its mapping says. */
  | 'payload_invalid'
  | 'when_failed'
  | 'transform_failed'
  /** Its check took too long, or ended the process in which it ran. */
  | 'payload_timeout'
  | 'payload_crashed'
  /** Was parked by its check, has passed it since and is on its way to be released. */
  | 'checked_again';

/** Why and since when a message is parked. */
export interface ParkNote {
  readonly reason: ParkReason;
  readonly detail: string;
  /** Wall clock of the first refusal, in ms since 1970; it survives that the message is released and parked again. */
  readonly firstAttemptMs: number;
  readonly lastAttemptMs: number;
  /** How often it was refused, over all its times in the parking place. */
  readonly attempts: number;
  /** It may have been published before, without an answer. Survives as the first attempt does. */
  readonly uncertain?: true;
}

/** What names a message in its lane. */
export type Identified = Pick<LaneMessage, 'epoch' | 'seq'>;

export interface ParkedMessage {
  readonly message: LaneMessage;
  readonly note: ParkNote;
}

/** What went back from the parking place into the log. */
export interface Unparked {
  readonly messages: number;
  /** Of their payloads, topic names and client ids. */
  readonly bytes: number;
}

export interface StoredMessage {
  readonly offset: number;
  readonly message: LaneMessage;
  /** It was parked before and came back: it is older than its place in the log says. */
  readonly isReleased: boolean;
}

/**
 * Records of a log that are gone: missing, or not what was written. The count is exact. The bounds are those
 * of their readable neighbours, so all that were appended in order of their seq lie within; an end without a
 * readable neighbour is absent.
 */
export interface LostRecords {
  readonly fromOffset: number;
  readonly count: number;
  /** The first identity that may be gone: the one behind the last readable before. */
  readonly epoch?: number;
  readonly fromSeq?: number;
  /** The last seq that may be gone. 0: the epoch before `toEpoch` may be gone up to its end. */
  readonly toSeq?: number;
  /** Epoch of `toSeq`, also when it is the same as `epoch`. */
  readonly toEpoch?: number;
  readonly detail: string;
}

/** What one read of a log brought. */
export interface LogChunk {
  readonly messages: readonly StoredMessage[];
  /** What was found gone on the way, each record once in the life of the process however often it is read. */
  readonly lost: readonly LostRecords[];
  /** Where to go on reading: behind the last record read or found lost; the end of the log when all is read. */
  readonly nextOffset: number;
}

/** Told what became of an append. Not a promise: this is done for every message that is stored. */
export interface AppendDone {
  /** The record is on disk, at that offset. */
  appended(offset: number): void;
  /** STORE_CLOSED: the store was closed before. */
  failed(error: unknown): void;
}

/**
 * One lane's durable log: offsets 0, 1, 2 … without a gap. Records leave only from the front.
 * It has one writer and one reader, the lane.
 */
export interface LaneLog {
  /** All offsets below it are settled. */
  readonly lowWaterMark: number;
  /** Where the next start would begin if the process were killed now: at most `lowWaterMark`. A power cut may bring back more. */
  readonly recordedMark: number;
  /** Offset the next durable record will get; equals `lowWaterMark` when nothing is stored. */
  readonly endOffset: number;
  /** Bytes of the unsettled records found when the log was opened, as an estimate; 0 when there were none. */
  readonly initialBytes: number;
  /**
   * Tells `done` when the record is on disk (`sync: true`). Records become durable in the order of the calls, and
   * each call is told in that order, never within it. A failing disk delays that for as long as it takes.
   */
  append(message: LaneMessage, done: AppendDone): void;
  /**
   * Reads from `offset` on, or from the low-water mark if that is higher, up to the limits. `nextOffset` is greater than `offset` unless that is the end;
   * damage makes records lost, it does not make a read fail.
   */
  read(offset: number, maxCount: number): Promise<LogChunk>;
  /** Ends a read sequence and frees the iterator and its snapshot. */
  endRead(): Promise<void>;
  /** Moves the low-water mark. Recorded later, in passing: until then a crash brings it back. */
  settle(lowWaterMark: number): void;
  /**
   * Resolves when `recordedMark` has come up to what `lowWaterMark` is now. On a disk that fails it comes up all the
   * same, so that nothing stands still: a kill then repeats more.
   */
  record(): Promise<void>;
  /**
   * Keeps a message apart from the log, with the reason. Durable when it resolves, like `append`. A message
   * that was parked before, also if it was released since, keeps its first attempt; attempts are added up.
   * Resolves with false when it was parked already, as after a crash between its parking and its settling.
   */
  park(message: LaneMessage, note: ParkNote): Promise<boolean>;
  /**
   * Up to `maxCount` parked messages, of that reason only if one is given, oldest first. Fewer, but not none, when
   * they are large: memory stays bounded.
   */
  parked(maxCount: number, reason?: ParkReason): Promise<readonly ParkedMessage[]>;
  /**
   * Moves up to `maxCount` parked messages, of that reason only if one is given, to the end of the log,
   * oldest first, each with its identity and atomically. Resolves with what was moved, when it is durable there.
   * Like `parked` it takes fewer than there are when they are large, so call it again until it moves none.
   */
  unpark(maxCount: number, reason?: ParkReason): Promise<Unparked>;
  /** Deletes these from among the parked. Resolves with how many were there, when they are durably gone. */
  discardParked(messages: readonly Identified[]): Promise<number>;
}

/** What the store keeps of each run: from one opening of the store to its end. */
export interface RunNote {
  readonly epoch: number;
  /** See `LaneMessage.run`. Absent for runs of 0.1.0. */
  readonly run?: string;
  /** Tells machines apart; absent where that could not be found out. */
  readonly machine?: string;
  /** Tells a store from its copies, likewise. */
  readonly birth?: string;
  readonly clock?: ClockNote;
  /** What earlier runs had stored may be gone uncounted when it began; until that is told. */
  readonly unverified?: 'all' | 'ends';
}

/** Found at the start of a run: what was stored before and not delivered may be gone, and nobody can count it. */
export interface Unverified {
  readonly epoch: number;
  readonly run: string | undefined;
  /** The store was empty. False: only records at the ends of the logs may be missing. */
  readonly isAll: boolean;
}

/** What is known of the time of a run. All in ms. */
export interface ClockNote {
  /** Monotonic time counts within one boot of the machine only. Empty where the boot is not known. */
  readonly bootId: string;
  /** Time of the gateway at the start of the run. */
  readonly startMs: number;
  /** Monotonic time since boot at the start of the run. */
  readonly uptimeMs: number;
  /** Time of the gateway when it was last noted: the run lasted at least until then. */
  readonly seenMs: number;
  /** True time since 1970 minus time of the gateway; absent as long as no confirmed clock has told it. */
  readonly trueOffsetMs?: number;
  /** Time of the gateway from which `trueOffsetMs` may be too small; absent when it holds for all of the run. */
  readonly sureUntilMs?: number;
}

/** How a process that used the store before ended. */
export interface PreviousRun {
  readonly epoch: number;
  /** See `LaneMessage.run`. Absent for runs of 0.1.0, and where the store has lost it. */
  readonly run?: string;
  /** The last seq each lane gave in that epoch; absent when it ended without a clean close. */
  readonly lastSeqs: ReadonlyMap<string, number> | undefined;
}

/** The durable side of the gateway. */
export interface MessageStore {
  /** Counts the openings of this store, from 1. Durable before the store is open. */
  readonly epoch: number;
  /** Random part of this run's identities; see `LaneMessage.run`. */
  readonly run: string;
  /** What is known of this run and of those before, by epoch; runs that nothing is left of may be missing. */
  readonly runs: ReadonlyMap<number, RunNote>;
  /**
   * Changes what is kept of this run. Resolves when that is durable.
   * @throws {GatewayError} STORE_CLOSED, or why it could not be written: nothing is kept of it then.
   */
  noteRun(change: Pick<RunNote, 'clock' | 'machine' | 'birth'>): Promise<void>;
  /**
   * The runs before this one whose end was not told yet, oldest first; none in a new store. The last of them is
   * the run before; others are there when that one ended before it had told of them.
   */
  readonly previousRuns: readonly PreviousRun[];
  /** False while the disk fails: then nothing is acknowledged that is not safe. */
  readonly writable: boolean;
  /** Starts that could not verify what they found, and that were not told of yet; oldest first. */
  readonly unverified: readonly Unverified[];
  /**
   * All `previousRuns` and `unverified` are told: no later run finds them. Resolves when that is durable.
   * @throws {GatewayError} STORE_CLOSED when the store is closed before: they are found again.
   */
  previousRunsTold(): Promise<void>;
  /** The log of the lane of that name, made if it is new. */
  lane(name: string): Promise<LaneLog>;
  /**
   * Ends the batch in flight and closes. What is still queued is told STORE_CLOSED. `lastSeqs`, the last seq
   * of each lane, is what the next run finds in `previousRuns`: the proof that nothing else was numbered.
   */
  close(lastSeqs?: ReadonlyMap<string, number>): Promise<void>;
}
