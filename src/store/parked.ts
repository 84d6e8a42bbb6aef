import type { ParkReason } from '../delivery/ports.ts';
import type { LaneMessage } from '../shared/message.ts';
import { decodeRecord, encodeRecord } from './record.ts';

/** Why and since when a message is parked. */
export interface ParkedNote {
  readonly reason: ParkReason;
  readonly detail: string;
  readonly parkedAtMs: number;
}

/** A parked message: u16 length of the note, the note as JSON, the record. */
export function encodeParked(key: Buffer, message: LaneMessage, note: ParkedNote): Buffer {
  const noteBytes = Buffer.from(JSON.stringify(note), 'utf8');
  const length = Buffer.allocUnsafe(2);
  length.writeUInt16BE(noteBytes.length, 0);
  return Buffer.concat([length, noteBytes, encodeRecord(key, message)]);
}

/**
 * The inverse of {@link encodeParked}.
 * @throws {GatewayError} RECORD_DAMAGED when the message cannot be read.
 */
export function decodeParked(
  key: Buffer,
  value: Buffer,
): { note: ParkedNote; message: LaneMessage } {
  const noteEnd = 2 + value.readUInt16BE(0);
  const note: ParkedNote = JSON.parse(value.toString('utf8', 2, noteEnd));
  return { note, message: decodeRecord(key, value.subarray(noteEnd)) };
}
