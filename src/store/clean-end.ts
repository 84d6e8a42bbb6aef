import type { PreviousRun } from '../delivery/ports.ts';

/** A run as it lies in the store: the last seqs only of one that ended cleanly. */
interface RunFields {
  readonly epoch: number;
  readonly run?: string;
  readonly lastSeqs?: readonly (readonly [string, number])[];
}

/** How runs ended that nobody was told of yet, oldest first, as JSON. */
export function encodeRunEnds(runs: readonly PreviousRun[]): Buffer {
  const fields: RunFields[] = runs.map(({ epoch, run, lastSeqs }) => ({
    epoch,
    ...(run === undefined ? {} : { run }),
    ...(lastSeqs === undefined ? {} : { lastSeqs: [...lastSeqs] }),
  }));
  return Buffer.from(JSON.stringify(fields), 'utf8');
}

/**
 * The runs that have to be told of after the one of `lastEpoch`, oldest first. That one is always among them:
 * without an end in the store it did not end cleanly. `lastRun` is its random part, if that is known.
 */
export function untoldRuns(
  lastEpoch: number,
  value: Buffer | undefined,
  lastRun: string | undefined,
): readonly PreviousRun[] {
  const runs = value === undefined ? [] : decode(value).filter(({ epoch }) => epoch <= lastEpoch);
  const isEnded = runs.some(({ epoch }) => epoch === lastEpoch);
  if (isEnded) return runs;
  const run = lastRun === undefined ? {} : { run: lastRun };
  return [...runs, { epoch: lastEpoch, ...run, lastSeqs: undefined }];
}

function decode(value: Buffer): PreviousRun[] {
  const found: RunFields | readonly RunFields[] = JSON.parse(value.toString('utf8'));
  // Earlier versions wrote one run, that which ended last.
  const runs = 'epoch' in found ? [found] : found;
  return runs.map(({ epoch, run, lastSeqs }) => ({
    epoch,
    ...(run === undefined ? {} : { run }),
    lastSeqs: lastSeqs === undefined ? undefined : new Map(lastSeqs),
  }));
}
