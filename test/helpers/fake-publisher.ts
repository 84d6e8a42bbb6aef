import type {
  CloseReason,
  Publisher,
  PublisherListener,
  PublishOutcome,
} from '../../src/delivery/ports.ts';
import type { LaneMessage } from '../../src/shared/message.ts';

interface FakePublish {
  readonly message: LaneMessage;
  readonly done: (outcome: PublishOutcome) => void;
}

/**
 * A publisher whose broker is the test: it records what is published and says only what it is told to say.
 * It keeps the rules of the port: outcomes once each, none after `onClosed`, no publish while closed.
 */
export class FakePublisher implements Publisher {
  /** Everything ever published, in order. */
  readonly published: LaneMessage[] = [];
  readonly recycled: { readonly scope: 'channel' | 'connection'; readonly reason: string }[] = [];
  readonly #inFlight: FakePublish[] = [];
  #listener: PublisherListener | undefined;
  #isOpen = false;
  #stopped = false;

  get started(): boolean {
    return this.#listener !== undefined;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Published since the last opening and not answered, oldest first. */
  get inFlight(): readonly LaneMessage[] {
    return this.#inFlight.map(({ message }) => message);
  }

  start(listener: PublisherListener): void {
    this.#listener = listener;
  }

  publish(message: LaneMessage, done: (outcome: PublishOutcome) => void): void {
    if (!this.#isOpen) throw new Error('publish on a publisher that is not open');
    this.published.push(message);
    this.#inFlight.push({ message, done });
  }

  /** Closes at once, from inside the call, as the real one does; `open()` opens again. */
  recycle(scope: 'channel' | 'connection', reason: string): void {
    this.recycled.push({ scope, reason });
    this.close({ scope, text: reason });
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.close({ scope: 'channel', text: 'stopped' });
    return Promise.resolve();
  }

  /** The channel opens. */
  open(): void {
    if (this.#stopped || this.#isOpen) return;
    this.#isOpen = true;
    this.#listener?.onOpen();
  }

  /** The channel is lost, with all that is unanswered. */
  close(reason: CloseReason = { scope: 'channel', text: 'closed by the test' }): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#inFlight.length = 0;
    this.#listener?.onClosed(reason);
  }

  /** Confirms the oldest `count` in flight, by default all. */
  confirm(count: number = this.#inFlight.length): void {
    for (let n = 0; n < count; n++) this.#answer(0, { kind: 'confirmed' });
  }

  /** Answers one message in flight, by its place from the oldest: answers may come in any order. */
  confirmAt(index: number): void {
    this.#answer(index, { kind: 'confirmed' });
  }

  /** Refuses the oldest in flight (basic.nack), or the one at `index`. */
  nack(index: number = 0): void {
    this.#answer(index, { kind: 'nacked' });
  }

  /** Returns the oldest in flight (basic.return), or the one at `index`; by default as unroutable. */
  return(index: number = 0, replyCode: number = 312, replyText: string = 'NO_ROUTE'): void {
    this.#answer(index, { kind: 'returned', replyCode, replyText });
  }

  block(reason: string = 'low on memory'): void {
    this.#listener?.onBlocked(reason);
  }

  unblock(): void {
    this.#listener?.onUnblocked();
  }

  #answer(index: number, outcome: PublishOutcome): void {
    const [answered] = this.#inFlight.splice(index, 1);
    if (answered === undefined) throw new Error(`no message in flight at ${index}`);
    answered.done(outcome);
  }
}
