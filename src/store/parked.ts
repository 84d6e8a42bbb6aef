import type { ParkedMessage, ParkNote } from '../delivery/ports.ts';
import type { LaneMessage } from '../shared/message.ts';
import { decodeRecord, encodeRecord } from './record.ts';

/** What is kept of a note while its message is back in the log: at its offset, until that is settled. */
export interface ReleasedNote extends ParkNote {
  readonly offset: number;
}

/** A parked message: u16 length of the note, the note as JSON, the record. */
export function encodeParked(key: Buffer, message: LaneMessage, note: ParkNote): Buffer {
  const noteBytes = Buffer.from(JSON.stringify(note), 'utf8');
  const length = Buffer.allocUnsafe(2);
  length.writeUInt16BE(noteBytes.length, 0);
  return Buffer.concat([length, noteBytes, encodeRecord(key, message)]);
}

/**
 * The inverse of {@link encodeParked}.
 * @throws {Error} when the note cannot be read, RECORD_DAMAGED when the message cannot be.
 */
export function decodeParked(key: Buffer, value: Buffer): ParkedMessage {
  const noteEnd = 2 + value.readUInt16BE(0);
  const note = toNote(JSON.parse(value.toString('utf8', 2, noteEnd)));
  return { note, message: decodeRecord(key, value.subarray(noteEnd)) };
}

/** The note of a parked value; undefined when it is damaged or there is none. */
export function noteOf(value: Buffer | undefined): ParkNote | undefined {
  if (value === undefined) return undefined;
  try {
    return toNote(JSON.parse(value.toString('utf8', 2, 2 + value.readUInt16BE(0))));
  } catch {
    return undefined;
  }
}

export function encodeReleased(note: ReleasedNote): Buffer {
  return Buffer.from(JSON.stringify(note), 'utf8');
}

/** The inverse of {@link encodeReleased}; undefined when it is damaged or there is none. */
export function decodeReleased(value: Buffer | undefined): ReleasedNote | undefined {
  if (value === undefined) return undefined;
  try {
    const fields = JSON.parse(value.toString('utf8'));
    return { ...toNote(fields), offset: Number(fields.offset) };
  } catch {
    return undefined;
  }
}

/** One note for a message that was parked before: the first attempt of both, the attempts of both. */
export function joinNotes(before: ParkNote | undefined, note: ParkNote): ParkNote {
  if (before === undefined) return note;
  return {
    ...note,
    firstAttemptMs: Math.min(before.firstAttemptMs, note.firstAttemptMs),
    attempts: before.attempts + note.attempts,
    ...(before.uncertain === true ? { uncertain: true } : {}),
  };
}

/** What earlier versions wrote has only `parkedAtMs`. */
type NoteFields = Partial<ParkNote> & Pick<ParkNote, 'reason' | 'detail'> & { parkedAtMs?: number };

function toNote(fields: NoteFields): ParkNote {
  const { reason, detail, parkedAtMs = 0 } = fields;
  const { firstAttemptMs = parkedAtMs, lastAttemptMs = parkedAtMs, attempts = 1 } = fields;
  const uncertain = fields.uncertain === true ? { uncertain: true as const } : {};
  return { reason, detail, firstAttemptMs, lastAttemptMs, attempts, ...uncertain };
}
