import type { ClockQuality } from '../clock/clock-judge.ts';
import type { StoreOrigin } from '../store/origin.ts';

/** How a lane stands. Everything but `direct` means that messages go through the store. */
export type LaneState = 'direct' | 'spilling' | 'draining' | 'stalled';

/** One lane at one moment. Totals count from the start of the process. */
export interface LaneSnapshot {
  readonly lane: string;
  readonly state: LaneState;
  /** Stored and not settled. */
  readonly backlogMessages: number;
  /** Of the backlog, roughly. */
  readonly backlogBytes: number;
  /** Their PUBACKs are held back until the store has room. */
  readonly waitingMessages: number;
  /** Published and waiting for the confirm. */
  readonly inFlightMessages: number;
  readonly inFlightBytes: number;
  /** Kept apart because the broker would not take them. */
  readonly parkedMessages: number;
  readonly acceptedTotal: number;
  /** Accepted and safe by the confirm alone. */
  readonly directTotal: number;
  /** Accepted and safe by the store. */
  readonly storedTotal: number;
  readonly publishedTotal: number;
  readonly confirmedTotal: number;
  /** Came back by basic.return. */
  readonly returnedTotal: number;
  readonly nackedTotal: number;
  readonly channelLossesTotal: number;
  /** Refused for want of room, and so not accepted. */
  readonly refusedFullTotal: number;
  /** By reason. */
  readonly droppedTotal: Readonly<Record<string, number>>;
  /** Records found unreadable. */
  readonly damagedTotal: number;
  /** Age of the oldest message that is accepted and not settled; absent when there is none. */
  readonly oldestUnsettledAgeMs?: number;
  /** How long confirms have made no progress although some are due; 0 when they do. */
  readonly stalledMs: number;
}

/** The store at one moment. */
export interface StoreSnapshot {
  /** False while the disk fails: then nothing is acknowledged that is not safe. */
  readonly writable: boolean;
  readonly appendsTotal: number;
  /** Synced writes; one carries many appends. */
  readonly batchesTotal: number;
  readonly bytesWrittenTotal: number;
  readonly writeErrorsTotal: number;
  /** Closings and openings after a write error. */
  readonly reopensTotal: number;
  readonly sizeBytes: number;
  /** Where it was when it was last used, as found at the start of this run. */
  readonly origin: StoreOrigin;
}

/** The connection to the broker at one moment. */
export interface AmqpSnapshot {
  readonly connected: boolean;
  /** The broker asked to stop publishing (connection.blocked, a RabbitMQ extension). */
  readonly blocked: boolean;
  readonly reconnectsTotal: number;
  /** Another gateway with the same id is connected to it. */
  readonly idTaken: boolean;
}

/** The MQTT server at one moment. */
export interface MqttSnapshot {
  readonly connections: number;
}

/** What happened between MQTT server and lanes. */
export interface IngestSnapshot {
  /** Acknowledged although no mapping matched. */
  readonly unmatchedTotal: number;
  /** By reason. */
  readonly refusedTotal: Readonly<Record<string, number>>;
  /** Payloads whose PUBACK is held back. */
  readonly pendingBytes: number;
}

/** What the log could not get rid of. */
export interface LogSnapshot {
  readonly droppedTotal: number;
}

/** How the config came to be as it runs. */
export interface ConfigSnapshot {
  /** Reloads that took effect. */
  readonly reloadsTotal: number;
  /** Reloads after which the old config went on. */
  readonly reloadFailuresTotal: number;
  /** The last reload failed: what runs is not what the file says. */
  readonly reloadFailed: boolean;
  /** Why it failed, all faults. */
  readonly reloadError?: string;
  /** Keys that the last reload found changed and could not take over. */
  readonly restartKeys: readonly string[];
}

/** The wall clock at one moment. */
export interface ClockSnapshot {
  readonly quality: ClockQuality;
  /** How often it was set since the start of the process. */
  readonly stepsTotal: number;
}

/** Where the numbers come from. Called at a scrape or a look at the status, and must not wait or throw. */
export interface SnapshotSources {
  lanes(): readonly LaneSnapshot[];
  store(): StoreSnapshot;
  amqp(): AmqpSnapshot;
  mqtt(): MqttSnapshot;
  ingest(): IngestSnapshot;
  log(): LogSnapshot;
  config(): ConfigSnapshot;
  clock(): ClockSnapshot;
}

/** All of it, taken at once so that the numbers of one scrape fit together. */
export interface GatewaySnapshot {
  readonly lanes: readonly LaneSnapshot[];
  readonly store: StoreSnapshot;
  readonly amqp: AmqpSnapshot;
  readonly mqtt: MqttSnapshot;
  readonly ingest: IngestSnapshot;
  readonly log: LogSnapshot;
  readonly config: ConfigSnapshot;
  readonly clock: ClockSnapshot;
}

/** Reads every source once. */
export function takeSnapshot(sources: SnapshotSources): GatewaySnapshot {
  return {
    lanes: sources.lanes(),
    store: sources.store(),
    amqp: sources.amqp(),
    mqtt: sources.mqtt(),
    ingest: sources.ingest(),
    log: sources.log(),
    config: sources.config(),
    clock: sources.clock(),
  };
}
