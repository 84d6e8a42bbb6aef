import { copyFile, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { tryElsewhere } from './trial.ts';

const TABLE = /\.(ldb|sst)$/;

/**
 * Takes the tables out of a closed database that end a process which repairs or reads them: LevelDB does not
 * check what it reads of a damaged block, but asserts it. Each is tried alone. Resolves with how many there were.
 */
export async function removeDeadlyTables(location: string): Promise<number> {
  const trial = `${location}.trial`;
  let removed = 0;
  try {
    for (const name of await readdir(location)) {
      if (!TABLE.test(name)) continue;
      await rm(trial, { recursive: true, force: true });
      await mkdir(trial);
      await copyFile(join(location, name), join(trial, name));
      const death = (await tryElsewhere('repair', trial)) ?? (await tryElsewhere('read', trial));
      if (death === undefined) continue;
      await rm(join(location, name));
      removed += 1;
    }
  } finally {
    await rm(trial, { recursive: true, force: true });
  }
  return removed;
}
