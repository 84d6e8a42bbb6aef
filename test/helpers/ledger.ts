/** One delivery to a consumer, as it arrived. */
export interface LedgerDelivery {
  /** What the device sent: unique for each message of a test, carried in its payload. */
  readonly id: string;
  /** AMQP message-id. */
  readonly messageId: string;
  /** Within what order is promised, such as the client id. */
  readonly deviceKey: string;
  /** The device's own count of its messages, rising. */
  readonly counter: number;
}

/** What became of the messages. All are counts of messages, except the last four, of deliveries. */
export interface LedgerVerdict {
  readonly attempted: number;
  readonly acknowledged: number;
  /** Different messages that arrived at least once. */
  readonly delivered: number;
  /** Acknowledged and never delivered: must be 0. */
  readonly lost: number;
  /** Delivered and never attempted: must be 0. */
  readonly unexpected: number;
  /** Delivered again with the same message-id: a consumer can tell, so it is allowed. */
  readonly redelivered: number;
  /** Delivered under a second message-id: the device has sent again what a crash had swallowed the PUBACK of. */
  readonly resent: number;
  /** First arrivals behind a later message of the same device: must be 0 where order is promised. */
  readonly reordered: number;
  /** Deliveries under a message-id that another message has: a deduping consumer would drop one. Must be 0. */
  readonly confused: number;
}

/**
 * Judges delivery from outside: what a device attempted and saw acknowledged against what a consumer got.
 * A message attempted and not acknowledged may arrive or not. It may be told things in any order.
 */
export class DeliveryLedger {
  readonly #attempted = new Set<string>();
  readonly #acknowledged = new Set<string>();
  readonly #delivered = new Set<string>();
  readonly #idByMessageId = new Map<string, string>();
  readonly #highestCounter = new Map<string, number>();
  #redelivered = 0;
  #resent = 0;
  #reordered = 0;
  #confused = 0;

  /** Messages acknowledged so far; cheap, for polling. */
  get acknowledgedCount(): number {
    return this.#acknowledged.size;
  }

  /** Different messages delivered so far; cheap, for polling. */
  get deliveredCount(): number {
    return this.#delivered.size;
  }

  /** Deliveries so far that repeated a message-id; cheap, for polling. */
  get redeliveredCount(): number {
    return this.#redelivered;
  }

  /** The device is about to send this message, for the first time or again. */
  attempted(id: string): void {
    this.#attempted.add(id);
  }

  /** The device has the PUBACK, or for QoS 2 the PUBREC. */
  acknowledged(id: string): void {
    this.#acknowledged.add(id);
  }

  /** A consumer got it. */
  delivered(delivery: LedgerDelivery): void {
    const { id, messageId, deviceKey, counter } = delivery;
    const known = this.#idByMessageId.get(messageId);
    if (known === undefined) this.#idByMessageId.set(messageId, id);
    else if (known === id) this.#redelivered++;
    else this.#confused++;

    if (this.#delivered.has(id)) {
      if (known === undefined) this.#resent++;
      return;
    }
    this.#delivered.add(id);
    const highest = this.#highestCounter.get(deviceKey) ?? Number.NEGATIVE_INFINITY;
    if (counter < highest) this.#reordered++;
    else this.#highestCounter.set(deviceKey, counter);
  }

  /** Ids that were acknowledged and have not been delivered so far. */
  lostIds(): string[] {
    return [...this.#acknowledged].filter((id) => !this.#delivered.has(id));
  }

  /** The account so far. */
  verdict(): LedgerVerdict {
    return {
      attempted: this.#attempted.size,
      acknowledged: this.#acknowledged.size,
      delivered: this.#delivered.size,
      lost: this.lostIds().length,
      unexpected: [...this.#delivered].filter((id) => !this.#attempted.has(id)).length,
      redelivered: this.#redelivered,
      resent: this.#resent,
      reordered: this.#reordered,
      confused: this.#confused,
    };
  }
}

/** The verdict on one line, such as `attempted 10, acknowledged 9, …`. */
export function format(verdict: Partial<LedgerVerdict>): string {
  return Object.entries(verdict)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}
