import type { RunNote } from '../delivery/ports.ts';
import { RUN_RANGE, runKey } from './keys.ts';
import { seal, unseal } from './sealed.ts';
import type { DatabaseView } from './writer/database.ts';
import type { Batch } from './writer/write-task.ts';

/** Notes of so many runs are kept: more than a backlog will ever span, and few enough to be read at each start. */
const MOST_NOTES = 1_000;

/** The notes of all runs that can be read, by epoch, oldest first. @throws when the database cannot be read. */
export async function readRunNotes(db: DatabaseView): Promise<Map<number, RunNote>> {
  const notes = new Map<number, RunNote>();
  for await (const [key, value] of db.iterator(RUN_RANGE)) {
    const note = unseal(key, value);
    if (note === undefined) continue; // damaged: what it said is not known any more
    const fields = JSON.parse(note.toString('utf8')) as RunNote;
    notes.set(fields.epoch, fields);
  }
  return notes;
}

/** Puts the note of a run into a batch. */
export function addRunNote(batch: Batch, note: RunNote): void {
  const key = runKey(note.epoch);
  batch.put(key, seal(key, Buffer.from(JSON.stringify(note), 'utf8')));
}

/** Takes the notes of the oldest runs out, so that not more than 1,000 stay. */
export function forgetOldRuns(batch: Batch, notes: Map<number, RunNote>): void {
  const tooMany = [...notes.keys()].slice(0, Math.max(0, notes.size - MOST_NOTES));
  for (const epoch of tooMany) {
    batch.del(runKey(epoch));
    notes.delete(epoch);
  }
}
