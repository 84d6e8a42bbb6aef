const RUN_BYTES = 8;
const NO_RUN: Buffer = Buffer.alloc(RUN_BYTES);

/** Reads the random part of runs out of records. Neighbours nearly always share it: the last one is remembered. */
export class RunsRead {
  #run: string | undefined;
  #bytes: Buffer = NO_RUN;

  /** The run that stands in a record at that place, as 16 hex digits; undefined when there are zeros. */
  runIn(record: Buffer, at: number): string | undefined {
    if (this.#bytes.compare(record, at, at + RUN_BYTES) === 0) return this.#run;
    if (NO_RUN.compare(record, at, at + RUN_BYTES) === 0) return undefined;
    this.#run = record.toString('hex', at, at + RUN_BYTES);
    this.#bytes = Buffer.from(this.#run, 'hex');
    return this.#run;
  }
}
