import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A process that lived so long is not one of a row that end over the same files. */
const SOUND_AFTER_MS = 60_000;

/**
 * A file that counts the starts in a row that came to no good end: LevelDB ends the process when it finds its
 * files contradictory (`assert`, abort), be it while it opens them or later, when it reads them, and the next
 * start must not run into the same for ever. A kill leaves the file too, so it proves nothing.
 */
export class OpeningMarker {
  readonly #path: string;
  #isSet = false;
  #setAtMs = 0;

  constructor(folder: string) {
    this.#path = join(folder, 'opening');
  }

  /** Starts in a row whose process ended within its first minute, and not by closing the store. */
  async failedStarts(): Promise<number> {
    const text = await readFile(this.#path, 'utf8').catch(() => undefined);
    if (text === undefined) return 0;
    const count = Number.parseInt(text, 10);
    return count > 0 ? count : 1;
  }

  /** Counts this one, until it is known to be sound. A disk that cannot take it is no reason not to open. */
  async set(failedStarts: number): Promise<void> {
    this.#isSet = true;
    this.#setAtMs = performance.now();
    await writeFile(this.#path, String(failedStarts + 1)).catch(() => undefined);
  }

  /** The database is at work: after a minute of it this start counts as sound. */
  async atWork(): Promise<void> {
    if (this.#isSet && performance.now() - this.#setAtMs > SOUND_AFTER_MS) await this.clear();
  }

  /** The store was closed. */
  async clear(): Promise<void> {
    if (!this.#isSet) return;
    await rm(this.#path, { force: true });
    this.#isSet = false;
  }
}
