import { setTimeout as delay } from 'node:timers/promises';
import type {
  CloseReason,
  Publisher,
  PublisherListener,
  PublishOutcome,
} from './delivery/ports.ts';
import type { LaneMessage } from './shared/message.ts';

/** What the lane is told while its publisher is replaced: it keeps what arrives, in order, and publishes nothing. */
const REASON = 'its exchange and queues are being replaced by a reload';

/** Time that confirms still due have before the old channel goes; what is unconfirmed then is published again. */
const CONFIRM_LIMIT_MS = 2_000;
const LOOK_EVERY_MS = 5;

/**
 * A publisher that can be replaced by one to another exchange while its lane runs. To the lane it looks like a broker that
 * blocks, a channel that closes and a channel that opens: what arrives meanwhile waits in the log.
 */
export class ReplaceablePublisher implements Publisher {
  #current: Publisher;
  #listener: PublisherListener | undefined;
  /** As far as the lane was told. */
  #isOpen = false;
  #underWay = 0;
  #replacing: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(first: Publisher) {
    this.#current = first;
  }

  start(listener: PublisherListener): void {
    this.#listener = listener;
    this.#current.start(this.#ears(listener));
  }

  publish(message: LaneMessage, done: (outcome: PublishOutcome) => void): void {
    this.#current.publish(message, done);
  }

  recycle(scope: 'channel' | 'connection', reason: string): void {
    this.#current.recycle(scope, reason);
  }

  /**
   * Nothing more goes to the present publisher, from this call on; when what is in flight (`inFlight` says how much)
   * is answered, or has had its time, `next` takes its place. Resolves then.
   */
  replace(next: Publisher, inFlight: () => number): Promise<void> {
    this.#underWay += 1;
    if (this.#isOpen) this.#listener?.onBlocked(REASON);
    this.#replacing = this.#replacing.then(() => this.#swap(next, inFlight));
    return this.#replacing;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#replacing;
    await this.#current.stop();
  }

  async #swap(next: Publisher, inFlight: () => number): Promise<void> {
    const endMs = performance.now() + CONFIRM_LIMIT_MS;
    while (this.#isOpen && !this.#isStopped && inFlight() > 0 && performance.now() < endMs) {
      await delay(LOOK_EVERY_MS);
    }
    await this.#current.stop();
    this.#current = next;
    this.#underWay -= 1;
    // With another one to come, or none at all, this one is not needed any more.
    if (this.#underWay > 0 || this.#isStopped || this.#listener === undefined) return;
    next.start(this.#ears(this.#listener));
  }

  /** Hears one publisher; while it is being replaced the lane is told nothing that would make it publish. */
  #ears(listener: PublisherListener): PublisherListener {
    return {
      onOpen: () => {
        if (this.#underWay > 0) return;
        this.#isOpen = true;
        listener.onOpen();
      },
      onClosed: (reason: CloseReason) => {
        if (!this.#isOpen) return;
        this.#isOpen = false;
        listener.onClosed(reason);
      },
      onBlocked: (reason) => {
        if (this.#isOpen) listener.onBlocked(reason);
      },
      onUnblocked: () => {
        if (this.#isOpen && this.#underWay === 0) listener.onUnblocked();
      },
    };
  }
}
