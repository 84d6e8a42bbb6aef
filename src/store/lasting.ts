import { open, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** What LevelDB does not make lasting itself: the first MANIFEST of a new database, and the name CURRENT. */
const HEAD_FILE = /^(?:MANIFEST-\d+|CURRENT)$/;
/** Not every file system can sync a folder. */
const NOT_SUPPORTED: readonly unknown[] = ['EINVAL', 'ENOTSUP', 'EISDIR', 'EPERM'];

/**
 * Makes the head of an open database last over a power cut, with its folder and the one above: LevelDB syncs no
 * folder after it has renamed CURRENT.
 * @throws {Error} what fsync(2) says.
 */
export async function syncDatabase(location: string): Promise<void> {
  for (const name of await readdir(location))
    if (HEAD_FILE.test(name)) await syncFile(join(location, name));
  await syncFolder(location);
  await syncFolder(dirname(location));
}

/** Makes the names in a folder last. @throws {Error} what fsync(2) says. */
export async function syncFolder(path: string): Promise<void> {
  await syncFile(path).catch((error: unknown) => {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (!NOT_SUPPORTED.includes(code)) throw error;
  });
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
