import { Level } from 'level';
import type { Db } from './batch-writer.ts';

/** Each record is read once and in order: a cache has nothing to give, and memory is scarce on a Pi. */
const CACHE_BYTES = 512 * 1024;

/** The database, closed. Left alone it would open itself at the next turn, before its files are looked at. */
export function createDatabase(location: string): Db {
  const encodings = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const;
  const db = new Level<Buffer, Buffer>(location, { ...encodings, cacheSize: CACHE_BYTES });
  db.close().catch(() => undefined);
  return db;
}
