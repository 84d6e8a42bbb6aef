import { pino, stdTimeFunctions } from 'pino';
import { describeError } from './describe-error.ts';
import { openStdoutSink } from './line-sink.ts';
import { redactUrls } from './redact.ts';

/** How long the end of the process waits for a reader of the log that is behind, in ms. */
const FLUSH_LIMIT_MS = 500;

/** Least level that is logged. */
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/**
 * Fields of one line. `event` names what scripts may wait for (`ready`, `stopped`, `lane-state` …) and is
 * stable; `err` takes whatever was thrown.
 */
export interface LogFields {
  readonly event?: string;
  readonly err?: unknown;
  readonly [field: string]: unknown;
}

/** Writes one JSON line a call. Never throws, never blocks. */
export interface Log {
  debug(fields: LogFields, text: string): void;
  info(fields: LogFields, text: string): void;
  warn(fields: LogFields, text: string): void;
  error(fields: LogFields, text: string): void;
  /** A log that puts these fields into each of its lines. */
  child(fields: LogFields): Log;
}

/** Where lines go: each call is one line with its newline. Must not throw. */
export interface LogDestination {
  write(line: string): void;
  /** Resolves when the lines are out or `limitMs` is over. */
  flush?(limitMs: number): Promise<void>;
  /** Lines lost so far. */
  readonly droppedTotal?: number;
}

/** The log of the process. */
export interface RootLog extends Log {
  /** Waits until the lines so far are out, 500 ms at most: call it before `process.exit`. Never rejects. */
  flush(): Promise<void>;
  /** Lines lost because nobody took them. */
  readonly droppedTotal: number;
}

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Default: the standard output. */
  readonly destination?: LogDestination;
}

/**
 * A log of one JSON line a thing: `level` (its name), `time` (ISO 8601, UTC), the fields, `msg`.
 * Passwords in URLs are replaced by `***` wherever they stand. A reader that is behind or gone costs lines,
 * which are counted and reported (`"event":"log-lines-dropped"`), never the process.
 */
export function createLogger(options: LoggerOptions): RootLog {
  const destination: LogDestination = options.destination ?? openStdoutSink(describeDropped);
  const log = pino(
    {
      level: options.level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError },
      hooks: { streamWrite: redactUrls },
    },
    destination,
  );
  return {
    ...asLog(log),
    flush: async () => destination.flush?.(FLUSH_LIMIT_MS),
    get droppedTotal() {
      return destination.droppedTotal ?? 0;
    },
  };
}

function asLog(log: pino.Logger): Log {
  return {
    debug: (fields, text) => log.debug(fields, text),
    info: (fields, text) => log.info(fields, text),
    warn: (fields, text) => log.warn(fields, text),
    error: (fields, text) => log.error(fields, text),
    child: (fields) => asLog(log.child(fields)),
  };
}

function describeDropped(count: number): string {
  return `${JSON.stringify({
    level: 'warn',
    time: new Date().toISOString(),
    event: 'log-lines-dropped',
    dropped: count,
    msg: `${count} log lines were dropped because the standard output did not take them.`,
  })}\n`;
}
