/** Deep enough for every chain of causes seen; keeps a circular one finite. */
const MAX_DEPTH = 5;

/** An error as it stands in a log line. */
export interface DescribedError {
  readonly type: string;
  readonly message: string;
  /** Code of a GatewayError, of Node (`ECONNREFUSED`) or an AMQP reply code. */
  readonly code?: string | number;
  /** Only for errors without a code: those are bugs, the others say enough. */
  readonly stack?: string;
  readonly cause?: unknown;
  /** The parts of an AggregateError, as Node throws it when each address of a host name has failed. */
  readonly errors?: readonly unknown[];
}

/**
 * Describes whatever was thrown. Takes known fields only: errors of libraries drag sockets and options along.
 * What is not an Error is returned as it is.
 */
export function describeError(thrown: unknown): DescribedError | unknown {
  return describe(thrown, MAX_DEPTH);
}

function describe(thrown: unknown, depth: number): DescribedError | unknown {
  if (!(thrown instanceof Error)) return thrown;
  const code = 'code' in thrown ? thrown.code : undefined;
  const hasCode = typeof code === 'string' || typeof code === 'number';
  const inner = depth > 0;
  return {
    type: thrown.name,
    message: thrown.message,
    ...(hasCode ? { code } : { stack: thrown.stack }),
    ...(inner && thrown.cause !== undefined ? { cause: describe(thrown.cause, depth - 1) } : {}),
    ...(inner && thrown instanceof AggregateError
      ? { errors: thrown.errors.map((error: unknown) => describe(error, depth - 1)) }
      : {}),
  };
}
