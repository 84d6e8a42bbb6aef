import { rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Central } from './central.ts';
import { isInMemory } from './facts.ts';

/** Moves the folder of the runs to another disk. */
const DIR_VARIABLE = 'TIDEGATE_BENCH_DIR';
const DEFAULT_DIR = '.bench';
/** As a shell tells that a command was ended by SIGINT. */
const INTERRUPTED = 130;

/** The folder that runs may fill, from the root of the project. */
export function benchDir(): string {
  return resolve(process.env[DIR_VARIABLE] ?? DEFAULT_DIR);
}

/**
 * Makes a folder for one run and starts the central broker in it; both are gone when `work` has ended, or
 * the process by a signal.
 * @throws {Error} when the folder would lie in memory, or the broker does not start.
 */
export async function withPlace<T>(
  work: (dir: string, central: Central) => Promise<T>,
): Promise<T> {
  const dir = join(benchDir(), `run-${process.pid}`);
  await mkdir(dir, { recursive: true });
  const remove = (): void => rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  process.on('exit', remove);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => process.exit(INTERRUPTED));
  }
  if (isInMemory(dir)) {
    throw new Error(`${dir} is in memory, where a sync costs nothing; set ${DIR_VARIABLE}`);
  }
  const central = await Central.start(join(dir, 'central'));
  try {
    return await work(dir, central);
  } finally {
    await central.stop();
    remove();
  }
}
