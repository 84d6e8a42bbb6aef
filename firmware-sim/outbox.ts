export type QoS = 0 | 1 | 2;

/** One PUBLISH as it goes out, and goes out again: nothing in it is ever changed. */
export interface OutgoingMessage {
  /** Counts the messages of its device from 1. */
  readonly counter: number;
  readonly topic: string;
  readonly payload: string;
  readonly qos: QoS;
}

/** How far an unacknowledged message has come; `received` means PUBREC has come and PUBCOMP has not. */
type Progress = 'published' | 'received';

export interface InFlight {
  readonly message: OutgoingMessage;
  progress: Progress;
}

export interface OutboxLimits {
  /** Messages the device can hold in all, sent ones that are unacknowledged included. */
  readonly capacity: number;
  /** PUBLISHes that may be out at once without an acknowledgement. */
  readonly window: number;
}

/**
 * The flash memory of a device: messages in the order in which they were made, those in flight first.
 * Bounded: when it is full the oldest unsent message gives way, as in the ring buffer of real firmware.
 * One that is in flight never does, for its packet identifier is taken (MQTT 3.1.1 §4.4).
 */
export class Outbox {
  readonly #limits: OutboxLimits;
  readonly #inFlight = new Map<number, InFlight>();
  #waiting: OutgoingMessage[] = [];

  constructor(limits: OutboxLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#inFlight.size + this.#waiting.length;
  }

  get inFlightCount(): number {
    return this.#inFlight.size;
  }

  /** Takes a message in at the end. Returns the message that had to give way, if any. */
  add(message: OutgoingMessage): OutgoingMessage | undefined {
    if (this.size < this.#limits.capacity) {
      this.#waiting.push(message);
      return undefined;
    }
    if (this.#waiting.length === 0) return message;
    const oldest = this.#waiting.shift();
    this.#waiting.push(message);
    return oldest;
  }

  /** Moves the next message into the window; nothing when the window is full or nothing waits. */
  takeNext(): OutgoingMessage | undefined {
    if (this.#inFlight.size >= this.#limits.window) return undefined;
    const message = this.#waiting.shift();
    if (message) this.#inFlight.set(message.counter, { message, progress: 'published' });
    return message;
  }

  /** All that is in flight, in the order of the first sending: what a new connection has to resume. */
  inFlight(): InFlight[] {
    return [...this.#inFlight.values()];
  }

  /** PUBREC has come: the message is not published again, only PUBREL is (MQTT 3.1.1 §4.3.3). False if unknown. */
  markReceived(counter: number): boolean {
    const entry = this.#inFlight.get(counter);
    if (!entry || entry.progress === 'received') return false;
    entry.progress = 'received';
    return true;
  }

  /** PUBACK or PUBCOMP has come, or a QoS 0 message is written: forgets the message. Returns it if it was in flight. */
  settle(counter: number): InFlight | undefined {
    const entry = this.#inFlight.get(counter);
    this.#inFlight.delete(counter);
    return entry;
  }

  /** A lost connection takes its QoS 0 messages with it: nobody will ever know of them. */
  forgetQos0(): void {
    for (const [counter, entry] of this.#inFlight) {
      if (entry.message.qos === 0) this.#inFlight.delete(counter);
    }
  }
}
