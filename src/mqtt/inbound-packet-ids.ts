import type { PacketIdStore } from './ports.ts';

/** What names a session, and says whether it outlives its connection (clean session 0). */
export interface SessionOwner {
  readonly id: string;
  readonly clean: boolean;
}

/** A QoS 2 packet identifier from PUBLISH to PUBCOMP. */
interface InboundId {
  readonly fingerprint: number;
  /** Settles when PUBREC may leave, or the message is not safe. */
  safe: Promise<void>;
  /** `delivered`: it is safe and its local delivery has begun, what is left is PUBREC. */
  state: 'pending' | 'safe' | 'delivered';
  /** PUBREL came: settles when PUBCOMP may leave. */
  released?: Promise<void>;
}

type Session = Map<number, InboundId>;

/** Identifiers over all persistent sessions: some 20 MB. Above that, QoS 2 waits for PUBRELs. */
const MAX_PERSISTENT_IDS = 100_000;

/**
 * The QoS 2 packet identifiers of all sessions, from PUBLISH to PUBCOMP, so that a message is accepted once however
 * often and over however many connections its PUBLISH is repeated [MQTT-4.3.3-2]. Only identifiers are kept, no
 * payloads. Those of persistent sessions are stored after their message is safe and before PUBREC leaves, and are off
 * the disk before PUBCOMP leaves: a device reuses an identifier from then on, and what a restart finds must not
 * swallow its next message. Those of a clean session end with the connection.
 */
export class InboundPacketIds {
  readonly #store: PacketIdStore | undefined;
  readonly #persistent = new Map<string, Session>();
  readonly #clean = new WeakMap<SessionOwner, Session>();
  readonly #writes = new Set<Promise<void>>();
  #persistentCount = 0;

  constructor(store: PacketIdStore | undefined) {
    this.#store = store;
  }

  /** Reads what the process before has left. Returns the client identifiers of those sessions. */
  async load(): Promise<string[]> {
    for (const { clientId, packetId, fingerprint } of (await this.#store?.load()) ?? []) {
      const owner = { id: clientId, clean: false };
      const id: InboundId = { fingerprint, safe: Promise.resolve(), state: 'delivered' };
      this.#put(owner, packetId, id);
    }
    return [...this.#persistent.keys()];
  }

  /** True when one more of that session would be too many. */
  isFull(owner: SessionOwner, maxOfSession: number): boolean {
    if (!owner.clean && this.#persistentCount >= MAX_PERSISTENT_IDS) return true;
    return (this.#session(owner)?.size ?? 0) >= maxOfSession;
  }

  /**
   * The promise of the PUBLISH that this is a repeat of, if there is one. A device that has lost its session state may
   * reuse an identifier for another message: that has another fingerprint and is none. Nor is one after PUBREL.
   */
  find(owner: SessionOwner, packetId: number, fingerprint: number): Promise<void> | undefined {
    const id = this.#session(owner)?.get(packetId);
    if (id?.fingerprint !== fingerprint || id.released !== undefined) return undefined;
    return id.safe;
  }

  /**
   * Holds the identifier from now on; forgets it again if the message does not become safe. Resolves when PUBREC may
   * leave: the message is safe, and after it the identifier.
   */
  hold(
    owner: SessionOwner,
    publish: { readonly packetId: number; readonly fingerprint: number },
    accepted: Promise<void>,
  ): Promise<void> {
    const { packetId, fingerprint } = publish;
    const id: InboundId = { fingerprint, safe: accepted, state: 'pending' };
    this.#put(owner, packetId, id);
    if (!owner.clean && this.#store !== undefined) {
      id.safe = accepted.then(() => this.#persist(owner, packetId, id));
    }
    id.safe.then(
      () => {
        id.state = 'safe';
      },
      () => this.#drop(owner, packetId, id),
    );
    return id.safe;
  }

  /** True for the one caller that is to deliver the message locally; false when PUBREC is all there is to do. */
  claimDelivery(owner: SessionOwner, packetId: number): boolean {
    const id = this.#session(owner)?.get(packetId);
    if (id === undefined || id.state === 'pending') return true;
    const isFirst = id.state === 'safe';
    id.state = 'delivered';
    return isFirst;
  }

  /** True when the identifier waits for its PUBREL, or for the end of what its PUBREL began. */
  awaitsPubrel(owner: SessionOwner, packetId: number): boolean {
    return this.#session(owner)?.get(packetId)?.state === 'delivered';
  }

  /** Ends an identifier: PUBREL came. Resolves when PUBCOMP may leave. */
  release(owner: SessionOwner, packetId: number): Promise<void> {
    const id = this.#session(owner)?.get(packetId);
    if (id === undefined) return Promise.resolve();
    if (owner.clean || this.#store === undefined) {
      this.#drop(owner, packetId, id);
      return Promise.resolve();
    }
    id.released ??= this.#own(this.#store.remove(owner.id, [packetId])).then(() =>
      this.#drop(owner, packetId, id),
    );
    return id.released;
  }

  /**
   * Ends a persistent session [MQTT-3.1.2-6]: what is still being accepted becomes nobody's. Resolves when a restart
   * would not find it either.
   */
  forget(clientId: string): Promise<void> {
    const session = this.#persistent.get(clientId);
    if (session === undefined) return Promise.resolve();
    this.#persistent.delete(clientId);
    this.#persistentCount -= session.size;
    if (this.#store === undefined) return Promise.resolve();
    return this.#own(this.#store.remove(clientId, [...session.keys()]));
  }

  /** Resolves when nothing is on its way to the disk. */
  async settled(): Promise<void> {
    while (this.#writes.size > 0) await Promise.allSettled(this.#writes);
  }

  async #persist(owner: SessionOwner, packetId: number, id: InboundId): Promise<void> {
    // The session may have ended, or the identifier got another message, while this one was being made safe.
    if (this.#session(owner)?.get(packetId) !== id || this.#store === undefined) return;
    const { fingerprint } = id;
    await this.#own(this.#store.add({ clientId: owner.id, packetId, fingerprint }));
  }

  #own(write: Promise<void>): Promise<void> {
    const done = (): void => {
      this.#writes.delete(write);
    };
    this.#writes.add(write);
    write.then(done, done);
    return write;
  }

  #session(owner: SessionOwner): Session | undefined {
    return owner.clean ? this.#clean.get(owner) : this.#persistent.get(owner.id);
  }

  #put(owner: SessionOwner, packetId: number, id: InboundId): void {
    const session = this.#session(owner) ?? new Map<number, InboundId>();
    if (owner.clean) this.#clean.set(owner, session);
    else this.#persistent.set(owner.id, session);
    if (!owner.clean && !session.has(packetId)) this.#persistentCount += 1;
    session.set(packetId, id);
  }

  /** Forgets an identifier, unless another message has it by now. */
  #drop(owner: SessionOwner, packetId: number, id: InboundId): void {
    const session = this.#session(owner);
    if (session?.get(packetId) !== id) return;
    session.delete(packetId);
    if (owner.clean) return;
    this.#persistentCount -= 1;
    if (session.size === 0) this.#persistent.delete(owner.id);
  }
}
