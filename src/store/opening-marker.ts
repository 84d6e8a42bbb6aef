import { access, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * A file that is there while the database is being opened and a little longer: LevelDB ends the process when it
 * finds its files contradictory (`assert`, abort), and the next start must not run into the same. A kill at that
 * moment leaves it too, so it proves nothing.
 */
export class OpeningMarker {
  readonly #path: string;
  #isSet = false;

  constructor(folder: string) {
    this.#path = join(folder, 'opening');
  }

  /** True when a process that opened the database ended before it knew that it could. */
  wasLeft(): Promise<boolean> {
    return access(this.#path).then(
      () => true,
      () => false,
    );
  }

  /** A disk that cannot take it is no reason not to open. */
  async set(): Promise<void> {
    this.#isSet = true;
    await writeFile(this.#path, String(process.pid)).catch(() => undefined);
  }

  /** The database is open and at work. */
  async clear(): Promise<void> {
    if (!this.#isSet) return;
    await rm(this.#path, { force: true });
    this.#isSet = false;
  }
}
