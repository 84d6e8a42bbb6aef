import { randomUUID } from 'node:crypto';
import { chmod, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir } from './temp-dir.ts';

/** Of the Debian package libfaketime, which `faketime` brings; the dynamic linker puts in the machine's triplet. */
const LIBRARY = '/usr/$LIB/faketime/libfaketime.so.1';
const BOOT_ID = '/proc/sys/kernel/random/boot_id';
/** In a mount namespace of its own the process finds our file in place of the kernel's. */
const AS_BOOTED = `mount --bind "$0/boot_id" ${BOOT_ID} && exec "$@"`;

/** How a process is to be started, so that it sees the false clock. */
export interface ClockedStart {
  readonly env: NodeJS.ProcessEnv;
  readonly wrapper?: readonly string[];
}

/**
 * The wall clock of a process in the hands of a test, by libfaketime, and what the system says of it. The monotonic
 * clock stays the true one.
 */
export class FalseClock {
  readonly #dir: string;
  #isRebooted = false;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** The clock is so far off from now on, for instance `+3650d`; within a run that is a step. */
  async set(offset: string): Promise<void> {
    await this.#write('offset', `${offset}\n`);
  }

  /** What the system says when it is asked whether its clock is synchronised. */
  async sync(answer: 'yes' | 'no'): Promise<void> {
    await this.#write('synchronised', `${answer}\n`);
  }

  /** For the processes that are started from now on the machine was started anew. As root only. */
  async reboot(): Promise<void> {
    this.#isRebooted = true;
    await this.#write('boot_id', `${randomUUID()}\n`);
  }

  get start(): ClockedStart {
    const env = {
      LD_PRELOAD: LIBRARY,
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      FAKETIME_NO_CACHE: '1',
      FAKETIME_TIMESTAMP_FILE: join(this.#dir, 'offset'),
      PATH: `${this.#dir}:${process.env['PATH'] ?? ''}`,
    };
    const wrapper = ['unshare', '--mount', 'sh', '-c', AS_BOOTED, this.#dir];
    return this.#isRebooted ? { env, wrapper } : { env };
  }

  /** In one step: a process that reads it meanwhile must not find half a file. */
  async #write(name: string, content: string): Promise<void> {
    await writeFile(join(this.#dir, `${name}.new`), content);
    await rename(join(this.#dir, `${name}.new`), join(this.#dir, name));
  }
}

/** A clock that is right, of a system that says so; it ends with the test. */
export async function falseClock(): Promise<FalseClock> {
  const dir = await tempDir('clock');
  const timedatectl = join(dir, 'timedatectl');
  await writeFile(timedatectl, `#!/bin/sh\ncat "${dir}/synchronised"\n`);
  await chmod(timedatectl, 0o755);
  const clock = new FalseClock(dir);
  await clock.set('+0');
  await clock.sync('yes');
  return clock;
}
