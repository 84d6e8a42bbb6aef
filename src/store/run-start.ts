import { randomBytes } from 'node:crypto';
import type { PreviousRun, RunNote } from '../delivery/ports.ts';
import { GatewayError } from '../shared/errors.ts';
import type { Witness } from './checkpoint-file.ts';
import { encodeRunEnds, untoldRuns } from './clean-end.ts';
import { type Contents, readSealed } from './contents.ts';
import {
  CLEAN_END_KEY,
  EPOCH_KEY,
  encodeU48,
  FORMAT_KEY,
  laneNameKey,
  SERIAL_KEY,
} from './keys.ts';
import { addRunNote, forgetOldRuns, readRunNotes } from './run-notes.ts';
import { seal } from './sealed.ts';
import type { DatabaseView } from './writer/database.ts';
import type { Batch } from './writer/write-task.ts';

/** 1: records of 0.1.0, without the run. They are read as they are; 0.1.0 would take ours for damaged. */
const OLD_FORMAT_VERSION = 1;
const FORMAT_VERSION = 2;
/** 64 random bits: no two runs of a gateway share them, whatever copy of a store they began with. */
const RUN_BYTES = 8;
const FORMAT: Buffer = seal(FORMAT_KEY, Buffer.from([FORMAT_VERSION]));

export interface RunStart {
  readonly epoch: number;
  readonly run: string;
  /** Those that can be read, and this one. */
  readonly runs: Map<number, RunNote>;
  readonly serial: number;
  /** The runs before that were not told of yet, oldest first. */
  readonly previousRuns: readonly PreviousRun[];
  readonly laneNumbers: Map<string, number>;
  readonly maxLaneNumber: number;
}

/** What the opening of the store has found. */
export interface RunFindings {
  readonly witness: Witness | undefined;
  readonly unverified: RunNote['unverified'] | undefined;
}

/** @throws {GatewayError} STORE_FORMAT_UNKNOWN. A damaged format is no format. */
export async function checkFormat(db: DatabaseView, path: string): Promise<void> {
  const format = (await readSealed(db, FORMAT_KEY))?.[0] ?? FORMAT_VERSION;
  if (format === FORMAT_VERSION || format === OLD_FORMAT_VERSION) return;
  throw new GatewayError(
    'STORE_FORMAT_UNKNOWN',
    `The store in ${path} has format ${format}, this version knows ${FORMAT_VERSION}: run the version that wrote it until it is drained, or set store.path to another folder.`,
  );
}

/** An epoch above any that this store remembers, with a new run, and what only the checkpoint knew. */
export async function planRun(
  db: DatabaseView,
  contents: Contents,
  { witness, unverified }: RunFindings,
): Promise<RunStart> {
  const runs = await readRunNotes(db);
  const lastEpoch = Math.max(contents.epoch, witness?.epoch ?? 0, ...runs.keys());
  const epoch = lastEpoch + 1;
  const serial = Math.max(contents.serial, witness?.serial ?? 0) + 1;
  const laneNumbers = new Map(contents.laneNumbers);
  for (const { name, number } of witness?.lanes ?? []) laneNumbers.set(name, number);
  const ends = await readSealed(db, CLEAN_END_KEY);
  const previousRuns = lastEpoch === 0 ? [] : untoldRuns(lastEpoch, ends, runs.get(lastEpoch)?.run);
  const run = randomBytes(RUN_BYTES).toString('hex');
  runs.set(epoch, { epoch, run, ...(unverified === undefined ? {} : { unverified }) });
  return {
    epoch,
    run,
    runs,
    serial,
    previousRuns,
    laneNumbers,
    maxLaneNumber: Math.max(contents.maxLaneNumber, 0, ...laneNumbers.values()),
  };
}

/** What the database says of the run that uses it. */
export interface Head {
  readonly epoch: number;
  /** Number of the last batch that has one. Whoever finds less in the database has lost a log. */
  readonly serial: number;
  readonly previousRuns: readonly PreviousRun[];
  readonly laneNumbers: ReadonlyMap<string, number>;
  readonly runs: Map<number, RunNote>;
}

/** Puts in what the database says of the run that uses it. */
export function addHead(batch: Batch, head: Head): void {
  const { epoch, serial, previousRuns, laneNumbers, runs } = head;
  batch.put(FORMAT_KEY, FORMAT);
  batch.put(CLEAN_END_KEY, seal(CLEAN_END_KEY, encodeRunEnds(previousRuns)));
  for (const [name, number] of laneNumbers)
    batch.put(laneNameKey(name), encodeLaneNumber(name, number));
  const note = runs.get(epoch);
  if (note !== undefined) addRunNote(batch, note);
  forgetOldRuns(batch, runs);
  const value = Buffer.allocUnsafe(4);
  value.writeUInt32BE(epoch, 0);
  addSerial(batch, serial);
  batch.put(EPOCH_KEY, seal(EPOCH_KEY, value));
}

/**
 * For a batch that the checkpoint knows nothing else of. Records do without: their keys only grow, so that LevelDB never
 * merges the tables of a backlog, and one more key in each batch, ahead of them all, made it merge all of them.
 */
export function addSerial(batch: Batch, serial: number): void {
  batch.put(SERIAL_KEY, seal(SERIAL_KEY, encodeU48(serial)));
}

export function encodeLaneNumber(name: string, number: number): Buffer {
  const value = Buffer.allocUnsafe(2);
  value.writeUInt16BE(number, 0);
  return seal(laneNameKey(name), value);
}
