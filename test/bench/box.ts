import { readFile, writeFile } from 'node:fs/promises';

/** Of `/proc/PID/stat`, on all Linux that we meet (`getconf CLK_TCK`). */
const TICKS_PER_SECOND = 100;
/** Fields of /proc/PID/stat behind the name: utime and stime are the 14th and 15th (proc(5)). */
const UTIME = 11;
const STIME = 12;
/** Resets the peak of resident memory (proc(5), clear_refs). */
const RESET_PEAK = '5';
const KIB_BYTES = 1024;

/** What processes took of the machine so far. */
export interface Usage {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  /** Highest resident memory since the start or `resetPeaks`. */
  readonly peakBytes: number;
  /** Written to storage, as the kernel counts it: at the moment the page is made dirty. */
  readonly writtenBytes: number;
}

/** The sum over the processes. Children are not counted. */
export async function usageOf(pids: readonly number[]): Promise<Usage> {
  const each = await Promise.all(pids.map(usageOfOne));
  const sum = (key: keyof Usage): number => each.reduce((total, usage) => total + usage[key], 0);
  return {
    cpuSeconds: sum('cpuSeconds'),
    residentBytes: sum('residentBytes'),
    peakBytes: sum('peakBytes'),
    writtenBytes: sum('writtenBytes'),
  };
}

export async function resetPeaks(pids: readonly number[]): Promise<void> {
  await Promise.all(pids.map((pid) => writeFile(`/proc/${pid}/clear_refs`, RESET_PEAK)));
}

async function usageOfOne(pid: number): Promise<Usage> {
  const [statText, status, io] = await Promise.all(
    ['stat', 'status', 'io'].map((name) => readFile(`/proc/${pid}/${name}`, 'utf8')),
  );
  // The name may hold blanks and ends with the last bracket.
  const fields = (statText ?? '').slice((statText ?? '').lastIndexOf(')') + 2).split(' ');
  const number = (text: string | undefined, key: string): number =>
    Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(text ?? '')?.[1] ?? Number.NaN);
  return {
    cpuSeconds: (Number(fields[UTIME]) + Number(fields[STIME])) / TICKS_PER_SECOND,
    residentBytes: number(status, 'VmRSS') * KIB_BYTES,
    peakBytes: number(status, 'VmHWM') * KIB_BYTES,
    writtenBytes: number(io, 'write_bytes'),
  };
}
