import type { LaneMessage } from '../shared/message.ts';
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
  /** Tells the MQTT side that the message is safe. Nothing to tell for one that came from the log. */
  readonly safe: () => void;
  readonly unsafe: (error: unknown) => void;
}

/** For a message that nobody waits for. */
export const nothingToTell = (): void => undefined;

/** An entry for a message that just arrived. */
export function arrivedEntry(
  message: OwnMessage,
  safe: () => void,
  unsafe: (error: unknown) => void,
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
    safe,
    unsafe,
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
    safe: nothingToTell,
    unsafe: nothingToTell,
  };
}

/** Memory a message holds, roughly. */
export function entryBytes(entry: Entry): number {
  return entry.message.payload.length + entry.message.topic.length + 200;
}
