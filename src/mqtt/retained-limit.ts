import type { AedesPersistence } from './aedes-internals.ts';
import { ownPayload, packetBytes } from './byte-budget.ts';

export interface RetainedLimits {
  /** Most topic names with a retained message. */
  readonly maxRetainedMessages: number;
  /** Most memory of these, with topic names. */
  readonly maxRetainedBytes: number;
}

const EMPTY = Buffer.alloc(0);

/**
 * Bounds the retained messages. One above the limits is not retained, and an older one of its topic name is removed, for
 * it is not the last any more [MQTT-3.3.1-7]; to the broker and to subscribers it goes all the same.
 */
export function limitRetained(
  persistence: AedesPersistence,
  limits: RetainedLimits,
  onRefused: () => void,
): void {
  const store = persistence.storeRetained.bind(persistence);
  const sizes = new Map<string, number>();
  let totalBytes = 0;

  persistence.storeRetained = async (packet) => {
    const { topic, payload } = packet;
    const before = sizes.get(topic);
    const bytes = packetBytes(packet);
    const hasRoom =
      (before !== undefined || sizes.size < limits.maxRetainedMessages) &&
      totalBytes - (before ?? 0) + bytes <= limits.maxRetainedBytes;
    const isKept = payload.length > 0 && hasRoom;
    totalBytes += (isKept ? bytes : 0) - (before ?? 0);
    if (isKept) sizes.set(topic, bytes);
    else sizes.delete(topic);
    if (payload.length > 0 && !hasRoom) onRefused();
    await store({ ...packet, payload: isKept ? ownPayload(payload) : EMPTY });
  };
}
