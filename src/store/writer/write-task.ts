import type { WritingHandle } from './handle.ts';

/** A batch in the making. When and whether it is written is the writer's business. */
export type Batch = Pick<ReturnType<WritingHandle['batch']>, 'put' | 'del'>;

/** One unit of writing. It is added to a batch as often as it takes until a batch is on disk. */
export interface WriteTask {
  readonly bytes: number;
  /**
   * It lets others go, or tells of what goes: it may use the reserve, ahead of what only takes room. Otherwise
   * a disk without its reserve would keep for ever what could give its room back.
   */
  readonly freesRoom?: boolean;
  /** The checkpoint knows that it was written: it needs no serial. */
  readonly isWitnessed?: boolean;
  /** Given up when the disk fails, rather than tried again until it works: somebody waits for an answer, or tries later. */
  readonly isOptional?: boolean;
  /** Puts what it has into the batch. Called again after a failed write. */
  addTo(batch: Batch): void;
  /** The batch is on disk. */
  written(): void;
  /** All of the batch was `written`. In a turn of its own: what it throws has nothing to do with the disk. */
  told?(): void;
  /** The store was closed first, or for an optional task the disk failed: then it may be on disk all the same. */
  abandoned(error: unknown): void;
}
