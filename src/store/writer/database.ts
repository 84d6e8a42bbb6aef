import { ClassicLevel } from 'classic-level';
import type { WritingHandle } from './handle.ts';

/** From `gte` up to, but without, `lt`. */
export interface KeyRange {
  readonly gte: Buffer;
  readonly lt: Buffer;
}

/** What all parts of the store may do with the database: read it. Whoever wants to write asks the writer. */
export type DatabaseView = Pick<
  WritingHandle,
  'location' | 'status' | 'get' | 'getSync' | 'iterator' | 'keys' | 'values'
>;

/** What recovery may do beside that. Nothing is written between `close` and `open`. */
export interface Database extends DatabaseView {
  open(): Promise<void>;
  close(): Promise<void>;
}

/** Bytes of the files that hold that range, roughly. */
export async function approximateBytes(db: DatabaseView, range: KeyRange): Promise<number> {
  return db instanceof ClassicLevel ? db.approximateSize(range.gte, range.lt) : 0;
}
