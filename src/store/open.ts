import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { errorText, GatewayError } from '../shared/errors.ts';
import type { Db } from './batch-writer.ts';
import type { Witness } from './checkpoint-file.ts';
import { type Contents, readContents } from './contents.ts';
import type { DiskRoom } from './disk.ts';
import type { StoreFinding } from './finding.ts';
import type { Safekeeping } from './safekeeping.ts';
import { agrees, isComplete } from './witness-check.ts';

export interface OpeningParts {
  readonly db: Db;
  readonly room: DiskRoom;
  /** Folder of the store. */
  readonly path: string;
  readonly safekeeping: Safekeeping;
  /** What the checkpoint says; undefined when there is none. */
  readonly witness: Witness | undefined;
  readonly onFinding: (finding: StoreFinding) => void;
}

const NOTHING: Witness = { epoch: 0, lanes: [] };

/**
 * Opens the database and mends it when it is damaged: what LevelDB's repair finds in the files as they were
 * before is kept, else a new one is begun. The files as they were stay in the quarantine then. A disk without
 * room for opening gets the ballast's.
 * @throws {GatewayError} STORE_LOCKED naming the holder, or STORE_UNUSABLE: no damage is a reason to fail.
 */
export async function openDatabase(parts: OpeningParts): Promise<Contents> {
  const { room, path, safekeeping } = parts;
  await room.prepare().catch((error: unknown) => {
    throw unusableError(path, error);
  });
  const isKept = await safekeeping.keep().then(
    () => true,
    () => false,
  );
  const isHeadless = await safekeeping.lacksCurrent();
  const fault = await openOnce(parts);
  const contents = fault === undefined && !isHeadless ? await whole(parts) : undefined;
  if (contents !== undefined) {
    await safekeeping.release();
    return contents;
  }
  return heal(parts, isKept, fault ?? new Error('it is not whole'));
}

/** Resolves with the damage that keeps it from opening, if any. */
async function openOnce({ db, room, path, safekeeping }: OpeningParts): Promise<unknown> {
  try {
    await db.open();
    return undefined;
  } catch (error) {
    if (isLocked(error)) {
      await safekeeping.forget();
      throw await holderError(path);
    }
    await room.releaseBallast().catch(() => undefined);
    return db.open().catch((again: unknown) => {
      if (!isDamage(again)) throw unusableError(path, again);
      return again;
    });
  }
}

/** What is in the database, unless something of it is missing. */
async function whole(parts: OpeningParts): Promise<Contents | undefined> {
  const { db, safekeeping, witness = NOTHING } = parts;
  try {
    const contents = await readContents(db);
    if (await safekeeping.hasBrokenTable()) return undefined;
    if (!(await agrees(db, contents, witness))) return undefined;
    if (!(await safekeeping.hasLostTables())) return contents;
    return (await isComplete(db, contents, witness)) ? contents : undefined;
  } catch {
    return undefined;
  }
}

async function heal(parts: OpeningParts, isKept: boolean, fault: unknown): Promise<Contents> {
  const detail = causeText(fault);
  const repaired = await repair(parts, isKept).catch(() => undefined);
  const contents = repaired ?? (await startEmpty(parts));
  const path = await parts.safekeeping.quarantine();
  const kind = repaired === undefined ? 'started-empty' : 'repaired';
  parts.onFinding({ kind, detail, path });
  return contents;
}

async function repair(parts: OpeningParts, isKept: boolean): Promise<Contents> {
  const { db, safekeeping } = parts;
  await db.close();
  if (isKept) await safekeeping.restore();
  await ClassicLevel.repair(db.location);
  await db.open();
  return readContents(db);
}

async function startEmpty({ db, path, safekeeping }: OpeningParts): Promise<Contents> {
  try {
    await db.close();
    await safekeeping.quarantine(); // first, for it keeps what is about to be removed
    await safekeeping.empty();
    await db.open();
    return await readContents(db);
  } catch (error) {
    throw unusableError(path, error);
  }
}

/** The fault of a store that cannot be read or written, with what to do. */
export function unusableError(path: string, error: unknown): GatewayError {
  return new GatewayError(
    'STORE_UNUSABLE',
    `The store in ${path} cannot be used (${causeText(error)}): check that the folder exists, belongs to this user and has free space, or set store.path to another one.`,
    error,
  );
}

/** True when LevelDB found its own files wrong. */
export function isCorruption(error: unknown): boolean {
  return codes(error).includes('LEVEL_CORRUPTION');
}

/** Damage, and neither a full disk nor missing rights: mending would make those worse. */
function isDamage(error: unknown): boolean {
  return !/no space|quota|permission|not a directory|read-only|too many open/i.test(
    `${errorText(error)} ${causeText(error)}`,
  );
}

function isLocked(error: unknown): boolean {
  return codes(error).includes('LEVEL_LOCKED');
}

function codes(error: unknown): unknown[] {
  const found = [error, error instanceof Error ? error.cause : undefined];
  return found.map((one) => (one instanceof Error && 'code' in one ? one.code : undefined));
}

function causeText(error: unknown): string {
  return errorText(error instanceof Error ? (error.cause ?? error) : error);
}

async function holderError(path: string): Promise<GatewayError> {
  const pid = await readFile(join(path, 'owner'), 'utf8').catch(() => 'unknown');
  return new GatewayError(
    'STORE_LOCKED',
    `The store in ${path} is in use by another process (pid ${pid}): stop that one, or give this gateway a store.path of its own.`,
  );
}
