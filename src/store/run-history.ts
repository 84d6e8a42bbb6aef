import type { PreviousRun, RunNote, Unverified } from '../delivery/ports.ts';
import { encodeRunEnds } from './clean-end.ts';
import { CLEAN_END_KEY } from './keys.ts';
import { addRunNote } from './run-notes.ts';
import type { RunStart } from './run-start.ts';
import { seal } from './sealed.ts';
import type { BatchWriter } from './writer/batch-writer.ts';
import type { Batch } from './writer/write-task.ts';

/** Note of a run in a batch, roughly. */
const NOTE_BYTES = 400;

/** This run of the store and those before it, as far as they are known. See `MessageStore` for what is promised of it. */
export class RunHistory {
  readonly #writer: Pick<BatchWriter, 'written'>;
  #notes = new Map<number, RunNote>();
  epoch = 0;
  run = '';
  previous: readonly PreviousRun[] = [];

  constructor(writer: Pick<BatchWriter, 'written'>) {
    this.#writer = writer;
  }

  /** Begins this run. */
  begin({ epoch, run, runs, previousRuns }: RunStart): void {
    this.epoch = epoch;
    this.run = run;
    this.#notes = runs;
    this.previous = previousRuns;
  }

  get unverified(): readonly Unverified[] {
    const isUntold = (note: RunNote): boolean => note.unverified !== undefined;
    return [...this.#notes.values()]
      .filter(isUntold)
      .map(({ epoch, run, unverified }) => ({ epoch, run, isAll: unverified === 'all' }));
  }

  get notes(): Map<number, RunNote> {
    return this.#notes;
  }

  note(change: Pick<RunNote, 'clock' | 'machine' | 'birth'>): Promise<void> {
    const note = { ...this.#notes.get(this.epoch), ...change, epoch: this.epoch };
    this.#notes.set(this.epoch, note); // with the head of the next opening, should the batch fail
    const addTo = (batch: Batch): void => addRunNote(batch, note);
    return this.#writer.written({ bytes: NOTE_BYTES, freesRoom: true, isOptional: true, addTo });
  }

  async told(): Promise<void> {
    const told = this.unverified.map(({ epoch }) => {
      const { unverified: _, ...note } = { epoch, ...this.#notes.get(epoch) };
      return note;
    });
    const addTo = (batch: Batch): void => {
      batch.del(CLEAN_END_KEY);
      for (const note of told) addRunNote(batch, note);
    };
    await this.#writer.written({ bytes: (told.length + 1) * NOTE_BYTES, addTo });
    for (const note of told) this.#notes.set(note.epoch, note);
    this.previous = [];
  }

  /** Writes that the run has ended, with the last seq of each lane. @throws when the disk fails: then it has no clean end. */
  async end(lastSeqs: ReadonlyMap<string, number>): Promise<void> {
    const { epoch, run, previous } = this;
    const value = seal(CLEAN_END_KEY, encodeRunEnds([...previous, { epoch, run, lastSeqs }]));
    const addTo = (batch: Batch): void => {
      batch.put(CLEAN_END_KEY, value);
    };
    await this.#writer.written({ bytes: value.length, freesRoom: true, isOptional: true, addTo });
  }
}
