import type { Socket } from 'node:net';
import type { ChannelModel } from 'amqplib';
import type { CloseReason } from '../delivery/ports.ts';
import { errorText } from '../shared/errors.ts';
import { gatherWrites } from '../shared/gathered-writes.ts';
import { settledWithin } from './pause.ts';
import { replyCodeOf } from './reply-code.ts';

/** What one connection tells, synchronously. After `lost` nothing more comes. */
export interface LinkListener {
  lost(reason: CloseReason): void;
  blocked(reason: string): void;
  unblocked(): void;
}

/**
 * One open connection to one broker, until it is lost. It folds amqplib's `error` and `close`, which come in
 * pairs or alone, into one `lost`, and takes the socket down by force: amqplib only ends its writing side,
 * which a frozen peer never answers.
 */
export class Link {
  readonly model: ChannelModel;
  /** Aborted when the connection is lost or given up. */
  readonly lostSignal: AbortSignal;
  readonly #lost: AbortController = new AbortController();
  readonly #destroySocket: () => void;
  #listener: LinkListener | undefined;
  #blockedReason: string | undefined;

  constructor(model: ChannelModel, destroySocket: () => void) {
    this.model = model;
    this.lostSignal = this.#lost.signal;
    this.#destroySocket = destroySocket;
  }

  /** Bytes that came from the broker so far. */
  get bytesRead(): number {
    return socketOf(this.model).bytesRead;
  }

  get blockedReason(): string | undefined {
    return this.#blockedReason;
  }

  /** Starts to watch. To be called in the same turn in which the connection opened. */
  watch(listener: LinkListener): void {
    this.#listener = listener;
    gatherWrites(socketOf(this.model));
    const onEnd = (error?: Error): void =>
      this.giveUp(
        error === undefined ? { scope: 'connection', text: 'connection closed' } : lossOf(error),
      );
    this.model.on('error', onEnd);
    this.model.on('close', onEnd); // alone when an operator closed it (connection.close 320)
    this.model.on('blocked', (reason) => {
      this.#blockedReason = reason;
      this.#listener?.blocked(reason);
    });
    this.model.on('unblocked', () => {
      this.#blockedReason = undefined;
      this.#listener?.unblocked();
    });
  }

  /** Tells the loss and drops the socket with everything unsent. Does nothing the second time. */
  giveUp(reason: CloseReason): void {
    if (!this.#tellLost(reason)) return;
    this.#destroySocket();
  }

  /** Tells the loss, then says goodbye to the broker (connection.close) for `limitMs` at most. */
  async close(reason: CloseReason, limitMs: number): Promise<void> {
    if (!this.#tellLost(reason)) return;
    await settledWithin(this.model.close(), limitMs);
    this.#destroySocket();
  }

  #tellLost(reason: CloseReason): boolean {
    if (this.#lost.signal.aborted) return false;
    const listener = this.#listener;
    this.#listener = undefined;
    this.#blockedReason = undefined;
    this.#lost.abort();
    listener?.lost(reason);
    return true;
  }
}

/** amqplib has it, but not in its types. */
function socketOf(model: ChannelModel): Socket {
  return (model.connection as unknown as { readonly stream: Socket }).stream;
}

function lossOf(error: Error): CloseReason {
  const replyCode = replyCodeOf(error);
  return {
    scope: 'connection',
    ...(replyCode === undefined ? {} : { replyCode }),
    text: errorText(error),
  };
}
