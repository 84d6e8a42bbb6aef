import type { ConsumeMessage } from 'amqplib';
import { DeliveryLedger } from './ledger.ts';

/**
 * The account of what a fleet sent and a consumer got, and whether the gateway gave a message a second name without
 * its having been sent twice.
 */
export class Account {
  readonly ledger: DeliveryLedger = new DeliveryLedger();
  readonly #names = new Map<string, string>();
  #renamed = 0;

  /** Second message-ids of messages that no device sent again. Must be 0. */
  get renamed(): number {
    return this.#renamed;
  }

  /** A consumer got this message of a simulated device. */
  delivered(message: ConsumeMessage): void {
    const { device, counter } = JSON.parse(message.content.toString()) as {
      device: string;
      counter: number;
    };
    const id = `${device}/${counter}`;
    const messageId: string = message.properties.messageId;
    const name = this.#names.get(id) ?? messageId;
    this.#names.set(id, name);
    if (name !== messageId && message.properties.headers?.['x-mqtt-dup'] !== true) this.#renamed++;
    this.ledger.delivered({ id, messageId, deviceKey: device, counter });
  }
}
