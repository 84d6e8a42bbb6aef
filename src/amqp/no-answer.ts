import { setTimeout as delay } from 'node:timers/promises';

/** The broker has left a question open for too long. The connection may be well, and heartbeats come. */
export class NoAnswer extends Error {
  /** It has not even opened a channel, which needs nothing but a broker that works. */
  readonly isForChannel: boolean;

  constructor(what: string, limitMs: number, isForChannel: boolean) {
    super(`${what}: no answer from the broker within ${limitMs} ms`);
    this.name = 'NoAnswer';
    this.isForChannel = isForChannel;
  }
}

/**
 * The answer to one question, if it comes in time. What comes later is thrown away.
 * @throws {NoAnswer}
 */
export function answerWithin<T>(limitMs: number, what: string, answer: Promise<T>): Promise<T> {
  return within(limitMs, answer, () => new NoAnswer(what, limitMs, false));
}

/**
 * A channel, if the broker opens it in time. One that is opened later is handed to `tooLate`, to be closed.
 * @throws {NoAnswer}
 */
export async function channelWithin<C>(
  limitMs: number,
  opening: Promise<C>,
  tooLate: (channel: C) => void,
): Promise<C> {
  try {
    return await within(limitMs, opening, () => new NoAnswer('channel.open', limitMs, true));
  } catch (error) {
    if (error instanceof NoAnswer) opening.then(tooLate, () => undefined);
    throw error;
  }
}

async function within<T>(limitMs: number, answer: Promise<T>, tooLate: () => Error): Promise<T> {
  const answered = new AbortController();
  const limit = async (): Promise<never> => {
    await delay(limitMs, undefined, { signal: answered.signal });
    throw tooLate();
  };
  try {
    return await Promise.race([answer, limit()]);
  } finally {
    answered.abort(); // the rejection of the race's loser is seen by the race
  }
}
