import { execFile } from 'node:child_process';
import { open, rm, statfs, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const run = promisify(execFile);
const MIB_BYTES = 1024 * 1024;
const SIZE_BYTES = 40 * MIB_BYTES;
/** What is left lasts for a few hundred messages of some KiB and the tables LevelDB makes of them. */
const FILLER_BYTES = 26 * MIB_BYTES;
/** What is to be left beside the filler. */
const ROOM_BYTES = 8 * MIB_BYTES;
const PATIENCE_MS = 20_000;
/** The smallest write that a file system of pages of 4 KiB may still take. */
const LAST_BYTES = 4 * 1024;

/** A file system of its own, small enough to be filled. Needs root. */
export class SmallDisk {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** Takes most of the space away, as soon as what was deleted on the disk has been given back. */
  async fillMostly(): Promise<void> {
    await eventually(
      async () => {
        const { bavail, bsize } = await statfs(this.folder);
        if (bavail * bsize < FILLER_BYTES + ROOM_BYTES) {
          throw new Error(`only ${bavail * bsize} bytes are free`);
        }
      },
      { withinMs: PATIENCE_MS },
    );
    await writeFile(this.#filler, Buffer.alloc(FILLER_BYTES));
  }

  /** Takes all space away, to the last byte. */
  async fillWholly(): Promise<void> {
    const file = await open(this.#filler, 'w');
    for (const bytes of [MIB_BYTES, LAST_BYTES]) {
      const block = Buffer.alloc(bytes);
      try {
        for (;;) await file.appendFile(block);
      } catch {
        // ENOSPC: now what is smaller.
      }
    }
    await file.close();
  }

  /** Gives the space back. */
  async free(): Promise<void> {
    await rm(this.#filler, { force: true });
  }

  get #filler(): string {
    return `${this.folder}/filler`;
  }
}

/** Mounts an empty disk, which is gone when the test has finished. */
export async function mountSmallDisk(): Promise<SmallDisk> {
  const folder = await tempDir('disk');
  await run('mount', ['-t', 'tmpfs', '-o', `size=${SIZE_BYTES}`, 'tmpfs', folder]);
  onTestFinished(async () => {
    await run('umount', ['--lazy', folder]);
  });
  return new SmallDisk(folder);
}
