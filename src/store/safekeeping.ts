import { copyFile, link, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder } from './lasting.ts';

/** Files of LevelDB that hold data; LOCK and LOG do not. */
const DATA_FILE = /^(?:\d+\.(?:ldb|sst|log)|MANIFEST-\d+|CURRENT)$/;
const KEPT_BY = /^before-open\.(\d+)$/;
const LOG = /\.log$/;
const TABLE = /\.(?:ldb|sst)$/;
/** The last 8 bytes of each table (LevelDB, doc/table_format.md). */
const TABLE_MAGIC: Buffer = Buffer.from('57fb808b247547db', 'hex');

/**
 * Keeps the files as they were before LevelDB touched them. It never changes a table in place, but turns logs
 * into tables and deletes what it does not know, so links are enough. What was damaged stays in
 * `quarantine/<time>/`, and only people delete it.
 */
export class Safekeeping {
  readonly #folder: string;
  readonly #database: string;
  readonly #beforeOpen: string;
  readonly #lastOpen: string;
  #quarantine: string | undefined;
  #later = 0;

  constructor(folder: string, database: string) {
    this.#folder = folder;
    this.#database = database;
    // With the pid, as another process may find out at the same time that the store is locked.
    this.#beforeOpen = join(folder, `before-open.${process.pid}`);
    this.#lastOpen = join(folder, 'last-open');
  }

  /** This run's quarantine, if anything was put there. */
  get quarantined(): string | undefined {
    return this.#quarantine;
  }

