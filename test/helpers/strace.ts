import type { ChildProcess } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { exitOf, spawnOwned } from './child-process.ts';
import { eventually } from './eventually.ts';

/** Attaching stops each thread once, which takes some ms. */
const ATTACH_LIMIT_MS = 10_000;
/** How many files behind the newest one LevelDB may make while a fault is under way. */
const FILES_AHEAD = 150;
const FILES_BEHIND = 20;
/** Files beside the numbered ones, in the store's folder and in that of LevelDB. */
const FIXED_NAMES = [
  '.',
  'ballast',
  'ballast.new',
  'checkpoint',
  'checkpoint.new',
  'checkpoint.tmp',
  'owner',
  'db',
  'db/CURRENT',
  'db/LOG',
  'db/LOG.old',
];

/** One fault of the operating system. */
export interface InjectedFault {
  readonly syscall: string;
  /** Name of the errno, such as `EIO`. */
  readonly error: string;
  /** Which calls fail, counted for each thread since the attachment: `3` is the third, `3+` all from it on. */
  readonly when: string;
}

export interface FaultOptions {
  /** The process, all threads of which get the faults. */
  readonly pid: number;
  /** Only calls on these files count and fail. */
  readonly paths: readonly string[];
  readonly faults: readonly InjectedFault[];
}

/** System calls of a running process that fail, until it is detached. */
export class FaultInjector {
  readonly #child: ChildProcess;
  readonly #injected: string[] = [];
  #isAttached = false;

  constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** The calls that were made to fail so far, as strace prints them. */
  get injected(): readonly string[] {
    return this.#injected;
  }

  /** @throws when strace cannot attach. */
  async attached(): Promise<void> {
    if (this.#child.stderr === null) throw new Error('strace has no output');
    createInterface({ input: this.#child.stderr }).on('line', (line) => {
      if (line.includes('(INJECTED)')) this.#injected.push(line);
      if (/^strace: Process \d+ attached/.test(line)) this.#isAttached = true;
    });
    const hasEnded = exitOf(this.#child).then(() => 'ended' as const);
    const isAttached = eventually(
      () => {
        if (!this.#isAttached) throw new Error('strace is not attached');
      },
      { withinMs: ATTACH_LIMIT_MS, everyMs: 5 },
    );
    // It ends at once when the process is gone.
    const first = await Promise.race([isAttached, hasEnded]);
    if (first === 'ended' && !this.#isAttached) throw new Error('strace has ended');
  }

  /** Ends the faults; the process goes on. */
  async detach(): Promise<void> {
    this.#child.kill('SIGTERM');
    await exitOf(this.#child);
  }
}

/** Makes system calls of a running process fail. Needs root, or a parent's right to trace. */
export async function injectFaults(options: FaultOptions): Promise<FaultInjector> {
  const { pid, paths, faults } = options;
  const names = [...new Set(faults.map(({ syscall }) => syscall))];
  const args = [
    ...['-f', '-y', '-Z', '-s', '0', '-p', String(pid), '-e', `trace=${names.join(',')}`],
    ...paths.flatMap((path) => ['-P', path]),
    ...faults.flatMap(({ syscall, error, when }) => [
      '-e',
      `inject=${syscall}:error=${error}:when=${when}`,
    ]),
  ];
  const child = spawnOwned('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const injector = new FaultInjector(child);
  await injector.attached();
  return injector;
}

/** The files a store has and those it will make next: strace filters by whole paths only. */
export async function storePaths(storeDir: string): Promise<string[]> {
  const numbers = (await readdir(join(storeDir, 'db'))).map((name) =>
    Number(/\d{6}/.exec(name)?.[0] ?? 0),
  );
  const newest = Math.max(0, ...numbers);
  const numbered: string[] = [];
  for (let at = Math.max(1, newest - FILES_BEHIND); at < newest + FILES_AHEAD; at++) {
    const digits = String(at).padStart(6, '0');
    for (const suffix of ['log', 'ldb', 'dbtmp']) numbered.push(`db/${digits}.${suffix}`);
    numbered.push(`db/MANIFEST-${digits}`);
  }
  return [...FIXED_NAMES, ...numbered].map((name) => join(storeDir, name));
}
