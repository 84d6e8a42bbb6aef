/**
 * Waits for one message to become safe. One of the two is told, once. Not a promise, as there is one for every
 * message: this way costs a fifth of the memory, and no turn of the event loop.
 */
export interface Receipt {
  /** The message is safe: it may be acknowledged. Must not throw. */
  safe(): void;
  /** It is not safe and must not be acknowledged. Must not throw. */
  unsafe(error: unknown): void;
}

/** For a message that nobody waits for. */
export const NO_RECEIPT: Receipt = { safe: () => undefined, unsafe: () => undefined };

/** Hands a message over with a receipt that is a promise: it resolves when the message is safe, and rejects when it is not. */
export function promised(handOver: (receipt: Receipt) => void): Promise<void> {
  return new Promise((safe, unsafe) => handOver({ safe, unsafe }));
}
