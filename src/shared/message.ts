/** Quality of service of a PUBLISH: at most, at least or exactly once (MQTT 3.1.1 §4.3). */
export type QoS = 0 | 1 | 2;

/** One PUBLISH of a device, as it arrived. Nothing in it is changed after that. */
export interface DeviceMessage {
  /** Topic name, without wildcards (MQTT 3.1.1 §3.3.2.1). */
  readonly topic: string;
  /** Passed on byte for byte. */
  readonly payload: Buffer;
  readonly qos: QoS;
  readonly dup: boolean;
  readonly retain: boolean;
  readonly clientId: string;
  /** As given in CONNECT; absent when the client gave none. */
  readonly username?: string;
  /** Wall clock at arrival, in ms since 1970. */
  readonly receivedAtMs: number;
}

/** Headers that the gateway sets itself on each AMQP message; no mapping may set them. */
export const GATEWAY_HEADERS: readonly string[] = [
  'x-mqtt-topic',
  'x-mqtt-publish-qos',
  'x-mqtt-dup',
  'x-mqtt-retain',
  'x-client-id',
  'x-gateway-id',
  'x-lane',
  'x-epoch',
  'x-run',
  'x-seq',
  'x-received-at',
  'x-backlog',
];

/** Value of an AMQP header, as far as a mapping can set it. */
export type HeaderValue = string | number | boolean;

/** What a mapping sets on its AMQP messages beside the routing key (AMQP 0-9-1 §1.8.3, basic properties). */
export interface MessageProperties {
  readonly contentType?: string;
  readonly contentEncoding?: string;
  /** 0 to 255. */
  readonly priority?: number;
  /** Time to live in a queue, in ms, as decimal text: AMQP has it as text. */
  readonly expiration?: string;
  readonly type?: string;
  readonly correlationId?: string;
  readonly replyTo?: string;
  /** Has none of `GATEWAY_HEADERS` and no `__proto__`. */
  readonly headers?: Readonly<Record<string, HeaderValue>>;
}

/**
 * A message while it is being put together. To be built key by key: V8 copies an object of unknown shape by spread so
 * slowly that one of it a message made all that a gateway does twice as expensive.
 */
export type Draft<T> = { -readonly [Key in keyof T]: T[Key] };

/** A message with what its mapping sets on it. */
export interface MappedMessage extends DeviceMessage {
  /** Rendered on arrival, like the routing key; absent when the mapping sets nothing. */
  readonly amqp?: MessageProperties;
}

/**
 * A message with its identity in one lane. `(gatewayId, lane, epoch, run, seq)` is unique for ever and is the
 * same at every delivery, so that a consumer can dedupe and count.
 */
export interface LaneMessage extends MappedMessage {
  readonly gatewayId: string;
  /** Counts the starts of the gateway, from 1. A store that was set back or copied counts the same epoch again. */
  readonly epoch: number;
  /** Drawn at random at the start of that epoch, 16 hex digits: no copy of a store repeats it. Absent in what 0.1.0 stored. */
  readonly run?: string;
  /** Counts the messages of a lane within the epoch, from 1, in order of arrival. */
  readonly seq: number;
  /** Time of the gateway at arrival, in ms: see `GatewayClock`. Absent in what 0.1.0 stored. */
  readonly elapsedMs?: number;
  /** AMQP routing key, rendered on arrival so that a later change of the config does not move a backlog. */
  readonly routingKey: string;
  /** True when it is published from the store rather than on arrival. */
  readonly fromStore?: boolean;
}
