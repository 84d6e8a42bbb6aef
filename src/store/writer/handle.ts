import { ClassicLevel } from 'classic-level';
import { Level } from 'level';
import type { KeyRange } from './database.ts';

/**
 * The handle that writes. Only the writer has one: what is written beside it and fails makes LevelDB lose what is
 * written behind it, and report that as written.
 */
export type WritingHandle = Level<Buffer, Buffer>;

/** Each record is read once and in order: a cache has nothing to give, and memory is scarce on a Pi. */
const CACHE_BYTES = 512 * 1024;

/** The database, closed. Left alone it would open itself at the next turn, before its files are looked at. */
export function createHandle(location: string): WritingHandle {
  const encodings = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const;
  const db = new Level<Buffer, Buffer>(location, { ...encodings, cacheSize: CACHE_BYTES });
  db.close().catch(() => undefined);
  return db;
}

/** Gives the space of what was deleted in that range back to the file system. */
export async function compact(db: WritingHandle, { gte, lt }: KeyRange): Promise<void> {
  // The declaration of `level` leaves out what browsers do not have.
  if (db instanceof ClassicLevel) await db.compactRange(gte, lt);
}
