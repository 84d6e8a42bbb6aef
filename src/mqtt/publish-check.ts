import type { Packet } from './aedes-packets.ts';
import { isMqttString } from './mqtt-string.ts';
import type { RefusalReason } from './ports.ts';

/** Topics that only the MQTT server itself publishes to. Other topics that begin with `$` are the devices'. */
const RESERVED_PREFIX = '$SYS/';
/** Length of the topic name (2 bytes) and packet identifier (2 bytes). */
const VARIABLE_HEADER_BYTES = 4;

/** Why a PUBLISH closes its connection. */
export interface PublishFault {
  readonly reason: Extract<RefusalReason, 'reserved_topic' | 'publish_invalid'>;
  readonly text: string;
}

/** Checks a PUBLISH or a will beyond what aedes checks itself. */
export function publishFault(packet: Packet, isWill: boolean): PublishFault | undefined {
  if (packet.topic.startsWith(RESERVED_PREFIX)) {
    return { reason: 'reserved_topic', text: `topic name ${RESERVED_PREFIX} is reserved` };
  }
  if (!isMqttString(packet.topic)) {
    return { reason: 'publish_invalid', text: 'topic name is not valid UTF-8 text' };
  }
  if (packet.qos > 0 && !isWill && !hasPacketId(packet)) {
    return { reason: 'publish_invalid', text: 'packet identifier is missing' }; // [MQTT-2.3.1-1]
  }
  return undefined;
}

/** The parser takes a missing packet identifier from the bytes of the next packet; the payload is empty then. */
function hasPacketId(packet: Packet): boolean {
  const { messageId, length, payload, topic } = packet;
  if (messageId === undefined || messageId < 1) return false;
  if (payload.length > 0 || length === undefined) return true;
  return length >= VARIABLE_HEADER_BYTES + Buffer.byteLength(topic);
}
