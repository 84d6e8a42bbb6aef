import { crc32 } from 'node:zlib';
import type { PreviousRun } from '../delivery/ports.ts';

/** The last seqs of a run that ended cleanly: u32 crc32 of the rest, the rest as JSON. */
export function encodeCleanEnd(epoch: number, lastSeqs: ReadonlyMap<string, number>): Buffer {
  const body = Buffer.from(JSON.stringify({ epoch, lastSeqs: [...lastSeqs] }), 'utf8');
  const checksum = Buffer.allocUnsafe(4);
  checksum.writeUInt32BE(crc32(body), 0);
  return Buffer.concat([checksum, body]);
}

/** What the run of that epoch left. Damaged, or of an older run, it counts as not clean. */
export function decodeCleanEnd(epoch: number, value: Buffer | undefined): PreviousRun {
  const unclean = { epoch, lastSeqs: undefined };
  if (value === undefined || value.length < 4) return unclean;
  if (value.readUInt32BE(0) !== crc32(value.subarray(4))) return unclean;
  const found: { epoch: number; lastSeqs: [string, number][] } = JSON.parse(
    value.toString('utf8', 4),
  );
  return found.epoch === epoch ? { epoch, lastSeqs: new Map(found.lastSeqs) } : unclean;
}
