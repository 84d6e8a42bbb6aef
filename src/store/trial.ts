import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';

/**
 * Opening starts a compaction in the background, which may end the process as well; so it stays open for a while,
 * and closing waits for what has begun.
 */
const PROGRAM = `
const [, library, what, location, lingerMs] = process.argv;
const { ClassicLevel } = require(library);
async function open() {
  const db = new ClassicLevel(location, { createIfMissing: false });
  await db.open();
  if (what === 'read') for await (const _ of db.iterator({ highWaterMarkBytes: 65536 }));
  await new Promise((resolve) => setTimeout(resolve, Number(lingerMs)));
  await db.close();
}
(what === 'repair' ? ClassicLevel.repair(location) : open()).catch((error) => {
  process.exitCode = 1;
  process.stderr.write(String(error.cause ?? error));
});
`;
const LINGER_MS = 200;

/**
 * Opens or repairs a closed database in another process, as LevelDB may end it. Resolves with how it was ended,
 * or why it could not be repaired. Why it could not be opened this process finds out itself.
 */
export function tryElsewhere(
  what: 'open' | 'read' | 'repair',
  location: string,
): Promise<Error | undefined> {
  const library = createRequire(import.meta.url).resolve('classic-level');
  const args = ['-e', PROGRAM, library, what, location, String(LINGER_MS)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'], env: {} });
  let text = '';
  child.stderr.on('data', (chunk: Buffer) => {
    text += chunk;
  });
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(what === 'repair' ? error : undefined));
    child.once('close', (code, signal) => {
      if (signal !== null) resolve(new Error(`LevelDB ended the process (${signal}): ${text}`));
      else resolve(code === 0 || what !== 'repair' ? undefined : new Error(text));
    });
  });
}
