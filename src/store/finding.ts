/** Something about the store that people must know. Records of a log are told to their lane instead. */
export interface StoreFinding {
  readonly kind: FindingKind;
  readonly detail: string;
  readonly lane?: string;
  readonly count?: number;
  /** Identity of the one message that is meant. */
  readonly epoch?: number;
  readonly seq?: number;
  /** Where the files are that it is about. */
  readonly path?: string;
}

export type FindingKind =
  /** Parked messages are gone or cannot be read. */
  | 'parked-lost'
  /** The database was damaged and was mended; the files as they were are in `path`. */
  | 'repaired'
  /** The database could not be mended: a new one was begun; the old files are in `path`. */
  | 'started-empty'
  /** Records are lost; the tables they may still be in are in `path`. */
  | 'quarantined'
  /** There is no checkpoint: what may be missing at the end of the logs cannot be known. */
  | 'tail-unverified'
  /** The checkpoint cannot be written. */
  | 'checkpoint-failed';
