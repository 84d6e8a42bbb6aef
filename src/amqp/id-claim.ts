import type { ChannelModel } from 'amqplib';
import { errorText } from '../shared/errors.ts';
import { giveUpChannel, noteClosedByBroker, numbersReusable } from './channel-drain.ts';
import type { AmqpConnection } from './connection.ts';
import { answerWithin, channelWithin } from './no-answer.ts';
import { pause, settledWithin } from './pause.ts';
import { replyCodeOf } from './reply-code.ts';

/** What a claim tells. */
export interface IdClaimListener {
  /** Another connection has held the id for so long that it cannot be a dead one of our own. */
  taken(): void;
  /** The id is ours again after `taken`. */
  over(): void;
  /** The broker does not let us claim it. Told once. */
  unable(reason: string): void;
}

export interface IdClaimOptions {
  readonly gatewayId: string;
  readonly connection: Pick<AmqpConnection, 'subscribe'>;
  readonly listener: IdClaimListener;
  /** Asked of the broker, which gives a silent connection up after two to three of them, in ms. */
  readonly heartbeatMs: number;
  /** Time between two attempts while it is taken, in ms. Default 10 s. */
  readonly retryMs?: number;
  /** Time on one connection after which it counts as taken, in ms. Default 60 s, and three heartbeats at least. */
  readonly takenAfterMs?: number;
}

/** resource-locked (AMQP 0-9-1 §1.1): another connection has an exclusive queue of that name. */
const RESOURCE_LOCKED = 405;

const RETRY_MS = 10_000;
const TAKEN_AFTER_MS = 60_000;
const HEARTBEATS = 3;
/** Somebody may delete the queue. */
const LOOK_AGAIN_MS = 60_000;
const ANSWER_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 2_000;

/** What one attempt came to. `unable`: another would come to the same on this connection. */
type Attempt = 'held' | 'locked' | 'unable';

/**
 * Claims the gateway's id at the broker by an exclusive queue, `tidegate.gateway.ID`, which goes with the connection. So two
 * gateways with one id at one virtual host are noticed, as after a copy of a store or of a card. It uses no channel for
 * long, and whatever happens to it costs neither a lane nor the connection anything.
 */
export class IdClaim {
  readonly #options: IdClaimOptions;
  readonly #takenAfterMs: number;
  #unsubscribe: () => void = () => undefined;
  #session: AbortController = new AbortController(); // lasts as long as one connection
  #running: Promise<void> = Promise.resolve();
  #isTaken = false;
  #isUnableTold = false;

  constructor(options: IdClaimOptions) {
    this.#options = options;
    const deadForMs = HEARTBEATS * options.heartbeatMs;
    this.#takenAfterMs = options.takenAfterMs ?? Math.max(TAKEN_AFTER_MS, deadForMs);
  }

  /** Claims on each connection from now on. */
  start(): void {
    this.#unsubscribe = this.#options.connection.subscribe({
      connected: (model) => {
        this.#session = new AbortController();
        const { signal } = this.#session;
        this.#running = this.#running.then(() => this.#hold(model, signal));
      },
      lost: () => this.#session.abort(),
      blocked: () => undefined,
      unblocked: () => undefined,
    });
  }

  /** The claim itself goes with the connection. */
  async stop(): Promise<void> {
    this.#unsubscribe();
    this.#session.abort();
    await settledWithin(this.#running, STOP_LIMIT_MS);
  }

  /** Another gateway with this id is connected, as far as is known. */
  get isTaken(): boolean {
    return this.#isTaken;
  }

  async #hold(model: ChannelModel, signal: AbortSignal): Promise<void> {
    const { retryMs = RETRY_MS } = this.#options;
    let lockedSinceMs: number | undefined; // a connection of ours that is dead may be locking it
    while (!signal.aborted) {
      const attempt = await this.#tryClaim(model, signal);
      if (signal.aborted || attempt === 'unable') return;
      const nowMs = performance.now();
      lockedSinceMs = attempt === 'locked' ? (lockedSinceMs ?? nowMs) : undefined;
      if (lockedSinceMs === undefined) this.#tell(false);
      else if (nowMs - lockedSinceMs >= this.#takenAfterMs) this.#tell(true);
      await pause(attempt === 'held' ? LOOK_AGAIN_MS : retryMs, signal);
    }
  }

  /** Never rejects. Left without an answer it is not tried again on this connection: each time would cost a channel. */
  async #tryClaim(model: ChannelModel, lost: AbortSignal): Promise<Attempt> {
    const patience = { limitMs: ANSWER_LIMIT_MS, lost };
    try {
      const opening = numbersReusable(model).then(() => model.createChannel());
      const channel = await channelWithin(patience, opening, (late) => giveUpChannel(model, late));
      channel.on('error', () => noteClosedByBroker(model, channel));
      const queue = `tidegate.gateway.${this.#options.gatewayId}`;
      try {
        const exclusive = { exclusive: true, durable: false };
        await answerWithin(patience, 'id', channel.assertQueue(queue, exclusive));
        return 'held';
      } finally {
        giveUpChannel(model, channel); // the queue stays with the connection
      }
    } catch (error) {
      if (replyCodeOf(error) === RESOURCE_LOCKED) return 'locked';
      if (!lost.aborted) this.#tellUnable(errorText(error));
      return 'unable';
    }
  }

  #tell(isTaken: boolean): void {
    if (isTaken === this.#isTaken) return;
    this.#isTaken = isTaken;
    if (isTaken) this.#options.listener.taken();
    else this.#options.listener.over();
  }

  #tellUnable(reason: string): void {
    if (this.#isUnableTold) return;
    this.#isUnableTold = true;
    this.#options.listener.unable(reason);
  }
}
