/**
 * Every fault the gateway raises by itself. Codes are stable and may be matched; texts are for people and
 * may change.
 */
export type ErrorCode =
  | 'CONFIG_INVALID'
  | 'LISTENER_FAILED'
  | 'STORE_LOCKED'
  | 'STORE_UNUSABLE'
  | 'STORE_FORMAT_UNKNOWN'
  | 'STORE_CLOSED'
  | 'STORE_FULL'
  | 'RECORD_DAMAGED'
  | 'LANE_CLOSED'
  | 'LANE_FULL'
  | 'INGEST_OVERLOADED'
  | 'AMQP_UNREACHABLE'
  | 'AMQP_TOPOLOGY_REFUSED';

/** A fault with a stable code. The message says what happened and what to do. */
export class GatewayError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'GatewayError';
    this.code = code;
  }
}

/** The text of whatever was thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
