import { copyFile, link, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Files of LevelDB that hold data; LOCK and LOG do not. */
const DATA_FILE = /^(?:\d+\.(?:ldb|sst|log)|MANIFEST-\d+|CURRENT)$/;
const KEPT_BY = /^before-open\.(\d+)$/;
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
    return names.length > 0 && !names.includes('CURRENT');
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

  /** True when opening deleted a table: by right after a crash, by mistake after damage. */
  async hasLostTables(): Promise<boolean> {
    const now = new Set(await dataFiles(this.#database));
    const before = await dataFiles(this.#beforeOpen);
    return before.some((name) => TABLE.test(name) && !now.has(name));
  }

  /** Puts the files back as they were. The database must be closed. */
  async restore(): Promise<void> {
    await this.empty();
    for (const name of await dataFiles(this.#beforeOpen))
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
   */
  async release(): Promise<void> {
    for (const name of await dataFiles(this.#beforeOpen))
      if (TABLE.test(name)) await rm(join(this.#beforeOpen, name), { force: true });
    await rm(this.#lastOpen, { recursive: true, force: true });
    await rename(this.#beforeOpen, this.#lastOpen).catch(() => undefined);
  }

  /** Keeps for good what was before opening, and the tables there are now. Resolves with where it is. */
  async quarantine(): Promise<string> {
    const known = this.#quarantine;
    if (known !== undefined) return known;
    const folder = join(this.#folder, 'quarantine', new Date().toISOString().replaceAll(':', '-'));
    this.#quarantine = folder;
    await mkdir(join(this.#folder, 'quarantine'), { recursive: true });
    await rename(this.#beforeOpen, folder)
      .catch(() => rename(this.#lastOpen, folder))
      .catch(() => mkdir(folder, { recursive: true }));
    for (const name of await dataFiles(this.#database))
      await linkOrCopy(join(this.#database, name), join(folder, name)).catch(() => undefined);
    return folder;
  }
}

async function dataFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => DATA_FILE.test(name));
}

/** A file that is already there was kept earlier and is nearer to the truth. */
async function linkOrCopy(from: string, to: string): Promise<void> {
  await link(from, to).catch(async (error: unknown) => {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
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
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

async function hasMagic(path: string): Promise<boolean> {
  const file = await open(path, 'r').catch(() => undefined);
  if (file === undefined) return false;
  try {
    const { size } = await file.stat();
    if (size < TABLE_MAGIC.length) return false;
    const end = Buffer.alloc(TABLE_MAGIC.length);
    await file.read(end, 0, end.length, size - end.length);
    return end.equals(TABLE_MAGIC);
  } finally {
    await file.close();
  }
}
