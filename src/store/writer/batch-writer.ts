import { setTimeout as delay } from 'node:timers/promises';
import { GatewayError } from '../../shared/errors.ts';
import type { DiskRoom } from '../disk.ts';
import type { Database, KeyRange } from './database.ts';
import { compact, createHandle, type WritingHandle } from './handle.ts';
import { TaskQueue } from './task-queue.ts';
import type { Batch, WriteTask } from './write-task.ts';

export interface WriterHooks {
  /**
   * Opens the database, which is closed after a failure, and reads all positions from it anew. Rejects when it
   * does not open, or lacks anything that was told to be written: it is tried again.
   */
  reopen(): Promise<void>;
  /** Puts in what a database begins with, after each opening. That it can be written shows that it can be trusted. */
  addHead(batch: Batch): void;
  /** A batch is on disk, and all of it was told. */
  batchWritten(): void;
  /** May add what is cheap to write in passing (low-water marks), and a serial when not all in it `isWitnessed`. */
  addInPassing(batch: Batch, isWitnessed: boolean): void;
  onTrouble(error: unknown): void;
  onRecovered(): void;
}

/** Somebody waits for a range to be deleted. */
interface Clearing {
  readonly range: KeyRange;
  resolve(): void;
  reject(error: unknown): void;
}

const RETRY_AFTER_MS = 250;
/** Asking the file system for its free space is a system call: not for every batch. */
const RESERVE_CHECK_EVERY_BYTES = 4 * 1024 * 1024;
const RESERVE_CHECK_EVERY_MS = 250;

/**
 * The only writer of the database, and the owner of its handle: nothing else can write, delete or compact. One thing is
 * under way at a time: a synced batch, in which all shares that arrived meanwhile (group commit), or the deletion of a range.
 *
 * When any write fails, LevelDB may go on to report success for what a crash loses. So nothing counts as written
 * whose batch returns after that, until the database was closed, opened and written again.
 */
export class BatchWriter {
  readonly #handle: WritingHandle;
  readonly #room: DiskRoom;
  readonly #hooks: WriterHooks;
  readonly #tasks = new TaskQueue();
  #clearings: Clearing[] = [];
  #compacting: Promise<void> = Promise.resolve();
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

  constructor(location: string, room: DiskRoom, hooks: WriterHooks) {
    this.#handle = createHandle(location);
    this.#room = room;
    this.#hooks = hooks;
  }

  /** The database, for reading; recovery opens and closes it before `begin`, and within `reopen`. */
  get database(): Database {
    return this.#handle;
  }

  /** False from a failure until the database was opened again: then it must not be touched. */
  get isTrusted(): boolean {
    return !this.#damaged;
  }

  /** Bytes of the tasks that are not on disk yet. */
  get queuedBytes(): number {
    return this.#tasks.bytes;
  }

  /** Writes the head, durably; to be called before anything else is written. @throws what the database says. */
  async begin(): Promise<void> {
    const batch = this.#handle.batch();
    this.#hooks.addHead(batch);
    await batch.write({ sync: true });
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
    this.#tasks.add(task);
    this.#start();
  }

  /**
   * As `write`, for one who waits: resolves when the task is on disk.
   * @throws {GatewayError} STORE_CLOSED, or why the disk failed if the task is optional.
   */
  written(task: Omit<WriteTask, 'written' | 'abandoned'>): Promise<void> {
    return new Promise((written, abandoned) => this.write({ ...task, written, abandoned }));
  }

