import { setTimeout as delay } from 'node:timers/promises';
import type { Witness } from './checkpoint-file.ts';
import { type Contents, readContents } from './contents.ts';
import { removeDeadlyTables } from './deadly-tables.ts';
import type { DiskRoom } from './disk.ts';
import type { StoreFinding } from './finding.ts';
import { syncDatabase } from './lasting.ts';
import {
  causeText,
  holderError,
  isDamage,
  isLocked,
  isReadError,
  unusableError,
} from './open-faults.ts';
import type { OpeningMarker } from './opening-marker.ts';
import type { Safekeeping } from './safekeeping.ts';
import { tryElsewhere } from './trial.ts';
import { agrees, isComplete } from './witness-check.ts';
import type { Database } from './writer/database.ts';

export interface OpeningParts {
  readonly db: Database;
  readonly room: DiskRoom;
  /** Folder of the store. */
  readonly path: string;
  readonly safekeeping: Safekeeping;
  readonly marker: OpeningMarker;
  /** What must be in it: what the checkpoint says, or the memory. Undefined when nothing is known. */
  readonly witness: Witness | undefined;
  /** The start of the process. Later a failure is left to the caller, and nothing is begun anew. */
  readonly isStart: boolean;
  /** It is known that records are missing in the middle: no reason to doubt. */
  readonly isIncomplete: boolean;
  /** Damage that was found in use, and is to be mended now. */
  readonly damage: unknown;
  readonly onFinding: (finding: StoreFinding) => void;
}

export interface Opened {
  readonly contents: Contents;
  /** False when it could not be brought to hold what it should. */
  readonly isWhole: boolean;
  /** It had to be repaired or begun anew. */
  readonly isMended: boolean;
}

const NOTHING: Witness = { epoch: 0, serial: 0, lanes: [] };
/** What is the same so often, while nothing says that the disk cannot be read, is damage. */
const TRIES = 3;
/** Doubled each time, up to the longest. */
const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 500;
/** A disk that cannot be read for so long will not be read later: what is readable is saved then. */
const PATIENCE_MS = 30_000;
const REPAIRS = 2;

/**
 * Opens the database and mends it when it is damaged: what LevelDB's repair finds in the files as they were
 * before is kept, else a new one is begun. The files as they were stay in the quarantine then. A disk without
 * room for opening gets the ballast's. LevelDB passes over a log that it cannot read, without a word, and deletes
 * it: so what it has must be what the witness says, or it is opened again from the files as they were.
 * @throws {GatewayError} STORE_LOCKED naming the holder, or STORE_UNUSABLE: at a start no damage is a reason to
 * fail; later also what keeps it from being read or mended, to be tried again.
 */
export async function openDatabase(parts: OpeningParts): Promise<Opened> {
  const { room, path, safekeeping, marker, isStart, db } = parts;
  await room.prepare().catch((error: unknown) => {
    throw unusableError(path, error);
  });
  const isKept = await keep(parts);
  const failedStarts = isStart ? await marker.failedStarts() : 0;
  if (isStart) await marker.set(failedStarts);
  // Reading all takes a while with a large store: only when one careful start was not enough.
  const trial = failedStarts > 1 ? 'read' : 'open';
  const death = failedStarts > 0 ? await tryElsewhere(trial, db.location) : undefined;
  const known = parts.damage ?? death;
  const found = known === undefined ? await openWhole(parts, isKept) : { fault: known };
  const opened =
    'epoch' in found
      ? { contents: found, isWhole: true, isMended: false }
      : await heal(parts, { isKept, fault: found.fault });
  await syncDatabase(db.location).catch((error: unknown) => {
    throw unusableError(path, error);
  });
  if ('epoch' in found) await safekeeping.release();
  return opened;
}

