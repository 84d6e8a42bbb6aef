/** Something about the store that people must know. Records of a log are told to their lane instead. */
export interface StoreFinding {
  readonly kind: /** Parked messages are gone or cannot be read. */ 'parked-lost';
  readonly detail: string;
  readonly lane?: string;
  readonly count?: number;
  /** Identity of the one message that is meant. */
  readonly epoch?: number;
  readonly seq?: number;
  /** Where the files are that it is about. */
  readonly path?: string;
}
