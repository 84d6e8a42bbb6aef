export interface SessionLimits {
  /** Most persistent sessions, connected or not. */
  readonly maxSessions: number;
  /** Time a session is kept after its connection. */
  readonly sessionExpiryMs: number;
}

/** Often enough for any expiry that a person would set. */
const EXPIRE_EVERY_MS = 10_000;

/**
 * Which persistent sessions there are (clean session 0). The longest away goes first when there are too many; those that
 * are connected are bounded by the connections.
 */
export class Sessions {
  readonly #limits: SessionLimits;
  readonly #onEnd: (clientId: string) => void;
  readonly #present = new Set<string>();
  /** Since when each is away, by `performance.now()`; the longest first. */
  readonly #awaySinceMs = new Map<string, number>();
  /** Of the process before: only packet identifiers are left of them. */
  readonly #remnants = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  /** @param onEnd told of a session that ended without its client: all that is kept of it is to go */
  constructor(limits: SessionLimits, onEnd: (clientId: string) => void) {
    this.#limits = limits;
    this.#onEnd = onEnd;
  }

  get count(): number {
    return this.#present.size + this.#awaySinceMs.size;
  }

  start(): void {
    this.#timer = setInterval(() => this.#expire(), EXPIRE_EVERY_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** True when the state of that session is whole: CONNACK says session present [MQTT-3.2.2-2]. */
  isWhole(clientId: string): boolean {
    if (this.#remnants.has(clientId)) return false;
    return this.#present.has(clientId) || this.#awaySinceMs.has(clientId);
  }

  /** Makes a session known of which a restart has left packet identifiers. */
  restore(clientId: string): void {
    this.#remnants.add(clientId);
    this.#awaySinceMs.set(clientId, performance.now());
    this.#trim();
  }

  /** Its client has connected. */
  enter(clientId: string): void {
    this.#remnants.delete(clientId);
    this.#awaySinceMs.delete(clientId);
    this.#present.add(clientId);
    this.#trim();
  }

  /** Its client is gone. */
  leave(clientId: string): void {
    if (!this.#present.delete(clientId)) return;
    this.#awaySinceMs.set(clientId, performance.now());
    this.#expire();
  }

  /** Its client has asked for a clean one. */
  end(clientId: string): void {
    this.#present.delete(clientId);
    this.#awaySinceMs.delete(clientId);
    this.#remnants.delete(clientId);
  }

  #trim(): void {
    for (const clientId of this.#awaySinceMs.keys()) {
      if (this.count <= this.#limits.maxSessions) return;
      this.#endAlone(clientId);
    }
  }

  #expire(): void {
    const nowMs = performance.now();
    for (const [clientId, sinceMs] of this.#awaySinceMs) {
      if (nowMs - sinceMs < this.#limits.sessionExpiryMs) return;
      this.#endAlone(clientId);
    }
  }

  #endAlone(clientId: string): void {
    this.end(clientId);
    this.#onEnd(clientId);
  }
}
