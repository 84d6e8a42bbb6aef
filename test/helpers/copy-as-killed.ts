import { cp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from './eventually.ts';

const PATIENCE_MS = 10_000;

/**
 * Copies the folder of a running store as a SIGKILL would leave it. A copy takes time, and LevelDB compacts in
 * the background: it is made again until no file changed meanwhile.
 */
export async function copyAsKilled(from: string, to: string): Promise<void> {
  await eventually(
    async () => {
      const before = await look(from);
      await rm(to, { recursive: true, force: true });
      await cp(from, to, { recursive: true });
      if ((await look(from)) !== before) throw new Error('files changed while they were copied');
    },
    { withinMs: PATIENCE_MS },
  );
}

async function look(folder: string): Promise<string> {
  const names = (await readdir(folder, { recursive: true })).sort();
  const files = names.map(async (name) => {
    const { size, mtimeMs } = await stat(join(folder, name));
    return `${name} ${size} ${mtimeMs}`;
  });
  return (await Promise.all(files)).join('\n');
}
