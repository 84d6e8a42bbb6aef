const RUN_BYTES = 8;
const NO_RUN: Buffer = Buffer.alloc(RUN_BYTES);

/** The random part of a run as it stands in records. Neighbours nearly always share it: the last one is remembered. */
export class RunBytes {
  #run: string | undefined;
  #bytes: Buffer = NO_RUN;

  /** Eight bytes; zeros for a message of a version that gave none. */
  bytesOf(run: string | undefined): Buffer {
    if (run === undefined) return NO_RUN;
    if (run !== this.#run) this.#remember(run);
    return this.#bytes;
  }

  /** The run that stands in a record at that place, as 16 hex digits. */
  runIn(record: Buffer, at: number): string | undefined {
    const isKnown = this.#bytes.compare(record, at, at + RUN_BYTES) === 0;
    if (isKnown) return this.#run;
    if (NO_RUN.compare(record, at, at + RUN_BYTES) === 0) return undefined;
    this.#remember(record.toString('hex', at, at + RUN_BYTES));
    return this.#run;
  }

  #remember(run: string): void {
    this.#run = run;
    this.#bytes = Buffer.from(run, 'hex');
  }
}
