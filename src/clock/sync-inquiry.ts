import { execFile } from 'node:child_process';
import { access, constants, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/**
 * Asks the system whether its clock is synchronised. Resolves with undefined where nothing can tell that; never
 * rejects. Aborted, it resolves soon.
 */
export type SyncInquiry = (signal: AbortSignal) => Promise<boolean | undefined>;

/** An answer that takes longer is none. */
const ANSWER_LIMIT_MS = 3_000;
/** systemd-timesyncd touches this file with each answer of its server. */
const TIMESYNCD_FILE = '/run/systemd/timesync/synchronized';
/** It asks its server every 34 minutes at the least. */
const TIMESYNCD_FRESH_MS = 3_600_000;
/** `chronyc -n -c tracking`: the last of its fields, separated by commas. */
const CHRONY_UNSYNCED = 'Not synchronised';

/**
 * The kernel's own flag first, by `timedatectl`: it is lowered whenever somebody sets the clock by hand. Then chrony, and
 * the file of systemd-timesyncd, which a container can be given.
 */
export const askSystem: SyncInquiry = async (signal) =>
  (await askTimedatectl(signal)) ?? (await askChrony(signal)) ?? (await askTimesyncd());

async function askTimedatectl(signal: AbortSignal): Promise<boolean | undefined> {
  const answer = await output('timedatectl', ['show', '-p', 'NTPSynchronized', '--value'], signal);
  if (answer === 'yes') return true;
  return answer === 'no' ? false : undefined;
}

async function askChrony(signal: AbortSignal): Promise<boolean | undefined> {
  const fields = (await output('chronyc', ['-n', '-c', 'tracking'], signal))?.split(',');
  const leapStatus = fields?.at(-1);
  return leapStatus === undefined || leapStatus === '' ? undefined : leapStatus !== CHRONY_UNSYNCED;
}

/** True only while the file is fresh by the clock in question: a clock that was set since is not what was synchronised. */
async function askTimesyncd(): Promise<boolean | undefined> {
  const file = await stat(TIMESYNCD_FILE).catch(() => undefined);
  if (file === undefined) return undefined;
  const ageMs = Date.now() - file.mtimeMs;
  return ageMs >= 0 && ageMs < TIMESYNCD_FRESH_MS;
}

/** What the command printed; undefined when it is not there, fails or takes too long. */
async function output(
  command: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  // That it is not there would be found out only in the new process, and making one stops this one for a while.
  if (!(await isOnPath(command))) return undefined;
  const options = { signal, timeout: ANSWER_LIMIT_MS, killSignal: 'SIGKILL' } as const;
  return new Promise((resolve) => {
    execFile(command, args, options, (error, stdout) => {
      resolve(error === null ? stdout.trim() : undefined);
    });
  });
}

async function isOnPath(command: string): Promise<boolean> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const isThere = await access(join(folder, command), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return true;
  }
  return false;
}
