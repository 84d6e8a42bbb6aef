import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorText, GatewayError } from '../shared/errors.ts';
import type { Db } from './batch-writer.ts';
import type { DiskRoom } from './disk.ts';

/**
 * Opens the database. A disk without room for opening gets the ballast's.
 * @throws {GatewayError} STORE_LOCKED naming the holder, or STORE_UNUSABLE.
 */
export async function openDatabase(db: Db, room: DiskRoom, path: string): Promise<void> {
  try {
    await room.prepare();
    await db.open();
    await syncFolder(db.location);
  } catch (error) {
    if (isLocked(error)) throw await holderError(path);
    await room.releaseBallast().catch(() => undefined);
    await db.open().catch(() => {
      throw unusableError(path, error);
    });
  }
}

/** A new LevelDB renames CURRENT last and syncs no folder then: a power cut would leave one that does not open. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  await folder.sync().finally(() => folder.close());
}

/** The fault of a store that cannot be read or written, with what to do. */
export function unusableError(path: string, error: unknown): GatewayError {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return new GatewayError(
    'STORE_UNUSABLE',
    `The store in ${path} cannot be used (${errorText(cause)}): check that the folder exists, belongs to this user and has free space, or set store.path to another one.`,
    error,
  );
}

function isLocked(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && 'code' in cause && cause.code === 'LEVEL_LOCKED';
}

async function holderError(path: string): Promise<GatewayError> {
  const pid = await readFile(join(path, 'owner'), 'utf8').catch(() => 'unknown');
  return new GatewayError(
    'STORE_LOCKED',
    `The store in ${path} is in use by another process (pid ${pid}): stop that one, or give this gateway a store.path of its own.`,
  );
}
