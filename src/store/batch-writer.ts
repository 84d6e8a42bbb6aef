import { setTimeout as delay } from 'node:timers/promises';
import type { Level } from 'level';
import { GatewayError } from '../shared/errors.ts';
import type { DiskRoom } from './disk.ts';

export type Db = Level<Buffer, Buffer>;
export type Batch = ReturnType<Db['batch']>;

/** One unit of writing. It is added to a batch as often as it takes until a batch is on disk. */
export interface WriteTask {
  readonly bytes: number;
  /**
   * It lets others go, or tells of what goes: it may use the reserve, ahead of what only takes room. Otherwise
   * a disk without its reserve would keep for ever what could give its room back.
   */
  readonly freesRoom?: boolean;
  /** The checkpoint knows that it was written: it needs no serial. */
  readonly isWitnessed?: boolean;
  /** Puts what it has into the batch. Called again after a failed write. */
  addTo(batch: Batch): void;
  /** The batch is on disk. */
  written(): void;
  /** All of the batch was `written`. In a turn of its own: what it throws has nothing to do with the disk. */
  told?(): void;
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
  /** May add what is cheap to write in passing (low-water marks), and a serial when not all in it `isWitnessed`. */
  addInPassing(batch: Batch, isWitnessed: boolean): void;
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
  /** Those that free room, ahead of the others. */
  #freeing: WriteTask[] = [];
  #running: Promise<void> | undefined;
  #closing = new AbortController();
  #isClosed = false;
  #damaged = false;
  #unchecked = Number.POSITIVE_INFINITY;
  #checkedAtMs = 0;
  writable = true;
  /** The disk has less free space than the reserve: what does not free room waits. */
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

  /**
   * Queues a task; tasks become durable in this order, those that free room before the others. What comes too late is
   * abandoned in its turn too, and never within this call.
   */
  write(task: WriteTask): void {
    if (this.#isClosed) {
      queueMicrotask(() => task.abandoned(closedError()));
      return;
    }
    (task.freesRoom ? this.#freeing : this.#queue).push(task);
    if (!this.#closing.signal.aborted) this.#running ??= this.#run();
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
    this.#isClosed = true;
    const unwritten = [...this.#freeing.splice(0), ...this.#queue.splice(0)];
    for (const task of unwritten) task.abandoned(closedError());
  }

  async #run(): Promise<void> {
    // Everything that arrives within this turn of the event loop shares the first batch.
    await Promise.resolve();
    while ((this.#hasWork || this.#damaged) && !this.#closing.signal.aborted) {
      try {
        if (this.#damaged) await this.#reopen();
        if (this.#hasWork) await this.#writeBatch();
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
    const { freeing, others, bytes, isWitnessed } = this.#fill(batch);
    this.#hooks.addInPassing(batch, isWitnessed);
    await batch.write({ sync: true });
    this.batchesTotal += 1;
    this.tasksTotal += freeing + others;
    this.bytesTotal += bytes;
    this.#unchecked += bytes;
    const done = [...this.#freeing.slice(0, freeing), ...this.#queue.slice(0, others)];
    this.#freeing = this.#freeing.slice(freeing);
    this.#queue = this.#queue.slice(others);
    if (!this.writable && !this.lacksReserve) this.#recovered();
    for (const task of done) task.written();
    queueMicrotask(() => {
      for (const task of done) task.told?.();
    });
    this.#hooks.batchWritten();
  }

  /** Missing room is looked for even when nothing waits: lanes that hold back until it is there write nothing. */
  get #hasWork(): boolean {
    return this.#freeing.length + this.#queue.length > 0 || this.lacksReserve;
  }

  #fill(batch: Batch): { freeing: number; others: number; bytes: number; isWitnessed: boolean } {
    const counts = { freeing: 0, others: 0 };
    let bytes = 0;
    let isWitnessed = true;
    const add = (task: WriteTask, kind: 'freeing' | 'others'): boolean => {
      const count = counts.freeing + counts.others;
      const isFull = count > 0 && bytes + task.bytes > MAX_BATCH_BYTES;
      if (isFull || count === MAX_BATCH_TASKS) return false;
      task.addTo(batch);
      counts[kind] += 1;
      bytes += task.bytes;
      isWitnessed &&= task.isWitnessed === true;
      return true;
    };
    const isOpen = this.#freeing.every((task) => add(task, 'freeing'));
    if (isOpen && !this.lacksReserve) this.#queue.every((task) => add(task, 'others'));
    return { ...counts, bytes, isWitnessed };
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
    if (this.#freeing.length > 0) return;
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
