import { Readable } from 'node:stream';
import type { AedesPersistence } from './aedes-internals.ts';
import type { InboundPacketIds } from './inbound-packet-ids.ts';

/** Lets `InboundPacketIds` decide about QoS 2 packet identifiers in place of the memory persistence of aedes. */
export function keepPacketIds(persistence: AedesPersistence, packetIds: InboundPacketIds): void {
  persistence.incomingGetPacket = async (client, packet) => {
    const packetId = packet.messageId ?? 0;
    // aedes asks the same question for PUBLISH (rejected = new) and for PUBREL (resolved = known).
    const isKnown = isPubrel(packet)
      ? packetIds.awaitsPubrel(client.id, packetId)
      : !packetIds.claimDelivery(client.id, packetId);
    if (!isKnown) throw new Error('no such packet');
    return packet;
  };
  // The gate holds the identifier already, since before the message was accepted.
  persistence.incomingStorePacket = async () => {};
  persistence.incomingDelPacket = async (client, packet) => {
    packetIds.release(client.id, packet.messageId ?? 0);
  };
  persistence.cleanIncoming = async (client) => packetIds.forget(client.id);
}

function isPubrel(packet: { readonly cmd: string }): boolean {
  return packet.cmd === 'pubrel';
}

/**
 * Wills of other servers on a shared persistence: there are none. aedes would take all wills of connected clients for
 * such after a leap of the wall clock, which a board without a clock battery makes at each start.
 */
export function ignoreForeignWills(persistence: AedesPersistence): void {
  persistence.streamWill = () => Readable.from([]);
}
