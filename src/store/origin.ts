import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { MessageStore, RunNote } from '../delivery/ports.ts';
import { isAnotherMachine, readMachine } from './machine.ts';

/** Where the store was when it was last used. */
export type StoreOrigin =
  /** Here. */
  | 'same'
  /** On another machine: it was moved, or is a clone. */
  | 'moved'
  /** On this machine, but these files are a copy, such as a backup that was put back. */
  | 'copied'
  /** It is new, or was last used by 0.1.0, or nothing tells. */
  | 'unknown';

/**
 * Compares where the store is with what the last run noted, and notes it for the next. Never fails, and waits for no
 * disk: a note that cannot be written is missed once.
 *
 * @param store - just opened
 * @param folder - of the store
 */
export async function traceOrigin(
  store: Pick<MessageStore, 'epoch' | 'runs' | 'noteRun'>,
  folder: string,
  machineNow: () => Promise<string | undefined> = readMachine,
): Promise<StoreOrigin> {
  const machine = await machineNow();
  const birth = await birthOf(join(folder, 'checkpoint'));
  const before = lastNote(store);
  const note = {
    ...(machine === undefined ? {} : { machine }),
    ...(birth === undefined ? {} : { birth: String(birth.atNs) }),
  };
  store.noteRun(note).catch(() => undefined);
  if (before?.machine !== undefined && machine !== undefined) {
    if (isAnotherMachine(before.machine, machine)) return 'moved';
  }
  if (before?.birth === undefined || birth === undefined) return 'unknown';
  if (before.birth === note.birth) return 'same';
  return birth.isOurs ? 'unknown' : 'copied'; // the old one was missing, which is told elsewhere
}

function lastNote({ epoch, runs }: Pick<MessageStore, 'epoch' | 'runs'>): RunNote | undefined {
  const isTelling = (note: RunNote): boolean =>
    note.epoch < epoch && (note.machine !== undefined || note.birth !== undefined);
  return [...runs.values()].findLast(isTelling);
}

/**
 * When a file was made, and whether by this process. The checkpoint is written in place for as long as there is a
 * store, and no copy has the time of its original.
 */
async function birthOf(path: string): Promise<{ atNs: bigint; isOurs: boolean } | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  if (found === undefined) return undefined;
  // Where the file system knows no such time it is 1970, or that of the last change, which was in this run.
  if (found.birthtimeNs <= 0n) return undefined;
  const isOurs = found.birthtimeMs >= BigInt(Math.floor(performance.timeOrigin));
  return { atNs: found.birthtimeNs, isOurs };
}
