import type { Options } from 'amqplib';
import type { HeaderValue, LaneMessage, MessageProperties } from '../shared/message.ts';

/** The identity of a message in one lane; the same at every delivery, so that consumers can dedupe by it. */
export function messageIdOf(message: LaneMessage, lane: string): string {
  return `${message.gatewayId}/${lane}/${message.epoch}.${message.seq}`;
}

const namesOf = (fields: object | undefined): string => Object.keys(fields ?? {}).join('\n');

/** What a mapping sets, taken apart. */
interface Parts {
  /** Names of the fields, in order; two messages with the same names can share their objects. */
  readonly names: string;
  readonly properties: Omit<MessageProperties, 'headers'>;
  readonly headers: MessageProperties['headers'];
}

const NOTHING_SET: Parts = { names: '', properties: {}, headers: undefined };

/**
 * Fills in the properties and headers of one lane's messages. The body is the payload, byte for byte.
 *
 * It hands out the same object again and again: amqplib encodes it before its `publish` returns, and makes
 * the headers the prototype of an object of its own, which V8 only does fast for a prototype it has
 * seen before (measured: half the CPU time a message, encoding included). So a new object is made only for
 * a message with other properties than the one before, which is one that was stored under another config.
 */
export class PublishOptionsFiller {
  readonly #lane: string;
  #headers: Record<string, HeaderValue>;
  #options: Options.Publish;
  /** What the mapping has set on the message before, and its names. */
  #amqp: MessageProperties | undefined;
  #names: string = NOTHING_SET.names;
  readonly #parts = new WeakMap<MessageProperties, Parts>();

  constructor(lane: string) {
    this.#lane = lane;
    this.#headers = emptyHeaders(lane);
    this.#options = emptyOptions(this.#headers);
  }

  /** Valid until the next call. */
  fill(message: LaneMessage, messageId: string): Options.Publish {
    if (message.amqp !== this.#amqp) this.#adapt(message.amqp);
    const headers = this.#headers;
    headers['x-mqtt-topic'] = message.topic;
    headers['x-mqtt-publish-qos'] = message.qos;
    headers['x-mqtt-dup'] = message.dup;
    headers['x-mqtt-retain'] = message.retain;
    headers['x-client-id'] = message.clientId;
    headers['x-gateway-id'] = message.gatewayId;
    headers['x-epoch'] = message.epoch;
    headers['x-seq'] = message.seq;
    headers['x-received-at'] = message.receivedAtMs; // ms since 1970
    headers['x-backlog'] = message.fromStore === true;
    this.#options.messageId = messageId;
    this.#options.timestamp = Math.floor(message.receivedAtMs / 1000); // s (AMQP 0-9-1 §4.2.5.4)
    return this.#options;
  }

  /** Puts what the mapping sets in place of what is left from the message before. */
  #adapt(amqp: MessageProperties | undefined): void {
    const set = this.#partsOf(amqp);
    if (set.names !== this.#names) {
      this.#names = set.names;
      this.#headers = emptyHeaders(this.#lane);
      this.#options = emptyOptions(this.#headers);
    }
    Object.assign(this.#options, set.properties);
    Object.assign(this.#headers, set.headers);
    this.#amqp = amqp;
  }

  /** Routes that depend on the topic alone bring the same object again and again. */
  #partsOf(amqp: MessageProperties | undefined): Parts {
    if (amqp === undefined) return NOTHING_SET;
    const known = this.#parts.get(amqp);
    if (known !== undefined) return known;
    const { headers, ...properties } = amqp;
    const names = `${namesOf(properties)}\n\n${namesOf(headers)}`;
    const parts = { names, properties, headers };
    this.#parts.set(amqp, parts);
    return parts;
  }
}

function emptyHeaders(lane: string): Record<string, HeaderValue> {
  return {
    'x-mqtt-topic': '',
    'x-mqtt-publish-qos': 0,
    'x-mqtt-dup': false,
    'x-mqtt-retain': false,
    'x-client-id': '',
    'x-gateway-id': '',
    'x-lane': lane,
    'x-epoch': 0,
    'x-seq': 0,
    'x-received-at': 0,
    'x-backlog': false,
  };
}

function emptyOptions(headers: Record<string, HeaderValue>): Options.Publish {
  return {
    mandatory: true,
    persistent: true,
    messageId: '',
    timestamp: 0,
    appId: 'tidegate',
    headers,
  };
}
