import { mkdir, open, readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';

const FILL_PIECE_BYTES = 256 * 1024;

/**
 * The room the store needs beside its data. LevelDB must write in order to open again after a full disk, so a
 * ballast file is kept that can be let go at that moment, and writing stops while less than the reserve is
 * free, so that the disk is never full to the last byte.
 */
export class DiskRoom {
  readonly #folder: string;
  readonly #ballastPath: string;
  readonly #reserveBytes: number;
  readonly #ballastBytes: number;

  constructor(folder: string, reserveBytes: number, ballastBytes: number) {
    this.#folder = folder;
    this.#ballastPath = join(folder, 'ballast');
    this.#reserveBytes = reserveBytes;
    this.#ballastBytes = ballastBytes;
  }

  /** True when the file system has more than the reserve free. */
  async hasReserve(): Promise<boolean> {
    const { bavail, bsize } = await statfs(this.#folder);
    return bavail * bsize >= this.#reserveBytes;
  }

  /** Puts the ballast in place if there is room for it and the reserve; otherwise leaves it for later. */
  async keepBallast(): Promise<void> {
    const size = await stat(this.#ballastPath).then(
      (found) => found.size,
      () => 0,
    );
    if (size === this.#ballastBytes) return;
    const { bavail, bsize } = await statfs(this.#folder);
    if (bavail * bsize < this.#reserveBytes + this.#ballastBytes) return;
    const unfinished = `${this.#ballastPath}.new`;
    try {
      await fill(unfinished, this.#ballastBytes);
      await rename(unfinished, this.#ballastPath);
    } catch {
      await rm(unfinished, { force: true }); // No room after all: it is tried again at the next chance.
    }
  }

  /** Frees the ballast's space. */
  async releaseBallast(): Promise<void> {
    await rm(this.#ballastPath, { force: true });
  }

  /** Makes the folder. */
  async prepare(): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
  }
}

/** Writes a file of that size, piece by piece: in one it would be as much memory. */
async function fill(path: string, bytes: number): Promise<void> {
  const piece = Buffer.alloc(Math.min(bytes, FILL_PIECE_BYTES), 'ballast ');
  const file = await open(path, 'w');
  try {
    for (let left = bytes; left > 0; left -= piece.length) {
      await file.appendFile(piece.subarray(0, left));
    }
  } finally {
    await file.close();
  }
}

/** Bytes of the files in a folder. */
export async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(folder)) {
    const found = await stat(join(folder, name)).catch(() => undefined);
    bytes += found?.size ?? 0; // LevelDB may have deleted it since
  }
  return bytes;
}
