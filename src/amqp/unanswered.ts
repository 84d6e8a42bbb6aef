import type { Message } from 'amqplib';
import type { PublishOutcome } from '../delivery/ports.ts';
import type { LaneMessage } from '../shared/message.ts';
import { messageIdOf } from '../shared/message-id.ts';

export type Returned = Extract<PublishOutcome, { kind: 'returned' }>;

/** So many answered ones are cut off at once. */
const TRIM_AT = 1_024;

/**
 * What is published on one channel and not answered yet, in the order of the delivery tags, and what of it came back. A
 * basic.return has no delivery tag. But returns come in the order of the publishes, and each before its confirm
 * (RabbitMQ docs/confirms#when-publishes-are-confirmed), so each belongs to the first publish of that message that has none.
 * One message may be there twice.
 */
export class Unanswered {
  readonly #lane: string;
  #messages: (LaneMessage | undefined)[] = [];
  /** Delivery tag of the first of `#messages`. */
  #firstTag = 1;
  /** How many of them, from the front, are answered. */
  #answered = 0;
  readonly #returned: Map<number, Returned> = new Map();
  /** Behind the publish whose return came last. */
  #nextReturnedTag = 1;

  constructor(lane: string) {
    this.#lane = lane;
  }

  /** The delivery tag of the next publish. */
  get nextTag(): number {
    return this.#firstTag + this.#messages.length;
  }

  /** The message has gone out with `nextTag`. */
  add(message: LaneMessage): void {
    this.#messages.push(message);
  }

  /** Notes a basic.return for its publish. */
  returned(returned: Message): void {
    const tag =
      this.#find(returned, this.#nextReturnedTag, this.nextTag) ??
      this.#find(returned, this.#firstTag, this.#nextReturnedTag);
    if (tag === undefined) return;
    this.#nextReturnedTag = tag + 1;
    const { replyCode, replyText } = returned.fields as unknown as Returned; // not in amqplib's types
    this.#returned.set(tag, { kind: 'returned', replyCode, replyText });
  }

  /** Its confirm or nack has come: what came back of it before, if anything. */
  answered(tag: number): Returned | undefined {
    this.#messages[tag - this.#firstTag] = undefined;
    this.#trim();
    if (this.#returned.size === 0) return undefined;
    const returned = this.#returned.get(tag);
    this.#returned.delete(tag);
    return returned;
  }

  /** No answers come any more. */
  clear(): void {
    this.#messages = [];
    this.#returned.clear();
  }

  #trim(): void {
    const messages = this.#messages;
    while (this.#answered < messages.length && messages[this.#answered] === undefined) {
      this.#answered += 1;
    }
    if (this.#answered < TRIM_AT) return;
    messages.splice(0, this.#answered);
    this.#firstTag += this.#answered;
    this.#answered = 0;
  }

  #find(returned: Message, fromTag: number, endTag: number): number | undefined {
    for (let tag = Math.max(fromTag, this.#firstTag + this.#answered); tag < endTag; tag += 1) {
      const message = this.#messages[tag - this.#firstTag];
      if (message === undefined || this.#returned.has(tag)) continue;
      if (this.#isOf(message, returned)) return tag;
    }
    return undefined;
  }

  /** Also by key and body: two messages with one message-id must not happen, and if it does none may be lost for it. */
  #isOf(message: LaneMessage, { properties, fields, content }: Message): boolean {
    return (
      properties.messageId === messageIdOf(message, this.#lane) &&
      fields.routingKey === message.routingKey &&
      content.equals(message.payload)
    );
  }
}
