import type { DeviceMessage, QoS } from '../shared/message.ts';
import type { Receipt } from '../shared/receipt.ts';

/**
 * Takes one message over. The receipt is told when it is SAFE, so that it may be acknowledged, or, with whatever error,
 * that it cannot be made safe and must not be acknowledged; also within the call. Called synchronously in the order in
 * which the PUBLISHes of a client arrived, and once for a QoS 2 packet identifier until its PUBREL.
 */
export type AcceptMessage = (message: DeviceMessage, receipt: Receipt) => void;

/** A QoS 2 packet identifier of a persistent session, between PUBREC and PUBREL. */
export interface HeldPacketId {
  readonly clientId: string;
  readonly packetId: number;
  /** Tells a repeat of its message from another message under the same identifier. */
  readonly fingerprint: number;
}

/** Keeps QoS 2 packet identifiers over a restart. Changes become durable in the order of the calls. */
export interface PacketIdStore {
  /** All there are. Called once, before the first change. */
  load(): Promise<readonly HeldPacketId[]>;
  /** Resolves when it is on disk; rejects only when the store is closed before. */
  add(held: HeldPacketId): Promise<void>;
  /** Resolves when these identifiers of the session are off the disk; rejects like `add`. */
  remove(clientId: string, packetIds: readonly number[]): Promise<void>;
}

/** Why a connection was refused, or closed for what its peer sent. */
export type RefusalReason =
  /** `maxConnections` were open. */
  | 'max_connections'
  /** A packet above the size limit (before CONNECT: above 128 KiB). */
  | 'frame_too_large'
  /** A remaining length of more than four bytes. */
  | 'malformed_length'
  /** The first packet was not a CONNECT [MQTT-3.1.0-1]. */
  | 'connect_expected'
  /** A CONNECT with a client identifier, user name or will that MQTT does not allow. */
  | 'connect_invalid'
  /** A PUBLISH with a topic name or packet identifier that MQTT does not allow. */
  | 'publish_invalid'
  /** A PUBLISH to `$SYS/`. */
  | 'reserved_topic'
  /** More QoS 2 messages between PUBREC and PUBREL than one client may have. */
  | 'qos2_window'
  /** The wills and user names of all connections together were too large. */
  | 'will_limit';

/** What of the local side of the MQTT server reached a limit. */
export type LimitReason =
  /** A retained message was forwarded and not retained. */
  | 'retained_limit'
  /** A subscription got SUBACK 0x80. */
  | 'subscription_limit'
  /** A local subscriber, or its session, did not get a message. */
  | 'subscriber_queue_limit'
  /** A persistent session ended because there were too many, or it was away for too long. */
  | 'session_limit';

/** Told what happens, for counting. Must not throw. All callbacks are optional. */
export interface MqttObserver {
  /** A message was handed to `accept`. Repeats of a QoS 2 packet identifier are not. */
  received?(qos: QoS, payloadBytes: number): void;
  /** Time from reading a PUBLISH to writing its PUBACK or PUBREC, in ms. */
  pubackLatency?(ms: number): void;
  connectionOpened?(): void;
  connectionClosed?(): void;
  refused?(reason: RefusalReason): void;
  /** A local service was cut short by a limit. What goes to the broker is not touched. */
  limited?(reason: LimitReason): void;
}

/** What the MQTT server needs of a log. */
export interface MqttLog {
  debug(fields: Readonly<Record<string, unknown>>, text: string): void;
  warn(fields: Readonly<Record<string, unknown>>, text: string): void;
  error(fields: Readonly<Record<string, unknown>>, text: string): void;
}
