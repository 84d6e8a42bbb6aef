import { type FileHandle, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errorText } from '../shared/errors.ts';
import { copyPosition, encodeWitness, readWitness, type Witness } from './checkpoint-file.ts';

/** How late a settled message may reach the checkpoint. */
const SOON_MS = 50;
/** It is small, and without it the end of a damaged log cannot be known: worth some tries. */
const READ_TRIES = 10;
const READ_PAUSE_MS = 50;

export interface CheckpointHooks {
  /** What is to be written: only what is on disk. */
  witness(): Witness;
  /** Told once, until a write succeeds again. */
  onFailed(detail: string): void;
}

/**
 * A second witness beside LevelDB, which loses the tail of a damaged log without a word. It is written after
 * each batch and not synced: the page cache keeps it over a SIGKILL, and a power cut leaves an older one, which
 * says less and never too much. Its failure stops nothing; a backlog that drains waits for it once a window.
 */
export class Checkpoint {
  readonly #path: string;
  readonly #hooks: CheckpointHooks;
  #file: FileHandle | undefined;
  #generation = 0;
  #wanted = 0;
  #written = 0;
  #running: Promise<void> | undefined;
  #flushes: { readonly wanted: number; readonly done: () => void }[] = [];
  #timer: NodeJS.Timeout | undefined;
  #hasFailed = false;
  failuresTotal = 0;
  /** There is a file, and no copy in it is whole. */
  isUnreadable = false;

  constructor(folder: string, hooks: CheckpointHooks) {
    this.#path = join(folder, 'checkpoint');
    this.#hooks = hooks;
  }

  /** What the run before left; undefined when there is no whole copy. */
  async read(): Promise<Witness | undefined> {
    const found = await readPatiently(this.#path);
    this.#generation = found?.generation ?? 0;
    this.isUnreadable = found === undefined && (await isThere(this.#path));
    return found?.witness;
  }

  /** Writes at the next chance. */
  touch(): void {
    this.#wanted += 1;
    this.#running ??= this.#run();
  }

  /** Writes within 50 ms. */
  soon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.touch();
    }, SOON_MS).unref();
  }

  /** Resolves when what is true now was written, or could not be. */
  flush(): Promise<void> {
    return new Promise((done) => {
      this.touch();
      this.#flushes.push({ wanted: this.#wanted, done });
    });
  }

  /** Writes both copies, so that damage to one of them costs nothing. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.flush();
    await this.flush();
    clearTimeout(this.#timer);
    await this.#running;
    await this.#file?.close().catch(() => undefined);
    this.#file = undefined;
  }

  async #run(): Promise<void> {
    while (this.#written < this.#wanted) {
      const wanted = this.#wanted;
      await this.#write();
      this.#written = wanted;
      this.#endFlushes();
    }
    this.#running = undefined;
  }

  /** Not when nothing is wanted any more: under load there is always more. */
  #endFlushes(): void {
    const open = this.#flushes;
    this.#flushes = open.filter(({ wanted }) => wanted > this.#written);
    for (const { wanted, done } of open) if (wanted <= this.#written) done();
  }

  async #write(): Promise<void> {
    try {
      this.#file ??= await openForWriting(this.#path);
      const generation = this.#generation + 1;
      const copy = encodeWitness(generation, this.#hooks.witness());
      await this.#file.write(copy, 0, copy.length, copyPosition(generation));
      this.#generation = generation;
      this.#hasFailed = false;
    } catch (error) {
      this.failuresTotal += 1;
      await this.#file?.close().catch(() => undefined);
      this.#file = undefined;
      if (!this.#hasFailed) this.#hooks.onFailed(errorText(error));
      this.#hasFailed = true;
    }
  }
}

/** A read error may pass, and what is not there comes not. */
async function readPatiently(path: string): ReturnType<typeof readWitness> {
  for (let tries = 1; tries < READ_TRIES; tries += 1) {
    try {
      return await readWitness(path);
    } catch (error) {
      if (isMissing(error)) return undefined;
      await delay(READ_PAUSE_MS);
    }
  }
  return readWitness(path).catch(() => undefined);
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: unknown) => !isMissing(error),
  );
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** Positions matter, so not for appending; made if it is not there, never emptied. */
function openForWriting(path: string): Promise<FileHandle> {
  return open(path, 'r+').catch(() => open(path, 'w+'));
}