  /**
   * Deletes a range, after all that is in the batch under way. Durable with a later batch: a crash may bring it back.
   * @throws when that failed: the database is being opened again.
   */
  clear(range: KeyRange): Promise<void> {
    if (this.#isClosed) return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      this.#clearings.push({ range, resolve, reject });
      this.#start();
    });
  }

  /**
   * Gives the space of a deleted range back. Batches go on meanwhile, for it writes nothing to the log; a failure of it
   * makes LevelDB refuse the next write.
   */
  compact(range: KeyRange): Promise<void> {
    this.#compacting = this.#compacting.then(() => this.#compact(range));
    return this.#compacting;
  }

  /** Something else found that the database fails (a read): it is opened again before the next batch. */
  distrust(error: unknown): void {
    this.#trouble(error);
    this.#start();
  }

  /** Ends what is under way, gives up what is still queued. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
    await this.#compacting;
    this.#isClosed = true;
    for (const task of this.#tasks.takeAll()) task.abandoned(closedError());
    this.#rejectClearings(closedError());
  }

  #start(): void {
    if (!this.#closing.signal.aborted) this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    // Everything that arrives within this turn of the event loop shares the first batch.
    await Promise.resolve();
    while ((this.#hasWork || this.#damaged) && !this.#closing.signal.aborted) {
      try {
        if (this.#damaged) await this.#reopen();
        if (this.#hasTasks) await this.#writeBatch();
        else if (!this.writable) this.#recovered();
        await this.#clearNext();
      } catch (error) {
        this.#trouble(error);
        await this.#pause();
      }
    }
    this.#running = undefined;
  }

  async #writeBatch(): Promise<void> {
    await this.#checkReserve();
    const batch = this.#handle.batch();
    const filled = this.#tasks.fill(batch, !this.lacksReserve);
    this.#hooks.addInPassing(batch, filled.isWitnessed);
    await batch.write({ sync: true });
    // A read or a compaction may have found meanwhile that the database fails: then this batch may be lost too.
    if (this.#damaged) throw new Error('the database failed while a batch was being written');
    this.batchesTotal += 1;
    this.tasksTotal += filled.tasks;
    this.bytesTotal += filled.bytes;
    this.#unchecked += filled.bytes;
    const done = this.#tasks.take(filled);
    if (!this.writable && !this.lacksReserve) this.#recovered();
    for (const task of done) task.written();
    queueMicrotask(() => {
      for (const task of done) task.told?.();
    });
    this.#hooks.batchWritten();
  }

  /** One range a turn, so that batches do not wait for many. */
  async #clearNext(): Promise<void> {
    const next = this.#damaged ? undefined : this.#clearings.shift();
    if (next === undefined) return;
    try {
      await this.#handle.clear(next.range);
      next.resolve();
    } catch (error) {
      next.reject(error);
      throw error;
    }
  }

  async #compact(range: KeyRange): Promise<void> {
    if (this.#damaged || this.#handle.status !== 'open') return;
    await compact(this.#handle, range).catch((error: unknown) => this.distrust(error));
  }

  get #hasWork(): boolean {
    return this.#hasTasks || this.#clearings.length > 0;
  }

  /** Missing room is looked for even when nothing waits: lanes that hold back until it is there write nothing. */
  get #hasTasks(): boolean {
    return !this.#tasks.isEmpty || this.lacksReserve;
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
    if (this.#tasks.hasFreeing || this.#clearings.length > 0) return;
    throw new GatewayError('STORE_FULL', 'The disk has less free space than store.reserveBytes.');
  }

  /** @throws when the database cannot be used; the caller tries again. */
  async #reopen(): Promise<void> {
    await this.#compacting;
    await this.#handle.close();
    this.reopensTotal += 1;
    await this.#hooks.reopen();
    await this.begin();
    this.#damaged = false;
  }

  #trouble(error: unknown): void {
    // When it is full nothing was written, so nothing is in doubt.
    const isOnlyFull = error instanceof GatewayError && error.code === 'STORE_FULL';
    if (!isOnlyFull) {
      this.errorsTotal += 1;
      this.#damaged = true;
      this.#rejectClearings(error);
    }
    if (this.writable) this.#hooks.onTrouble(error);
    this.writable = false;
    for (const task of this.#tasks.takeOptional(!isOnlyFull)) task.abandoned(error);
  }

  #recovered(): void {
    this.writable = true;
    this.#hooks.onRecovered();
  }

  #rejectClearings(error: unknown): void {
    for (const clearing of this.#clearings.splice(0)) clearing.reject(error);
  }

  async #pause(): Promise<void> {
    await delay(RETRY_AFTER_MS, undefined, { signal: this.#closing.signal }).catch(() => undefined);
  }
}

function closedError(): GatewayError {
  return new GatewayError('STORE_CLOSED', 'The store is closed.');
}
