/*
 * The shape of a loaded config. What each key means, its unit, default and range stand in schema.ts, from
 * which docs/configuration.md is made. The compiler holds these types and the schemas to each other.
 */

/** Who this gateway is to the consumers. */
export interface GatewayConfig {
  readonly id: string;
}

/** One address the MQTT server listens on. */
export interface MqttListenerConfig {
  readonly host: string;
  readonly port: number;
}

/** What devices can make the MQTT server keep in memory. */
export interface MqttLimitsConfig {
  readonly maxRetainedMessages: number;
  readonly maxRetainedBytes: number;
  readonly maxSubscriptionsPerClient: number;
  readonly maxSubscriptionBytes: number;
  readonly maxFilterBytes: number;
  readonly maxSessions: number;
  readonly sessionExpiryMs: number;
  readonly maxQueuedBytes: number;
  readonly maxQueuedBytesPerClient: number;
  readonly maxWillBytes: number;
}

/** The side of the devices. */
export interface MqttConfig {
  readonly listeners: readonly MqttListenerConfig[];
  readonly maxPayloadBytes: number;
  readonly connectTimeoutMs: number;
  readonly maxConnections: number;
  readonly maxPendingBytes: number;
  readonly maxInflightQos2: number;
  readonly drainTimeoutMs: number;
  readonly limits: MqttLimitsConfig;
}

/** The local store. */
export interface StoreConfig {
  readonly path: string;
  readonly maxBytes: number;
  readonly reserveBytes: number;
  readonly ballastBytes: number;
}

/** Pause between two attempts to connect. */
export interface ReconnectConfig {
  readonly minMs: number;
  readonly maxMs: number;
}

/** Key material of `amqps://`: paths of PEM files, read at each connect. */
export interface AmqpTlsConfig {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly serverName?: string;
}

/** The side of the broker. */
export interface AmqpConfig {
  readonly urls: readonly string[];
  readonly tls?: AmqpTlsConfig;
  readonly heartbeatMs: number;
  readonly connectTimeoutMs: number;
  readonly confirmTimeoutMs: number;
  readonly reconnect: ReconnectConfig;
  readonly claimId: boolean;
}

/** Which of the two ways to safe a message takes first. */
export type DeliveryMode = 'adaptive' | 'disk-first';

/** How much may be published without a confirm. */
export interface WindowConfig {
  readonly maxMessages: number;
  readonly maxBytes: number;
}

/** How much one lane may hold in the store; an absent limit is none. */
export interface LimitsConfig {
  readonly maxMessages?: number;
  readonly maxBytes?: number;
  readonly maxAgeMs?: number;
}

/** What becomes of a message for which its lane or the store has no room. */
export type WhenFull = 'block' | 'reject' | 'drop-oldest' | 'drop-newest';

/** How fast a lane catches up, so that a site that was cut off for a day floods nobody. */
export interface BackfillConfig {
  readonly maxInFlightMessages: number;
  readonly targetConfirmMs: number;
  readonly maxStartDelayMs: number;
  readonly maxMessagesPerSecond?: number;
  readonly maxBytesPerSecond?: number;
}

/** How messages become safe and reach the broker. */
export interface DeliveryConfig {
  readonly mode: DeliveryMode;
  readonly spillAfterMs: number;
  readonly directAfterMs: number;
  readonly window: WindowConfig;
  readonly maxInFlightBytes: number;
  readonly limits: LimitsConfig;
  readonly whenFull: WhenFull;
  readonly backfill: BackfillConfig;
  readonly parkedRetryMs: number;
}

/** Exchange types of AMQP 0-9-1 §3.1.3. */
export type ExchangeType = 'topic' | 'direct' | 'fanout' | 'headers';

/** An argument of a declaration or a binding. */
export type AmqpArgument = string | number | boolean;

/** The exchange a mapping publishes to; an empty name is the default exchange. */
export interface ExchangeConfig {
  readonly name: string;
  readonly type: ExchangeType;
  /** Governs all that is listed with the exchange, too. */
  readonly declare: boolean;
  readonly arguments?: Readonly<Record<string, AmqpArgument>>;
}

