import { fstatSync, write, writeSync } from 'node:fs';

/** What waits for a reader that is behind: some 2,000 lines, and too little to matter on a small box. */
const MAX_PENDING_BYTES = 1024 * 1024;
/** One write fills an empty Linux pipe at most (64 KiB). */
const MAX_CHUNK_BYTES = 64 * 1024;
/** A full pipe is asked again this often: soon for a reader, and no load when nobody reads. */
const RETRY_MS = 50;
const EMPTY: Buffer = Buffer.alloc(0);

/** How a sink behaves; the last two have defaults. */
export interface LineSinkOptions {
  readonly fd: number;
  /**
   * A pipe or socket in non-blocking mode. It is written at once, so that a line is out when `write`
   * returns. Anything else may block (a file on a busy card) and is written by Node's thread pool.
   */
  readonly nonBlocking: boolean;
  /** Most that waits in memory, in bytes. Default 1 MiB. Lines beyond are dropped and counted. */
  readonly maxPendingBytes?: number;
  /** The line that tells of `count` dropped ones as soon as writing works again. */
  readonly describeDropped?: (count: number) => string;
}

/**
 * Writes lines to a file descriptor in order, and never blocks, throws or grows without bound: what a full
 * pipe does not take waits, what does not fit or cannot be written is dropped and counted.
 * Not pino's own destination: at exit that one waits for ever on a full pipe and on some write errors.
 */
export class LineSink {
  readonly #fd: number;
  readonly #nonBlocking: boolean;
  readonly #maxPendingBytes: number;
  readonly #describeDropped: ((count: number) => string) | undefined;
  #state: 'idle' | 'writing' | 'waiting' = 'idle';
  #lines: string[] = [];
  #pendingBytes = 0;
  #chunk: Buffer = EMPTY;
  #chunkLines = 0;
  #chunkReports = 0;
  /** A chunk was given up half-way, so that the next one must not go on in the same line. */
  #torn = false;
  #droppedTotal = 0;
  #unreported = 0;
  readonly #idleWaiters: Set<() => void> = new Set();

  constructor(options: LineSinkOptions) {
    this.#fd = options.fd;
    this.#nonBlocking = options.nonBlocking;
    this.#maxPendingBytes = options.maxPendingBytes ?? MAX_PENDING_BYTES;
    this.#describeDropped = options.describeDropped;
  }

  /** Lines lost so far. Those of a write that failed half-way count as lost. */
  get droppedTotal(): number {
    return this.#droppedTotal;
  }

  /** Takes one line with its newline, or drops it. */
  write(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.#pendingBytes + bytes > this.#maxPendingBytes) {
      this.#droppedTotal += 1;
      this.#unreported += 1;
      return;
    }
    this.#lines.push(line);
    this.#pendingBytes += bytes;
    if (this.#state === 'idle') this.#pump();
  }

  /** Resolves when nothing is pending any more, after `limitMs` at the latest. Never rejects. */
  flush(limitMs: number): Promise<void> {
    if (this.#state === 'idle') return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#idleWaiters.delete(done);
        resolve();
      };
      const timer = setTimeout(done, limitMs);
      this.#idleWaiters.add(done);
    });
  }

  /** For the end of the process: writes what the descriptor takes at once and gives the rest up. */
  flushSync(): void {
    // A chunk in flight is with Node's thread pool, which still finishes it before the process ends.
    const head = this.#state === 'writing' ? EMPTY : this.#chunk;
    let rest = Buffer.concat([head, Buffer.from(this.#lines.join(''))]);
    try {
      while (rest.length > 0) rest = rest.subarray(writeSync(this.#fd, rest));
    } catch {
      // Full or closed: the exit is not held up for a log line.
    }
    this.#lines = [];
    this.#pendingBytes = 0;
  }

  #pump(): void {
    if (this.#chunk.length === 0) this.#takeChunk();
    if (this.#chunk.length === 0) {
      this.#state = 'idle';
      for (const done of [...this.#idleWaiters]) done();
      return;
    }
    this.#state = 'writing';
    if (this.#nonBlocking) this.#writeAtOnce();
    else write(this.#fd, this.#chunk, (error, written) => this.#onWritten(error, written));
  }

  #writeAtOnce(): void {
    let written = 0;
    try {
      written = writeSync(this.#fd, this.#chunk);
    } catch (error) {
      this.#onWritten(error instanceof Error ? error : new Error(String(error)), 0);
      return;
    }
    this.#onWritten(null, written);
  }

  #onWritten(error: NodeJS.ErrnoException | null, written: number): void {
    if (error?.code === 'EAGAIN') {
      this.#state = 'waiting';
      // Unreferenced: a log nobody reads must not keep a finished process alive.
      setTimeout(() => this.#pump(), RETRY_MS).unref();
      return;
    }
    if (error === null) this.#advance(written);
    else this.#giveChunkUp();
    this.#pump();
  }

  #advance(written: number): void {
    this.#torn = written < this.#chunk.length;
    this.#pendingBytes -= written;
    this.#chunk = this.#chunk.subarray(written);
  }

  #giveChunkUp(): void {
    this.#pendingBytes -= this.#chunk.length;
    this.#chunk = EMPTY;
    this.#droppedTotal += this.#chunkLines;
    this.#unreported += this.#chunkLines + this.#chunkReports;
  }

  #takeChunk(): void {
    let count = 0;
    let bytes = 0;
    while (count < this.#lines.length && bytes < MAX_CHUNK_BYTES) {
      bytes += Buffer.byteLength(this.#lines[count] ?? '');
      count += 1;
    }
    if (count === 0) return;
    const text = this.#lines.splice(0, count).join('');
    this.#chunkLines = count;
    this.#chunkReports = this.#unreported;
    this.#unreported = 0;
    const report =
      this.#chunkReports > 0 ? (this.#describeDropped?.(this.#chunkReports) ?? '') : '';
    this.#chunk = Buffer.from(`${this.#torn ? '\n' : ''}${report}${text}`);
    this.#pendingBytes += this.#chunk.length - bytes;
  }
}

/**
 * A sink on the standard output. Node puts a pipe or socket there into non-blocking mode as soon as
 * `process.stdout` is used; without that, a write to a full pipe would hold a thread and the exit for ever.
 */
export function openStdoutSink(describeDropped: (count: number) => string): LineSink {
  const { fd } = process.stdout;
  const kind = fstatSync(fd);
  const nonBlocking = kind.isFIFO() || kind.isSocket();
  const sink = new LineSink({ fd, nonBlocking, describeDropped });
  process.once('exit', () => sink.flushSync());
  return sink;
}
