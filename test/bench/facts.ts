import { spawnSync } from 'node:child_process';
import { closeSync, fdatasyncSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { join } from 'node:path';
import { runFacts } from '../helpers/run-facts.ts';
import type { RunFacts } from '../helpers/soak-result.ts';
import { loadCeiling } from './load.ts';
import { quantile } from './statistics.ts';

/** Of the goals in the first table: what the load process can do with those clients is its ceiling. */
const CEILING_LOAD = { clients: 20, window: 50, payloadBytes: 200 } as const;
const MOSQUITTO = 'mosquitto';
const SYNCS = 200;
/** A page, which is the least that a file system writes. */
const SYNCED_BYTES = 4096;
/** `f_type` of statfs(2) for tmpfs, where a sync costs nothing. */
const TMPFS_MAGIC = 0x01021994;

/** Where and when numbers came about. */
export interface MachineFacts extends Omit<RunFacts, 'seed' | 'durationSeconds'> {
  readonly cpu: string;
  readonly kernel: string;
  /** Absent where it is not installed. */
  readonly mosquitto?: string;
  /** Average of the last minute, before the run. */
  readonly loadBefore: number;
  /** A 4 KiB write and its fdatasync in the folder of the run. */
  readonly syncP50Ms: number;
  readonly syncP99Ms: number;
  /** What the load process reaches with a server that does next to nothing. */
  readonly ceilingPerSecond: number;
}

/** Measures for some seconds. `dir` is where the contenders' files will be. */
export async function machineFacts(dir: string): Promise<MachineFacts> {
  const loadBefore = loadavg()[0] ?? 0;
  const { seed: _, durationSeconds: __, ...run } = runFacts(0);
  const syncsMs = measureSyncs(join(dir, 'syncs'));
  const mosquitto = mosquittoVersion();
  return {
    ...run,
    cpu: cpus()[0]?.model ?? 'unknown',
    kernel: release(),
    ...(mosquitto === undefined ? {} : { mosquitto }),
    loadBefore,
    syncP50Ms: quantile(syncsMs, 0.5),
    syncP99Ms: quantile(syncsMs, 0.99),
    ceilingPerSecond: await loadCeiling(CEILING_LOAD),
  };
}

/** Whether what is written there never reaches a disk. */
export function isInMemory(dir: string): boolean {
  return statfsSync(dir).type === TMPFS_MAGIC;
}

/** How long each write with its sync took, in ms. */
export function measureSyncs(file: string): number[] {
  const page = Buffer.alloc(SYNCED_BYTES, 'x');
  const fd = openSync(file, 'w');
  try {
    return Array.from({ length: SYNCS }, () => {
      const beganMs = performance.now();
      writeSync(fd, page);
      fdatasyncSync(fd);
      return performance.now() - beganMs;
    });
  } finally {
    closeSync(fd);
    rmSync(file, { force: true });
  }
}

function mosquittoVersion(): string | undefined {
  // Debian puts it where only root's PATH leads. It prints its version with the help, and its status is not 0.
  const env = { PATH: `${process.env['PATH']}:/usr/sbin` };
  const { stdout } = spawnSync(MOSQUITTO, ['-h'], { env, encoding: 'utf8' });
  return /mosquitto version ([\d.]+)/.exec(stdout ?? '')?.[1];
}
