/** Told once that all before it are complete: with no error when it is safe itself. */
export type Release = (error: Error | undefined) => void;

interface Slot {
  readonly release: Release;
  readonly payloadBytes: number;
  settled: boolean;
  error: Error | undefined;
  next: Slot | undefined;
}

/**
 * Completes one client's PUBLISHes in the order in which they arrived [MQTT-4.6.0-2] [MQTT-4.6.0-3], in whatever
 * order they become safe. One that never settles holds back all behind it.
 */
export class CompletionQueue {
  #first: Slot | undefined;
  #last: Slot | undefined;
  #pendingBytes = 0;

  /** Payload bytes of what is not complete. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Puts one PUBLISH at the end; `release` runs after that of all before it, never within this call. */
  enter(safe: Promise<void>, payloadBytes: number, release: Release): void {
    const slot: Slot = { release, payloadBytes, settled: false, error: undefined, next: undefined };
    if (this.#last === undefined) this.#first = slot;
    else this.#last.next = slot;
    this.#last = slot;
    this.#pendingBytes += payloadBytes;
    safe.then(
      () => this.#settle(slot, undefined),
      (error: unknown) => this.#settle(slot, asError(error)),
    );
  }

  #settle(slot: Slot, error: Error | undefined): void {
    slot.settled = true;
    slot.error = error;
    while (this.#first?.settled) {
      const head = this.#first;
      this.#first = head.next;
      if (head.next === undefined) this.#last = undefined;
      this.#pendingBytes -= head.payloadBytes;
      head.release(head.error);
    }
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
