import { readFile } from 'node:fs/promises';

/** The clocks of the machine, and what it says of them. */
export interface SystemClocks {
  /** Wall clock, in ms since 1970. Anybody may set it at any time. */
  readonly wallMs: () => number;
  /** A clock that nobody sets, in ms from some moment of this process on. It stands still while the machine sleeps. */
  readonly monotonicMs: () => number;
  /** The same clock in ms since the machine was started, for all of its processes. */
  readonly sinceBootMs: () => number;
  /** Tells the starts of the machine apart; empty where that cannot be found out. */
  readonly bootId: () => Promise<string>;
}

/** A new one is drawn by Linux at each boot. */
const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';
const MS_PER_S = 1_000;
const NS_PER_MS = 1_000_000;

/** Those of this process. */
export const SYSTEM_CLOCKS: SystemClocks = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sinceBootMs: () => {
    const [seconds, nanoseconds] = process.hrtime();
    return seconds * MS_PER_S + nanoseconds / NS_PER_MS;
  },
  bootId: async () => {
    const text = await readFile(BOOT_ID_FILE, 'utf8').catch(() => '');
    return text.trim();
  },
};
