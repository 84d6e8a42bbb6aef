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
/**
 * Each open table is mapped into memory. LevelDB keeps 990 of them open by itself, which was 800 MB for a thousand lanes that
 * drain; 74 is the least that it takes.
 */
const MOST_OPEN_FILES = 74;

/** The database, closed. Left alone it would open itself at the next turn, before its files are looked at. */
export function createHandle(location: string): WritingHandle {
  const encodings = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const;
  const limits = { cacheSize: CACHE_BYTES, maxOpenFiles: MOST_OPEN_FILES };
  const db = new Level<Buffer, Buffer>(location, { ...encodings, ...limits });
  db.close().catch(() => undefined);
  return db;
}

/** Gives the space of what was deleted in that range back to the file system. */
export async function compact(db: WritingHandle, { gte, lt }: KeyRange): Promise<void> {
  // The declaration of `level` leaves out what browsers do not have.
  if (db instanceof ClassicLevel) await db.compactRange(gte, lt);
}
