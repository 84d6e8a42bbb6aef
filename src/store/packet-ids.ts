import { decodePacketIdKey, PACKET_ID_RANGE, packetIdKey } from './keys.ts';
import type { BatchWriter } from './writer/batch-writer.ts';
import type { DatabaseView } from './writer/database.ts';
import type { Batch } from './writer/write-task.ts';

/** A QoS 2 packet identifier as it lies in the store. */
export interface StoredPacketId {
  readonly clientId: string;
  readonly packetId: number;
  /** Tells a repeat from another message under the same identifier. */
  readonly fingerprint: number;
}

/** Key and value of one identifier with what LevelDB adds, roughly; for the size of a batch. */
const ENTRY_BYTES = 64;
const FINGERPRINT_BYTES = 4;

/**
 * The QoS 2 packet identifiers of persistent sessions between PUBREC and PUBREL. Changes share the batches of the
 * messages and become durable in the order of the calls; a failing disk delays them and never rejects them.
 */
export class LevelPacketIds {
  readonly #db: DatabaseView;
  readonly #writer: BatchWriter;
  /** Additions on their way: a removal must not get ahead of them into the reserve. */
  #adding = 0;

  constructor(db: DatabaseView, writer: BatchWriter) {
    this.#db = db;
    this.#writer = writer;
  }

  /** All identifiers there are. To be read once, before the first change. */
  async load(): Promise<StoredPacketId[]> {
    const found: StoredPacketId[] = [];
    for await (const [key, value] of this.#db.iterator(PACKET_ID_RANGE)) {
      if (value.length !== FINGERPRINT_BYTES) continue;
      found.push({ ...decodePacketIdKey(key), fingerprint: value.readUInt32BE(0) });
    }
    return found;
  }

  /** Resolves when the identifier is on disk. @throws {GatewayError} STORE_CLOSED when the store is closed before. */
  add({ clientId, packetId, fingerprint }: StoredPacketId): Promise<void> {
    const key = packetIdKey(clientId, packetId);
    const value = Buffer.allocUnsafe(FINGERPRINT_BYTES);
    value.writeUInt32BE(fingerprint, 0);
    this.#adding += 1;
    const added = this.#write(key.length + ENTRY_BYTES, false, (batch) => batch.put(key, value));
    return added.finally(() => {
      this.#adding -= 1;
    });
  }

  /** Resolves when these identifiers of the session are off the disk. @throws {GatewayError} STORE_CLOSED, as `add`. */
  remove(clientId: string, packetIds: readonly number[]): Promise<void> {
    if (packetIds.length === 0) return Promise.resolve();
    const keys = packetIds.map((packetId) => packetIdKey(clientId, packetId));
    return this.#write(keys.length * ENTRY_BYTES, this.#adding === 0, (batch) => {
      for (const key of keys) batch.del(key);
    });
  }

  #write(bytes: number, freesRoom: boolean, addTo: (batch: Batch) => void): Promise<void> {
    return this.#writer.written({ bytes, freesRoom, addTo });
  }
}
