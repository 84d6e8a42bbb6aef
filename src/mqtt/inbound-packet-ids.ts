/** A QoS 2 packet identifier between PUBLISH and PUBREL. */
interface InboundId {
  /** Settles with the message's `accept`. */
  readonly safe: Promise<void>;
  /** `delivered`: it is safe and its local delivery has begun, what is left is PUBREC. */
  state: 'pending' | 'safe' | 'delivered';
}

/**
 * The QoS 2 packet identifiers of all sessions, from PUBLISH to PUBREL, so that a message is accepted once however
 * often and over however many connections its PUBLISH is repeated [MQTT-4.3.3-2]. Only identifiers are kept, no
 * payloads. Kept in memory: a restart forgets them.
 */
export class InboundPacketIds {
  readonly #sessions = new Map<string, Map<number, InboundId>>();

  /** Identifiers held by that session. */
  count(clientId: string): number {
    return this.#sessions.get(clientId)?.size ?? 0;
  }

  /** The promise of a PUBLISH that was accepted or is being accepted, if this is a repeat of it. */
  find(clientId: string, packetId: number): Promise<void> | undefined {
    return this.#sessions.get(clientId)?.get(packetId)?.safe;
  }

  /** Holds the identifier from now on; forgets it again if the message does not become safe. */
  hold(clientId: string, packetId: number, safe: Promise<void>): void {
    const session = this.#sessions.get(clientId) ?? new Map<number, InboundId>();
    this.#sessions.set(clientId, session);
    const id: InboundId = { safe, state: 'pending' };
    session.set(packetId, id);
    safe.then(
      () => {
        id.state = 'safe';
      },
      () => {
        if (this.#sessions.get(clientId)?.get(packetId) === id) this.release(clientId, packetId);
      },
    );
  }

  /** True for the one caller that is to deliver the message locally; false when PUBREC is all there is to do. */
  claimDelivery(clientId: string, packetId: number): boolean {
    const id = this.#sessions.get(clientId)?.get(packetId);
    if (id === undefined || id.state === 'pending') return true;
    const isFirst = id.state === 'safe';
    id.state = 'delivered';
    return isFirst;
  }

  /** True when the identifier waits for its PUBREL. */
  awaitsPubrel(clientId: string, packetId: number): boolean {
    return this.#sessions.get(clientId)?.get(packetId)?.state === 'delivered';
  }

  /** Ends an identifier: PUBREL came. */
  release(clientId: string, packetId: number): void {
    const session = this.#sessions.get(clientId);
    session?.delete(packetId);
    if (session?.size === 0) this.#sessions.delete(clientId);
  }

  /** Ends a session [MQTT-3.1.2-6]: what is still being accepted becomes nobody's. */
  forget(clientId: string): void {
    this.#sessions.delete(clientId);
  }
}
