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

/** How long an answer is waited for. */
export interface Patience {
  readonly limitMs: number;
  /**
   * Aborted when the connection is lost, which ends the wait. amqplib itself leaves the promise of a channel.close
   * open for ever then.
   */
  readonly lost?: AbortSignal;
}

/**
 * The answer to one question, if it comes in time. What comes later is thrown away.
 * @throws {NoAnswer} and whatever the answer is rejected with; any error when the connection is lost.
 */
export function answerWithin<T>(patience: Patience, what: string, answer: Promise<T>): Promise<T> {
  return within(patience, answer, () => new NoAnswer(what, patience.limitMs, false));
}

/**
 * A channel, if the broker opens it in time. One that is opened later is handed to `tooLate`, to be closed; also after
 * `lost`, which a lane that stops aborts too, on a connection that lives on.
 * @throws {NoAnswer} and whatever the opening is rejected with; any error when the connection is lost.
 */
export async function channelWithin<C>(
  patience: Patience,
  opening: Promise<C>,
  tooLate: (channel: C) => void,
): Promise<C> {
  try {
    return await within(patience, opening, () => {
      return new NoAnswer('channel.open', patience.limitMs, true);
    });
  } catch (error) {
    opening.then(tooLate, () => undefined);
    throw error;
  }
}

/** Not by a race with a pause: with 1,000 lanes that open at once its abort signals took a second of CPU. */
function within<T>(
  { limitMs, lost }: Patience,
  answer: Promise<T>,
  tooLate: () => Error,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(limit);
      lost?.removeEventListener('abort', giveUp);
    };
    const giveUp = (): void => {
      end();
      reject(lost?.aborted ? new Error('the connection is lost') : tooLate());
    };
    const limit = setTimeout(giveUp, limitMs);
    if (lost?.aborted) giveUp();
    else lost?.addEventListener('abort', giveUp);
    answer.finally(end).then(resolve, reject);
  });
}
