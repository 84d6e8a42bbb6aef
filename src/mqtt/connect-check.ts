import type { ConnectPacket } from './aedes-packets.ts';
import { isMqttString, isTopicName } from './mqtt-string.ts';

/** CONNACK with return code 0x02, identifier rejected (MQTT 3.1.1 §3.2.2.3). */
export const CONNACK_IDENTIFIER_REJECTED: Uint8Array = Uint8Array.of(0x20, 2, 0, 2);
/** CONNACK with return code 0x03, server unavailable (MQTT 3.1.1 §3.2.2.3). */
export const CONNACK_UNAVAILABLE: Uint8Array = Uint8Array.of(0x20, 2, 0, 3);
const MAX_QOS = 2;
/** Sessions are kept by client identifier. More than 23 bytes are ours to allow [MQTT-3.1.3-5]. */
const MAX_CLIENT_ID_BYTES = 1024;

/** What aedes lets through in a CONNECT and MQTT 3.1.1 does not. */
export interface ConnectFault {
  readonly text: string;
  /** To be sent before closing; absent: the connection is closed without an answer. */
  readonly connack?: Uint8Array;
}

/** Checks a CONNECT beyond what aedes checks itself. */
export function connectFault(packet: ConnectPacket): ConnectFault | undefined {
  const { clientId, clean, username, will } = packet;
  if (clientId === '' && clean !== true) {
    return {
      text: 'empty client identifier with clean session 0', // [MQTT-3.1.3-8]
      connack: CONNACK_IDENTIFIER_REJECTED,
    };
  }
  if (Buffer.byteLength(clientId) > MAX_CLIENT_ID_BYTES) {
    return { text: 'client identifier is too long', connack: CONNACK_IDENTIFIER_REJECTED };
  }
  if (!isMqttString(clientId)) return { text: 'client identifier is not valid UTF-8 text' };
  if (username !== undefined && !isMqttString(username)) {
    return { text: 'user name is not valid UTF-8 text' };
  }
  if (will !== undefined && !isTopicName(will.topic)) return { text: 'will topic is not valid' };
  if ((will?.qos ?? 0) > MAX_QOS) return { text: 'will QoS is not valid' }; // [MQTT-3.1.2-14]
  return undefined;
}

/** What a connection keeps of its CONNECT in memory. */
export function connectBytes({ username, will }: ConnectPacket): number {
  const willBytes = will === undefined ? 0 : will.payload.length + will.topic.length;
  return willBytes + (username?.length ?? 0);
}