  /** Links all there is, before the database is opened. */
  async keep(): Promise<void> {
    await mkdir(this.#beforeOpen, { recursive: true });
    await this.#inherit();
    for (const name of await dataFiles(this.#database))
      await linkOrCopy(join(this.#database, name), join(this.#beforeOpen, name));
  }

  /** Takes over what a process kept that ended before it knew whether all was well. */
  async #inherit(): Promise<void> {
    for (const name of await readdir(this.#folder)) {
      const pid = Number(KEPT_BY.exec(name)?.[1] ?? process.pid);
      if (pid === process.pid || isAlive(pid)) continue;
      for (const file of await dataFiles(join(this.#folder, name)))
        await linkOrCopy(join(this.#folder, name, file), join(this.#beforeOpen, file));
      await rm(join(this.#folder, name), { recursive: true, force: true });
    }
  }

  /** Another process has the store. */
  async forget(): Promise<void> {
    await rm(this.#beforeOpen, { recursive: true, force: true });
  }

  /** True when LevelDB would take it for a new database, and delete what there is. */
  async lacksCurrent(): Promise<boolean> {
    const names = await dataFiles(this.#database);
    if (names.includes('CURRENT')) return false;
    return names.length > 0 || (await dataFiles(this.#beforeOpen)).length > 0;
  }

  /**
   * True when a table is cut or empty that was there before and is there still. To be asked of an open database:
   * the unfinished tables that an ending process leaves are gone then, and its own new ones do not count.
   */
  async hasBrokenTable(): Promise<boolean> {
    const now = new Set(await dataFiles(this.#database));
    for (const name of await dataFiles(this.#beforeOpen)) {
      const isLive = TABLE.test(name) && now.has(name);
      if (isLive && !(await hasMagic(join(this.#beforeOpen, name)))) return true;
    }
    return false;
  }

  /**
   * True when records may be missing in the middle: opening deleted a table (by right after a crash, by mistake
   * after damage), or had several logs to read, of which it may have passed over one.
   */
  async isDoubtful(): Promise<boolean> {
    const now = new Set(await dataFiles(this.#database));
    const before = await dataFiles(this.#beforeOpen);
    if (before.filter((name) => LOG.test(name)).length > 1) return true;
    return before.some((name) => TABLE.test(name) && !now.has(name));
  }

  /** True when the disk gives out all that opening has to read. Tables, which it only opens, are read at their ends. */
  async isReadable(): Promise<boolean> {
    for (const name of await dataFiles(this.#beforeOpen)) {
      const path = join(this.#beforeOpen, name);
      const isRead = TABLE.test(name) ? await lastBytes(path) : await bytesOf(path);
      if (isRead === undefined) return false;
    }
    return true;
  }

  /** Puts the files back as they were. The database must be closed. */
  async restore(): Promise<void> {
    const names = await dataFiles(this.#beforeOpen);
    await syncFolder(this.#beforeOpen); // from here on it may be all there is
    await syncFolder(this.#folder);
    await this.empty();
    // CURRENT comes last: without it the files count as not put back, should the process end here.
    const inOrder = [...names.filter((name) => name !== 'CURRENT'), 'CURRENT'];
    for (const name of inOrder.filter((one) => names.includes(one)))
      await linkOrCopy(join(this.#beforeOpen, name), join(this.#database, name));
    // LevelDB writes on in neither of these when it opens, but repair rewrites CURRENT.
  }

  /** Removes the database. */
  async empty(): Promise<void> {
    await rm(this.#database, { recursive: true, force: true });
    await mkdir(this.#database, { recursive: true });
  }

  /**
   * All is well. The logs are kept until the next opening: what is missing in the middle of one is found only
   * when it is read.
   * @throws {Error} when that fails: the database must not be written then, or the files kept were older than it.
   */
  async release(): Promise<void> {
    await rm(this.#lastOpen, { recursive: true, force: true });
    if (!(await moveIfThere(this.#beforeOpen, this.#lastOpen))) return;
    for (const name of await dataFiles(this.#lastOpen))
      if (TABLE.test(name)) await rm(join(this.#lastOpen, name), { force: true });
  }

  /** Keeps for good what was before opening, and the tables there are now. Resolves with where it is. */
  async quarantine(): Promise<string> {
    const known = this.#quarantine;
    if (known !== undefined) {
      // Kept at a later opening, and not to be taken for the files before the next one.
      if (await moveIfThere(this.#beforeOpen, `${known}.${this.#later + 1}`)) this.#later += 1;
      return known;
    }
    const folder = await this.#newFolder();
    const isMoved =
      (await moveIfThere(this.#beforeOpen, folder)) || (await moveIfThere(this.#lastOpen, folder));
    if (!isMoved) await mkdir(folder, { recursive: true });
    this.#quarantine = folder;
    for (const name of await dataFiles(this.#database))
      await linkOrCopy(join(this.#database, name), join(folder, name)).catch(() => undefined);
    return folder;
  }

  /** Named by the time; a clock that was set back may give a name that is there already. */
  async #newFolder(): Promise<string> {
    const quarantine = join(this.#folder, 'quarantine');
    await mkdir(quarantine, { recursive: true });
    const there = new Set(await readdir(quarantine));
    const time = new Date().toISOString().replaceAll(':', '-');
    let name = time;
    for (let nth = 2; there.has(name); nth += 1) name = `${time}-${nth}`;
    return join(quarantine, name);
  }
}

/** False when there is nothing to move. */
function moveIfThere(from: string, to: string): Promise<boolean> {
  return rename(from, to).then(
    () => true,
    (error: unknown) => {
      if (codeOf(error) === 'ENOENT') return false;
      throw error;
    },
  );
}

/** Names of the files that hold data; none in a folder that is not there. */
async function dataFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return [];
    throw error; // what cannot be listed is not empty
  });
  return names.filter((name) => DATA_FILE.test(name));
}

/** A file that is already there was kept earlier and is nearer to the truth. */
async function linkOrCopy(from: string, to: string): Promise<void> {
  await link(from, to).catch(async (error: unknown) => {
    const code = codeOf(error);
    if (code === 'EEXIST') return;
    if (code === 'ENOSPC') throw error; // no room for a copy either
    await copyFile(from, to).catch(async (reason: unknown) => {
      await rm(to, { force: true }); // half a copy is worse than none
      throw reason;
    });
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

async function hasMagic(path: string): Promise<boolean> {
  const end = await lastBytes(path);
  return end?.equals(TABLE_MAGIC) ?? false;
}

/** The last bytes, as many as a table's magic has; undefined when they cannot be read. */
async function lastBytes(path: string): Promise<Buffer | undefined> {
  const file = await open(path, 'r').catch(() => undefined);
  if (file === undefined) return undefined;
  try {
    const { size } = await file.stat();
    const end = Buffer.alloc(Math.min(size, TABLE_MAGIC.length));
    await file.read(end, 0, end.length, size - end.length);
    return end;
  } catch {
    return undefined;
  } finally {
    await file.close();
  }
}

function bytesOf(path: string): Promise<Buffer | undefined> {
  return readFile(path).catch(() => undefined);
}
