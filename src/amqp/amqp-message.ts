import type { HeaderValue, LaneMessage, MessageProperties } from '../shared/message.ts';
import { messageIdOf } from '../shared/message-id.ts';

/** Basic properties (AMQP 0-9-1 §1.8.3) as they are sent. */
export interface SentProperties extends Omit<MessageProperties, 'headers'> {
  /** 2: persistent. */
  readonly deliveryMode: 2;
  readonly messageId: string;
  /** s since 1970 (AMQP 0-9-1 §4.2.5.4). */
  readonly timestamp: number;
  readonly appId: 'tidegate';
  readonly headers: Readonly<Record<string, HeaderValue>>;
}

/** The properties and headers of one lane's message. The body is the payload, byte for byte. */
export function propertiesOf(message: LaneMessage, lane: string): SentProperties {
  const { headers, ...properties } = message.amqp ?? {};
  return {
    ...properties,
    deliveryMode: 2,
    messageId: messageIdOf(message, lane),
    timestamp: timestampOf(message),
    appId: 'tidegate',
    headers: {
      'x-mqtt-topic': message.topic,
      'x-mqtt-publish-qos': message.qos,
      'x-mqtt-dup': message.dup,
      'x-mqtt-retain': message.retain,
      'x-client-id': message.clientId,
      'x-gateway-id': message.gatewayId,
      'x-lane': lane,
      'x-epoch': message.epoch,
      ...(message.run === undefined ? {} : { 'x-run': message.run }),
      'x-seq': message.seq,
      'x-received-at': message.receivedAtMs,
      'x-backlog': message.fromStore === true,
      ...headers,
    },
  };
}

/** Arrival at the gateway, in s since 1970. */
export function timestampOf(message: LaneMessage): number {
  return Math.floor(message.receivedAtMs / 1000);
}
