import { errorText } from '../shared/errors.ts';

/** A write may wait for the disk; longer than this the store is not writable. */
const ANSWER_LIMIT_MS = 30_000;

/** The gateway was not reached, or said no: the text says which and what to do. */
export class AdminError extends Error {}

/** Talks to the admin listener of a running gateway. */
export class AdminClient {
  readonly #baseUrl: string;

  /** `baseUrl` such as `http://127.0.0.1:9180`. */
  constructor(baseUrl: string) {
    this.#baseUrl = baseUrl;
  }

  /** @throws {AdminError} not reached, refused, or no gateway of ours. */
  get(path: string, query: Readonly<Record<string, string>> = {}): Promise<unknown> {
    return this.#ask('GET', path, query);
  }

  /** @throws {AdminError} not reached, refused, or no gateway of ours. */
  post(path: string, query: Readonly<Record<string, string>>): Promise<unknown> {
    return this.#ask('POST', path, query);
  }

  async #ask(
    method: 'GET' | 'POST',
    path: string,
    query: Readonly<Record<string, string>>,
  ): Promise<unknown> {
    const url = new URL(path, this.#baseUrl);
    url.search = new URLSearchParams(query).toString();
    let answer: Response;
    let text: string;
    try {
      answer = await fetch(url, { method, signal: AbortSignal.timeout(ANSWER_LIMIT_MS) });
      text = await answer.text();
    } catch (error) {
      throw new AdminError(this.#notReached(error), { cause: error });
    }
    const body = parse(text);
    if (body === undefined) {
      throw new AdminError(`What answers at ${this.#baseUrl} (${answer.status}) is no Tidegate.`);
    }
    if (!answer.ok) throw new AdminError(refusalOf(body) ?? `refused with ${answer.status}`);
    return body;
  }

  #notReached(error: unknown): string {
    if (error instanceof Error && error.name === 'TimeoutError') {
      return (
        `The gateway at ${this.#baseUrl} has not answered within ${ANSWER_LIMIT_MS} ms; ` +
        'its /readyz?verbose says whether the store is writable.'
      );
    }
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    return (
      `No gateway is reached at ${this.#baseUrl} (${causeText(cause)}). Is it running, with ` +
      'admin.enabled? Say where with --url, or with its --config.'
    );
  }
}

/** Several addresses of one name fail as one error without a text, but with a code. */
function causeText(cause: unknown): string {
  const text = errorText(cause);
  if (text !== '') return text;
  return cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason';
}

function parse(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function refusalOf(body: object): string | undefined {
  return 'error' in body && typeof body.error === 'string' ? body.error : undefined;
}
