import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';

/** How a process ended: one of the two is null, as in node's `exit` event. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Of util-linux, which every Debian has. */
const SETPRIV = '/usr/bin/setpriv';

const living = new Set<ChildProcess>();
let hooked = false;

/**
 * Spawns a process that does not outlive this one, however this one ends: an exit hook kills it, and
 * should this process itself be killed, the kernel does (prctl PR_SET_PDEATHSIG). The pid stays that of
 * the command, also when the command is a script that ends in `exec`.
 */
export function spawnOwned(
  command: string,
  args: readonly string[],
  options: SpawnOptions,
): ChildProcess {
  if (!hooked) {
    hooked = true;
    process.on('exit', () => {
      for (const child of living) child.kill('SIGKILL');
    });
  }
  const child = spawn(SETPRIV, ['--pdeathsig', 'KILL', command, ...args], options);
  living.add(child);
  child.once('exit', () => living.delete(child));
  return child;
}

/** Resolves when the process has ended, at once if it already has. */
export function exitOf(child: ChildProcess): Promise<ProcessExit> {
  return new Promise((resolve, reject) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      resolve({ code: child.exitCode, signal: child.signalCode });
      return;
    }
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.once('error', reject);
  });
}
