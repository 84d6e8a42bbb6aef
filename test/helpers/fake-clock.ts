import { existsSync, readdirSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir } from './temp-dir.ts';

/** Debian puts the library into a folder named after the architecture. */
const LIBRARIES = '/usr/lib';
const LIBRARY = 'faketime/libfaketime.so.1';
const MS_PER_SECOND = 1000;

/** A wall clock of other processes that can be set while they run (libfaketime). Monotonic time is left alone. */
export class FakeClock {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** What a process needs in its environment to go by this clock. It pays some µs for each look at it. */
  get env(): NodeJS.ProcessEnv {
    return {
      LD_PRELOAD: library(),
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      FAKETIME_NO_CACHE: '1', // or a step would be noticed later by a second or more
    };
  }

  /** From now on the clock is so far ahead of the true one, behind it with a negative number. In whole seconds. */
  async set(aheadMs: number): Promise<void> {
    const seconds = Math.round(aheadMs / MS_PER_SECOND);
    // Replaced as a whole: a process that read half of it would see another time.
    await writeFile(`${this.#file}.new`, `${seconds < 0 ? '' : '+'}${seconds}\n`);
    await rename(`${this.#file}.new`, this.#file);
  }
}

/** Makes a clock that shows the true time at first; it is gone when the test has finished. */
export async function createFakeClock(): Promise<FakeClock> {
  const clock = new FakeClock(join(await tempDir('clock'), 'offset'));
  await clock.set(0);
  return clock;
}

function library(): string {
  const found = readdirSync(LIBRARIES)
    .map((folder) => join(LIBRARIES, folder, LIBRARY))
    .find((file) => existsSync(file));
  if (found === undefined) throw new Error('there is no libfaketime: bash scripts/setup.sh');
  return found;
}