/** True when the files are kept. In use it is never opened without that. */
async function keep({ safekeeping, room, path, isStart }: OpeningParts): Promise<boolean> {
  try {
    await safekeeping.keep();
    return true;
  } catch {
    await room.releaseBallast().catch(() => undefined);
    return safekeeping.keep().then(
      () => true,
      (error: unknown) => {
        if (!isStart) throw unusableError(path, error);
        return false;
      },
    );
  }
}

interface Fault {
  readonly fault: unknown;
}

/** Opens it, from the files as they were if need be, until it is whole or there is no hope that it will be. */
async function openWhole(parts: OpeningParts, isKept: boolean): Promise<Contents | Fault> {
  const { db, safekeeping } = parts;
  const until = performance.now() + PATIENCE_MS;
  let pauseMs = FIRST_PAUSE_MS;
  for (let tries = 0; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    if (isKept && (await safekeeping.lacksCurrent())) await safekeeping.restore();
    if (await safekeeping.lacksCurrent()) return { fault: new Error('CURRENT is missing') };
    const fault = await openOnce(parts);
    const found = fault === undefined ? await whole(parts) : { fault };
    if (!('fault' in found)) return found;
    if (!isReadError(found.fault) && (await safekeeping.isReadable())) tries += 1;
    if (!isKept || tries === TRIES || performance.now() > until) return found;
    await delay(pauseMs);
    await db.close();
    await safekeeping.restore();
  }
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
async function whole(parts: OpeningParts): Promise<Contents | Fault> {
  const { db, safekeeping, witness = NOTHING, isIncomplete } = parts;
  try {
    const contents = await readContents(db);
    if (await safekeeping.hasBrokenTable()) return { fault: new Error('a table is cut off') };
    if (!(await agrees(db, contents, witness))) return { fault: new Error('its end is missing') };
    if (isIncomplete || !(await safekeeping.isDoubtful())) return contents;
    if (await isComplete(db, contents, witness)) return contents;
    return { fault: new Error('records are missing in the middle') };
  } catch (fault) {
    return { fault };
  }
}

interface Damage {
  readonly isKept: boolean;
  readonly fault: unknown;
}

async function heal(parts: OpeningParts, damage: Damage): Promise<Opened> {
  const { safekeeping, isStart, path } = parts;
  let isRepaired = true;
  const opened = await repair(parts, damage).catch(async (error: unknown) => {
    // A disk that cannot be read now may be able to later: what it holds is not given up.
    const isHopeless = isStart && isDamage(error) && (await safekeeping.isReadable());
    if (!isHopeless) throw unusableError(path, error);
    isRepaired = false;
    return { contents: await startEmpty(parts), isWhole: false, isMended: true };
  });
  const kind = isRepaired ? 'repaired' : 'started-empty';
  const detail = causeText(damage.fault);
  parts.onFinding({ kind, detail, path: await safekeeping.quarantine() });
  return opened;
}

/** Repair passes over what it cannot read, as opening does: what is not whole is repaired once more. */
async function repair(parts: OpeningParts, { isKept }: Damage): Promise<Opened> {
  const { db, safekeeping, witness = NOTHING } = parts;
  for (let nth = 1; ; nth += 1) {
    await db.close();
    if (isKept) await safekeeping.restore();
    await repairElsewhere(db.location).catch(async (death: unknown) => {
      if (!isKept) throw death;
      await safekeeping.restore();
      if ((await removeDeadlyTables(db.location)) === 0) throw death;
      await repairElsewhere(db.location); // what the other tables hold is saved
    });
    await db.open();
    const contents = await readContents(db);
    const isWhole = await agrees(db, contents, witness);
    if (isWhole || !isKept || nth === REPAIRS) {
      return { contents, isWhole, isMended: true };
    }
  }
}

/** Damaged tables can end the process that repairs them, and that which compacts or reads them when they are open. */
async function repairElsewhere(location: string): Promise<void> {
  const death = (await tryElsewhere('repair', location)) ?? (await tryElsewhere('read', location));
  if (death !== undefined) throw death;
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
