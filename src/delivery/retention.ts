import type { LimitsConfig, WhenFull } from '../config/types.ts';
import type { LaneMessage } from '../shared/message.ts';
import type { Entry } from './entry.ts';

/** What becomes of a message that would have to be stored. */
export type Admission = 'store' | 'wait' | 'reject' | 'drop';

/** From this part of a limit on, messages of QoS 0 are shed: the room left is for those that are acknowledged. */
const QOS0_SHARE = 0.9;

/** What a record takes in the store beside payload, topic name and client id, roughly. */
const RECORD_OVERHEAD_BYTES = 64;

/** Bytes the message takes in the store, roughly. */
export function recordBytes({ message }: Entry): number {
  const { payload, topic, clientId } = message;
  return payload.length + topic.length + clientId.length + RECORD_OVERHEAD_BYTES;
}

/**
 * What happens when the store is full: how much one lane holds, how much it may hold, and what becomes of the
 * rest.
 *
 * A lane is full at one of its own limits, or when the store as a whole is (`store.maxBytes`, the reserve of
 * the disk). Then `whenFull` decides: hold the PUBACK back, close the device's connection, give up the message,
 * or give up the oldest ones to make room. Whatever is given up is named in the gap manifest first.
 */
export class Retention {
  readonly #policy: { readonly limits: LimitsConfig; readonly whenFull: WhenFull };
  readonly #storeFullness: () => number;
  readonly #ageMs: (message: LaneMessage) => number;
  #messages: number;
  #bytes: number;
  /** Bytes taken while the store was full, to be made good by giving up as much of the oldest. */
  #owedBytes = 0;

  /**
   * `policy` may change between two calls. `held` is what earlier runs left; its bytes are an estimate.
   * `storeFullness` is 1 when the store is full.
   */
  constructor(parts: {
    readonly policy: { readonly limits: LimitsConfig; readonly whenFull: WhenFull };
    readonly held: { readonly messages: number; readonly bytes: number };
    readonly storeFullness: () => number;
    readonly ageMs: (message: LaneMessage) => number;
  }) {
    this.#policy = parts.policy;
    this.#messages = parts.held.messages;
    this.#bytes = parts.held.bytes;
    this.#storeFullness = parts.storeFullness;
    this.#ageMs = parts.ageMs;
  }

  /** Bytes in the store or on the way there, roughly. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Decides about a message that arrived. `store` may call for {@link Retention.mustShed} afterwards. */
  admit(entry: Entry): Admission {
    const storeFullness = this.#storeFullness();
    const fullness = Math.max(storeFullness, this.#fullness(1, recordBytes(entry)));
    if (entry.message.qos === 0 && fullness > QOS0_SHARE) return 'drop';
    if (fullness <= 1) return 'store';
    switch (this.#policy.whenFull) {
      case 'block':
        return 'wait';
      case 'reject':
        return 'reject';
      case 'drop-newest':
        return 'drop';
      case 'drop-oldest':
        // The disk shrinks later than the log: giving up until it has would give up everything.
        if (storeFullness > 1) this.#owedBytes += recordBytes(entry);
        return 'store';
    }
  }

  /** The message goes into the store. */
  add(entry: Entry): void {
    if (entry.held) return;
    entry.held = true;
    this.#messages += 1;
    this.#bytes += recordBytes(entry);
  }

  /** Messages were put back from among the parked; `bytes` of their payloads, topic names and client ids. */
  released(messages: number, bytes: number): void {
    this.#messages += messages;
    this.#bytes += bytes + messages * RECORD_OVERHEAD_BYTES;
  }

  /** The message is settled, or given up. */
  remove(entry: Entry): void {
    if (!entry.held) return;
    entry.held = false;
    this.forget(1, recordBytes(entry));
  }

  /** Messages that cannot be read any more. */
  forget(messages: number, bytes: number): void {
    this.#messages = Math.max(0, this.#messages - messages);
    this.#bytes = this.#messages === 0 ? 0 : Math.max(0, this.#bytes - bytes);
    this.#owedBytes = this.#messages === 0 ? 0 : Math.max(0, this.#owedBytes - bytes);
  }

  /** Why the oldest message that is not in flight has to go, if it has to. */
  mustShed(oldest: Entry): 'full' | 'expired' | undefined {
    if (this.#isExpired(oldest)) return 'expired';
    return this.#isOverfull ? 'full' : undefined;
  }

  /** False when nothing can have to go, which saves looking. */
  get mayHaveToShed(): boolean {
    if (this.#policy.limits.maxAgeMs !== undefined) return this.#messages > 0;
    return this.#isOverfull;
  }

  get #isOverfull(): boolean {
    return this.#policy.whenFull === 'drop-oldest' && (this.#owedBytes > 0 || this.#fullness() > 1);
  }

  /** 1 at the lane's limit that is reached first. A message larger than the limit fits when it is alone. */
  #fullness(moreMessages: number = 0, moreBytes: number = 0): number {
    const { maxMessages, maxBytes } = this.#policy.limits;
    const byCount = maxMessages === undefined ? 0 : (this.#messages + moreMessages) / maxMessages;
    const byBytes =
      maxBytes === undefined || this.#messages === 0 ? 0 : (this.#bytes + moreBytes) / maxBytes;
    return Math.max(byCount, byBytes);
  }

  #isExpired({ message, isReleased }: Entry): boolean {
    const { maxAgeMs } = this.#policy.limits;
    return !isReleased && maxAgeMs !== undefined && this.#ageMs(message) > maxAgeMs;
  }
}
