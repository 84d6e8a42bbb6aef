/** The scalar at a path, or why there is none. */
export type JsonScalar =
  | { readonly ok: true; readonly value: string | number | boolean }
  | { readonly ok: false; readonly detail: string };

type Parsed =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly detail: string };

/** Fatal, so that bytes which are not UTF-8 fail instead of turning different values into the same text. */
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** A payload read as JSON: parsed at the first question, once, however many templates ask. Never throws. */
export class JsonPayload {
  readonly #payload: Buffer;
  #parsed: Parsed | undefined;

  constructor(payload: Buffer) {
    this.#payload = payload;
  }

  /**
   * The string, number or boolean at `path`. Array elements go by index. Fails for a field that is missing,
   * null, an object or an array, and for what cannot be passed on exactly: an integer beyond 2^53, of which
   * JSON.parse has already lost digits, and half a surrogate pair.
   */
  read(path: readonly string[]): JsonScalar {
    this.#parsed ??= parse(this.#payload);
    if (!this.#parsed.ok) return this.#parsed;
    let value = this.#parsed.value;
    for (const field of path) {
      if (!hasField(value, field)) return failure(path, 'is missing');
      value = value[field];
    }
    return scalarOf(value, path);
  }
}

function parse(payload: Buffer): Parsed {
  try {
    return { ok: true, value: JSON.parse(utf8.decode(payload)) };
  } catch {
    return { ok: false, detail: 'the payload is not JSON' };
  }
}

/** Own fields only: `constructor` or `length` is nothing that a device has sent. */
function hasField(value: unknown, field: string): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, field)) return false;
  return !Array.isArray(value) || field !== 'length';
}

function scalarOf(value: unknown, path: readonly string[]): JsonScalar {
  switch (typeof value) {
    case 'string':
      return /\p{Surrogate}/u.test(value)
        ? failure(path, 'holds half a surrogate pair')
        : { ok: true, value };
    case 'number':
      return Number.isInteger(value) && !Number.isSafeInteger(value)
        ? failure(path, 'is an integer beyond 2^53; send it as a string')
        : { ok: true, value };
    case 'boolean':
      return { ok: true, value };
    default:
      return failure(path, value === null ? 'is null' : 'is not a string, number or boolean');
  }
}

function failure(path: readonly string[], what: string): JsonScalar {
  return { ok: false, detail: `json field "${path.join('.')}" ${what}` };
}
