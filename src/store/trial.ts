import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';

/**
 * Opening starts a compaction in the background, which may end the process as well; so it stays open for a while,
 * and closing waits for what has begun. Ends with 0 whether it succeeds or fails.
 */
const PROGRAM = `
const [, library, what, location, lingerMs] = process.argv;
const { ClassicLevel } = require(library);
async function open() {
  const db = new ClassicLevel(location, { createIfMissing: false });
  await db.open();
  await new Promise((resolve) => setTimeout(resolve, Number(lingerMs)));
  await db.close();
}
(what === 'repair' ? ClassicLevel.repair(location) : open()).catch(() => undefined);
`;
const LINGER_MS = 200;

/**
 * Opens or repairs a closed database in another process, as LevelDB may end it. Resolves with how it was ended,
 * or undefined when it ended by itself: then it can be tried in this one, which finds any error there is.
 */
export function tryElsewhere(
  what: 'open' | 'repair',
  location: string,
): Promise<Error | undefined> {
  const library = createRequire(import.meta.url).resolve('classic-level');
  const args = ['-e', PROGRAM, library, what, location, String(LINGER_MS)];
  const child = spawn(process.execPath, args, { stdio: 'ignore', env: {} });
  return new Promise((resolve) => {
    child.once('error', () => resolve(undefined)); // no other process to be had
    child.once('exit', (_, signal) => {
      resolve(signal === null ? undefined : new Error(`LevelDB ended the process (${signal})`));
    });
  });
}
