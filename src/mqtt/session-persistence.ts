import { Readable } from 'node:stream';
import type { AedesPersistence } from './aedes-internals.ts';
import type { InboundPacketIds } from './inbound-packet-ids.ts';

/** Lets `InboundPacketIds` decide about QoS 2 packet identifiers in place of the memory persistence of aedes. */
export function keepPacketIds(persistence: AedesPersistence, packetIds: InboundPacketIds): void {
  persistence.incomingGetPacket = async (client, packet) => {
    const packetId = packet.messageId ?? 0;
    // aedes asks the same question for PUBLISH (rejected = new) and for PUBREL (resolved = known).
    const isKnown = isPubrel(packet)
      ? packetIds.awaitsPubrel(client, packetId)
      : !packetIds.claimDelivery(client, packetId);
    if (!isKnown) throw new Error('no such packet');
    return packet;
  };
  // The gate holds the identifier already, since before the message was accepted.
  persistence.incomingStorePacket = async () => {};
  persistence.incomingDelPacket = async (client, packet) => {
    try {
      await packetIds.release(client, packet.messageId ?? 0);
    } catch (error) {
      client.conn.destroy(); // aedes sends PUBCOMP after a failure too, and it must not leave
      throw error;
    }
  };
  // Called when a CONNECT asks for a clean session, before CONNACK, and again when that connection is closed: by then
  // the client identifier may be another connection's.
  persistence.cleanIncoming = async (client) => {
    if (!client.closed) await packetIds.forget(client.id);
  };
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
