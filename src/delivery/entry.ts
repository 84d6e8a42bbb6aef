import type { LaneMessage } from '../shared/message.ts';
import { NO_RECEIPT, type Receipt } from '../shared/receipt.ts';
import type { StoredMessage } from './ports.ts';

/** A message of this lane alone, which may still find its way into the store. */
export type OwnMessage = LaneMessage & { fromStore?: boolean };

/** A message in the hands of its lane, from `accept` or from the log until it is settled. */
export interface Entry {
  readonly message: OwnMessage;
  /** Its place in the log; -1 while it has none. */
  offset: number;
  /** It is in the log or on the way there. */
  stored: boolean;
  /** Published, no answer yet. */
  inFlight: boolean;
  /** Settled before its append was durable: the offset is settled as soon as it is known. */
  settled: boolean;
  /** It counts as held by the store (see Retention). */
  held: boolean;
  /** Somebody released it from among the parked: they want it, however old it is. */
  readonly isReleased: boolean;
  publishedAtMs: number;
  /** Whoever waits for it to become safe; nobody any more when that was told, nor for one that came from the log. */
  receipt: Receipt;
  /** Told its seq before the receipt is told that it is not safe. */
  readonly onUnsafe: (seq: number) => void;
}

/** An entry for a message that just arrived. */
export function arrivedEntry(
  message: OwnMessage,
  receipt: Receipt,
  onUnsafe: (seq: number) => void = ignore,
): Entry {
  return {
    message,
    offset: -1,
    stored: false,
    inFlight: false,
    settled: false,
    held: false,
    isReleased: false,
    publishedAtMs: 0,
    receipt,
    onUnsafe,
  };
}

/** An entry for a message that was read from the log. */
export function storedEntry({ offset, message, isReleased }: StoredMessage): Entry {
  return {
    message,
    offset,
    stored: true,
    inFlight: false,
    settled: false,
    held: true,
    isReleased,
    publishedAtMs: 0,
    receipt: NO_RECEIPT,
    onUnsafe: ignore,
  };
}

/** Tells whoever waits for the message that it is safe: when it is stored, or else when it is settled. */
export function tellSafe(entry: Entry): void {
  const { receipt } = entry;
  entry.receipt = NO_RECEIPT;
  receipt.safe();
}

/** Tells whoever waits for the message that it is not safe. */
export function tellUnsafe(entry: Entry, error: unknown): void {
  const { receipt } = entry;
  entry.receipt = NO_RECEIPT;
  entry.onUnsafe(entry.message.seq);
  receipt.unsafe(error);
}

function ignore(): void {
  // Nothing depends on whether this message is safe.
}

/** Memory a message holds while it is published: amqplib copies its payload for the socket. */
export function publishedBytes(entry: Entry): number {
  return entryBytes(entry) + entry.message.payload.length;
}

/** Memory a message holds, roughly. */
export function entryBytes(entry: Entry): number {
  return entry.message.payload.length + entry.message.topic.length + 200;
}
