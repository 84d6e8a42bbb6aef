import type { PreviousRun } from '../delivery/ports.ts';

/** The last seqs of a run that ended cleanly, as JSON. */
export function encodeCleanEnd(epoch: number, lastSeqs: ReadonlyMap<string, number>): Buffer {
  return Buffer.from(JSON.stringify({ epoch, lastSeqs: [...lastSeqs] }), 'utf8');
}

/** What the run of that epoch left. Lost, or of an older run, it counts as not clean. */
export function decodeCleanEnd(epoch: number, value: Buffer | undefined): PreviousRun {
  if (value === undefined) return { epoch, lastSeqs: undefined };
  const found: { epoch: number; lastSeqs: [string, number][] } = JSON.parse(value.toString('utf8'));
  return { epoch, lastSeqs: found.epoch === epoch ? new Map(found.lastSeqs) : undefined };
}