/** What of an exchange goes to the queue or exchange that it stands in. */
export interface BindingConfig {
  /** Absent means the exchange of the mapping. */
  readonly exchange?: string;
  /** Absent means `#`. */
  readonly key?: string;
  readonly arguments?: Readonly<Record<string, AmqpArgument>>;
}

/** How something is bound. Without either it is bound to the exchange of its mapping with `#`. */
interface BoundConfig {
  /** Short for `bindings` with one entry of that key. */
  readonly bindingKey?: string;
  readonly bindings?: readonly BindingConfig[];
}

/** A durable exchange to declare and to bind to that of its mapping. */
export interface BoundExchangeConfig extends BoundConfig {
  readonly name: string;
  readonly type: ExchangeType;
  readonly arguments?: Readonly<Record<string, AmqpArgument>>;
}

/** Queue types of RabbitMQ, as in `x-queue-type`. */
export type QueueType = 'quorum' | 'classic' | 'stream';

/** A durable queue to declare and to bind to the exchange of its mapping. */
export interface QueueConfig extends BoundConfig {
  readonly name: string;
  readonly type: QueueType;
  readonly arguments: Readonly<Record<string, AmqpArgument>>;
}

/** Templates of the basic properties of a mapping's messages; absent ones are not set. */
export interface PropertiesConfig {
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly priority?: string | number;
  readonly expiration?: string | number;
  readonly type?: string;
  readonly correlationId?: string;
  readonly replyTo?: string;
}

/** What becomes of a message that reached no queue or was refused by the broker. */
export type FailureAction = 'park' | 'retry' | 'drop';

/** What a payload must be. */
export interface PayloadConfig {
  /** JSON Schema, or the path of a file with one. */
  readonly schema?: string | Readonly<Record<string, unknown>>;
  /** Absent means the default of the checks. */
  readonly timeoutMs?: number;
}

/** Which topics go to which exchange; makes one lane. */
export interface MappingConfig {
  readonly name: string;
  readonly filter: string;
  readonly payload?: PayloadConfig;
  /** JSONata: only messages for which it is true go to the lane. */
  readonly when?: string;
  /** JSONata: makes the body of the AMQP message. */
  readonly transform?: string;
  readonly exchange: ExchangeConfig;
  /** Template; absent means the topic name with '/' and '.' swapped. */
  readonly routingKey?: string;
  readonly properties?: PropertiesConfig;
  /** By name: a template, or a number or boolean as it is. */
  readonly headers?: Readonly<Record<string, string | number | boolean>>;
  readonly exchanges?: readonly BoundExchangeConfig[];
  readonly queues: readonly QueueConfig[];
  readonly onUnroutable: FailureAction;
  readonly onReject: FailureAction;
  /** Absent means `delivery.limits`. */
  readonly limits?: LimitsConfig;
  /** Absent means `delivery.whenFull`. */
  readonly whenFull?: WhenFull;
}

/** Which of the mappings that match a topic get the message. */
export interface RoutingConfig {
  readonly match: 'all' | 'first';
}

/** Where the gap manifest is published. */
export interface GapsConfig {
  readonly exchange: ExchangeConfig;
  readonly queues: readonly QueueConfig[];
}

/** The HTTP server for health, metrics, status and parked messages. */
export interface AdminConfig {
  readonly enabled: boolean;
  readonly host: string;
  readonly port: number;
}

/** Levels of the log, from all to nearly nothing. */
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** The log on standard output. */
export interface LogConfig {
  readonly level: LogLevel;
}

/** How the gateway stops. */
export interface ShutdownConfig {
  readonly timeoutMs: number;
}

/** All of it. Deeply frozen when it comes from `loadConfig`. Each folder takes its own slice only. */
export interface Config {
  readonly gateway: GatewayConfig;
  readonly mqtt: MqttConfig;
  readonly store: StoreConfig;
  readonly amqp: AmqpConfig;
  readonly delivery: DeliveryConfig;
  readonly routing: RoutingConfig;
  readonly mappings: readonly MappingConfig[];
  readonly gaps: GapsConfig;
  readonly admin: AdminConfig;
  readonly log: LogConfig;
  readonly shutdown: ShutdownConfig;
}
