import { setTimeout as delay } from 'node:timers/promises';
import type { Level } from 'level';
import { GatewayError } from '../shared/errors.ts';
import type { DiskRoom } from './disk.ts';

export type Db = Level<Buffer, Buffer>;
export type Batch = ReturnType<Db['batch']>;

/** One unit of writing. It is added to a batch as often as it takes until a batch is on disk. */
export interface WriteTask {
  readonly bytes: number;
  /** Puts what it has into the batch. Called again after a failed write. */
  addTo(batch: Batch): void;
  /** The batch is on disk. */
  written(): void;
  /** The store was closed first. */
  abandoned(error: GatewayError): void;
}

export interface WriterHooks {
  /**
   * Opens the database, which is closed after a failure, and reads all positions from it anew. Rejects when it
   * does not open, lacks anything that was told to be written, or cannot be written still: it is tried again.
   */
  reopen(): Promise<void>;
  /** A batch is on disk, and all of it was told. */
  batchWritten(): void;
  /** May add what is cheap to write in passing (low-water marks, its serial). */
  addInPassing(batch: Batch): void;
  onTrouble(error: unknown): void;
  onRecovered(): void;
}

/** A batch of this size takes a few ms to write even on an SD card; more would only add latency. */
const MAX_BATCH_TASKS = 2_000;
const MAX_BATCH_BYTES = 1024 * 1024;
const RETRY_AFTER_MS = 250;
/** Asking the file system for its free space is a system call: not for every batch. */
const RESERVE_CHECK_EVERY_BYTES = 4 * 1024 * 1024;
const RESERVE_CHECK_EVERY_MS = 250;

/**
 * The only writer of the database. It has one synced batch in flight; what arrives meanwhile shares the next
 * one (group commit). After any write error LevelDB may report success for what is lost, so nothing counts as
 * written until the database was closed, opened and written again.
 */
export class BatchWriter {
  readonly #db: Db;
  readonly #room: DiskRoom;
  readonly #hooks: WriterHooks;
  #queue: WriteTask[] = [];
  #running: Promise<void> | undefined;
  #closing = new AbortController();
  #damaged = false;
  #unchecked = Number.POSITIVE_INFINITY;
  #checkedAtMs = 0;
  writable = true;
  /** The disk has less free space than the reserve: what is queued waits. */
  lacksReserve = false;
  batchesTotal = 0;
  tasksTotal = 0;
  bytesTotal = 0;
  errorsTotal = 0;
  reopensTotal = 0;

  constructor(db: Db, room: DiskRoom, hooks: WriterHooks) {
    this.#db = db;
    this.#room = room;
    this.#hooks = hooks;
  }

  /** False from a failure until the database was opened again: then it must not be touched. */
  get isTrusted(): boolean {
    return !this.#damaged;
  }

  /** Queues a task; tasks become durable in this order. */
  write(task: WriteTask): void {
    if (this.#closing.signal.aborted) {
      task.abandoned(closedError());
      return;
    }
    this.#queue.push(task);
    this.#running ??= this.#run();
  }

  /** Something else found that the database fails (a read, a clear): it is opened again before the next batch. */
  distrust(error: unknown): void {
    this.#trouble(error);
    this.#running ??= this.#run();
  }

  /** Ends the batch in flight, gives up what is still queued. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
    for (const task of this.#queue.splice(0)) task.abandoned(closedError());
  }

  async #run(): Promise<void> {
    // Everything that arrives within this turn of the event loop shares the first batch.
    await Promise.resolve();
    while ((this.#queue.length > 0 || this.#damaged) && !this.#closing.signal.aborted) {
      try {
        if (this.#damaged) await this.#reopen();
        if (this.#queue.length > 0) await this.#writeBatch();
        else if (!this.writable) this.#recovered();
      } catch (error) {
        this.#trouble(error);
        await this.#pause();
      }
    }
    this.#running = undefined;
  }

  async #writeBatch(): Promise<void> {
    await this.#checkReserve();
    const batch = this.#db.batch();
    const { count, bytes } = this.#fill(batch);
    this.#hooks.addInPassing(batch);
    await batch.write({ sync: true });
    this.batchesTotal += 1;
    this.tasksTotal += count;
    this.bytesTotal += bytes;
    this.#unchecked += bytes;
    const done = this.#queue.slice(0, count);
    this.#queue = this.#queue.slice(count);
    if (!this.writable) this.#recovered();
    for (const task of done) task.written();
    this.#hooks.batchWritten();
  }

  #fill(batch: Batch): { count: number; bytes: number } {
    let count = 0;
    let bytes = 0;
    for (const task of this.#queue) {
      if (count === MAX_BATCH_TASKS || (count > 0 && bytes + task.bytes > MAX_BATCH_BYTES)) break;
      task.addTo(batch);
      count += 1;
      bytes += task.bytes;
    }
    return { count, bytes };
  }

  async #checkReserve(): Promise<void> {
    const now = performance.now();
    const due =
      this.#unchecked >= RESERVE_CHECK_EVERY_BYTES ||
      now - this.#checkedAtMs > RESERVE_CHECK_EVERY_MS;
    if (!due) return;
    this.#checkedAtMs = now;
    this.#unchecked = 0;
    this.lacksReserve = !(await this.#room.hasReserve());
    if (!this.lacksReserve) return;
    this.#unchecked = Number.POSITIVE_INFINITY;
    throw new GatewayError('STORE_FULL', 'The disk has less free space than store.reserveBytes.');
  }

  /** @throws when the database cannot be used; the caller tries again. */
  async #reopen(): Promise<void> {
    await this.#db.close();
    this.reopensTotal += 1;
    await this.#hooks.reopen();
    this.#damaged = false;
  }

  #trouble(error: unknown): void {
    // When it is full nothing was written, so nothing is in doubt.
    const isOnlyFull = error instanceof GatewayError && error.code === 'STORE_FULL';
    if (!isOnlyFull) {
      this.errorsTotal += 1;
      this.#damaged = true;
    }
    if (this.writable) this.#hooks.onTrouble(error);
    this.writable = false;
  }

  #recovered(): void {
    this.writable = true;
    this.#hooks.onRecovered();
  }

  async #pause(): Promise<void> {
    await delay(RETRY_AFTER_MS, undefined, { signal: this.#closing.signal }).catch(() => undefined);
  }
}

function closedError(): GatewayError {
  return new GatewayError('STORE_CLOSED', 'The store is closed.');
}
