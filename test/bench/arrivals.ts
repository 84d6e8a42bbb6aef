import { setTimeout as delay } from 'node:timers/promises';
import { type Channel, type ChannelModel, connect } from 'amqplib';

const POLL_MS = 10;
const PREFETCH = 2_000;
const SETTLE_EVERY = 500;
/** A queue that gives nothing for so long has no more, though something that was sent has not come. */
const SILENCE_MS = 2_000;
/** The same when all has come: what may follow are copies, and they lie in the queue already. */
const SILENCE_AFTER_ALL_MS = 200;
const MS_PER_SECOND = 1000;

/** How far each client got, by its identifier: counters from 1 to that. */
export type Counters = Readonly<Record<string, number>>;

/** What a queue held, against what was published. */
export interface Arrived {
  readonly received: number;
  /** Further copies of messages that came before. */
  readonly duplicated: number;
  /** First copies that came after one with a higher counter of the same client. */
  readonly reordered: number;
  /** Acknowledged and not there. */
  readonly missing: number;
  /** There and never sent. */
  readonly unexpected: number;
}

/** The queue at the end of all ways, seen from the consumer's side. */
export class CentralQueue {
  readonly name: string;
  readonly #model: ChannelModel;
  readonly #channel: Channel;

  constructor(name: string, model: ChannelModel, channel: Channel) {
    this.name = name;
    this.#model = model;
    this.#channel = channel;
  }

  /** Declares it, durable and replicated: RabbitMQ syncs what it confirms of quorum queues only. */
  static async declare(url: string, name: string): Promise<CentralQueue> {
    const model = await connect(url, { noDelay: true });
    const channel = await model.createChannel();
    await channel.assertQueue(name, { arguments: { 'x-queue-type': 'quorum' } });
    return new CentralQueue(name, model, channel);
  }

  async count(): Promise<number> {
    return (await this.#channel.checkQueue(this.name)).messageCount;
  }

  /**
   * Resolves with the time at which the queue held that many, in ms since 1970: as if between two looks at it, some 10 ms
   * apart, messages came evenly. The count of a quorum queue never lags behind its confirms.
   * @throws {Error} when it does not within the limit.
   */
  async holds(count: number, limitMs: number): Promise<number> {
    const deadlineMs = performance.now() + limitMs;
    let before = { there: 0, atMs: performance.now() };
    for (;;) {
      const there = await this.count();
      const atMs = performance.now();
      if (there >= count) {
        const share = before.there < count ? (count - before.there) / (there - before.there) : 0;
        return performance.timeOrigin + before.atMs + share * (atMs - before.atMs);
      }
      before = { there, atMs };
      if (atMs > deadlineMs) {
        throw new Error(
          `${there} of ${count} messages arrived within ${limitMs / MS_PER_SECOND} s`,
        );
      }
      await delay(POLL_MS);
    }
  }

  /**
   * Takes all out and counts it against what was acknowledged and sent.
   * @throws {Error} when something acknowledged is missing, or something is there that nobody sent.
   */
  async verify(acknowledged: Counters, sent: Counters): Promise<Arrived> {
    const check = new Check(acknowledged, sent);
    const channel = await this.#model.createChannel();
    await channel.prefetch(PREFETCH);
    let unsettled = 0;
    let lastAtMs = performance.now();
    await channel.consume(this.name, (message) => {
      if (message === null) return;
      lastAtMs = performance.now();
      check.add(message.content);
      unsettled += 1;
      if (unsettled === SETTLE_EVERY) {
        unsettled = 0;
        channel.ack(message, true);
      }
    });
    const patienceMs = (): number => (check.isComplete ? SILENCE_AFTER_ALL_MS : SILENCE_MS);
    while (performance.now() - lastAtMs < patienceMs()) await delay(POLL_MS);
    channel.ackAll();
    await channel.close();
    return check.result();
  }

  /** Deletes the queue with what is in it. */
  async remove(): Promise<void> {
    await this.#channel.deleteQueue(this.name);
    await this.#model.close();
  }
}

/** Which counters of one client came. */
interface Seen {
  readonly came: Uint8Array;
  highest: number;
}

class Check {
  readonly #acknowledged: Counters;
  readonly #seen: Map<string, Seen>;
  readonly #expected: number;
  #received = 0;
  #duplicated = 0;
  #reordered = 0;
  #unexpected = 0;

  constructor(acknowledged: Counters, sent: Counters) {
    this.#acknowledged = acknowledged;
    this.#expected = Object.values(sent).reduce((sum, count) => sum + count, 0);
    this.#seen = new Map(
      Object.entries(sent).map(([client, count]) => [
        client,
        { came: new Uint8Array(count + 1), highest: 0 },
      ]),
    );
  }

  /** All that was sent has come. */
  get isComplete(): boolean {
    return this.#received - this.#duplicated - this.#unexpected >= this.#expected;
  }

  /** The payload begins with `<client> <counter> `. */
  add(payload: Buffer): void {
    const [client = '', counterText] = payload.toString('latin1', 0, 64).split(' ', 2);
    const counter = Number(counterText);
    const seen = this.#seen.get(client);
    this.#received += 1;
    if (seen === undefined || !(counter > 0 && counter < seen.came.length)) this.#unexpected += 1;
    else if (seen.came[counter] === 1) this.#duplicated += 1;
    else {
      seen.came[counter] = 1;
      if (counter < seen.highest) this.#reordered += 1;
      seen.highest = Math.max(seen.highest, counter);
    }
  }

  result(): Arrived {
    let missing = 0;
    for (const [client, count] of Object.entries(this.#acknowledged)) {
      const came = this.#seen.get(client)?.came ?? new Uint8Array();
      for (let counter = 1; counter <= count; counter += 1) if (came[counter] !== 1) missing += 1;
    }
    if (missing + this.#unexpected > 0) {
      throw new Error(`${missing} acknowledged messages missing, ${this.#unexpected} unexpected`);
    }
    return {
      received: this.#received,
      duplicated: this.#duplicated,
      reordered: this.#reordered,
      missing,
      unexpected: this.#unexpected,
    };
  }
}
