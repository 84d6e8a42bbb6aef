import type { InjectedFault } from '../helpers/strace.ts';

/** One way in which writing goes wrong, once or for a while. */
export interface FaultPoint {
  readonly name: string;
  readonly faults: readonly InjectedFault[];
  /** The call that has to fail for the point to be met. */
  readonly syscall: string;
  /** All calls from the first failing one on fail, until the fault is lifted. */
  readonly isLasting: boolean;
}

/** The k-th call fails of each thread that makes so many. What a thread does seldom has small numbers only. */
interface Sweep {
  readonly syscall: string;
  readonly error: string;
  readonly calls: readonly number[];
  /** Fails the first sync of the log too, so that the call is met while LevelDB is being opened again. */
  readonly inReopening?: boolean;
}

const upTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1);

/** What LevelDB does to its log and its table files all the time, and what it does while it opens. */
const SWEEPS: readonly Sweep[] = [
  { syscall: 'fdatasync', error: 'EIO', calls: upTo(26) },
  { syscall: 'write', error: 'EIO', calls: [...upTo(14), 20, 40, 60, 80, 120, 160, 200, 250, 300] },
  { syscall: 'write', error: 'ENOSPC', calls: [1, 2, 3, 5, 8, 30, 100] },
  { syscall: 'openat', error: 'EIO', calls: upTo(8) },
  { syscall: 'openat', error: 'ENOSPC', calls: [1, 3] },
  { syscall: 'fsync', error: 'EIO', calls: upTo(4) },
  { syscall: 'unlink', error: 'EIO', calls: upTo(4) },
  { syscall: 'write', error: 'EIO', calls: [2, 3, 4, 5, 6, 7], inReopening: true },
  { syscall: 'write', error: 'ENOSPC', calls: [2, 3], inReopening: true },
  { syscall: 'openat', error: 'EIO', calls: upTo(12), inReopening: true },
  { syscall: 'openat', error: 'ENOSPC', calls: [2, 5], inReopening: true },
  { syscall: 'rename', error: 'EIO', calls: upTo(2), inReopening: true },
  { syscall: 'unlink', error: 'EIO', calls: upTo(2), inReopening: true },
];

/**
 * Reading while LevelDB opens again: it passes over a log that it cannot open or read, and deletes it. Tables are
 * mapped into memory, or read by position on small machines.
 */
const READ_SWEEPS: readonly Sweep[] = [
  { syscall: 'openat', error: 'EIO', calls: upTo(24), inReopening: true },
  { syscall: 'read', error: 'EIO', calls: upTo(24), inReopening: true },
  { syscall: 'mmap', error: 'EIO', calls: upTo(4), inReopening: true },
  { syscall: 'mmap', error: 'EIO', calls: upTo(4) },
];

/** All 200 points of writing, in an order that mixes them: neighbours fail different calls. */
export function allFaultPoints(): FaultPoint[] {
  return pointsOf(SWEEPS);
}

/** All points of reading, mixed in the same way. */
export function readFaultPoints(): FaultPoint[] {
  return pointsOf(READ_SWEEPS);
}

function pointsOf(sweeps: readonly Sweep[]): FaultPoint[] {
  return sweeps
    .flatMap((sweep) =>
      sweep.calls.flatMap((call, index) =>
        [false, true].map((isLasting) => ({ rank: index, point: pointOf(sweep, call, isLasting) })),
      ),
    )
    .sort((one, other) => one.rank - other.rank)
    .map(({ point }) => point);
}

function pointOf({ syscall, error, inReopening }: Sweep, call: number, isLasting: boolean) {
  const target: InjectedFault = { syscall, error, when: isLasting ? `${call}+` : `${call}` };
  const first: InjectedFault = { syscall: 'fdatasync', error: 'EIO', when: '1' };
  const place = inReopening === true ? ' in reopening' : '';
  return {
    name: `${syscall} ${error} ${isLasting ? 'from' : 'at'} call ${call}${place}`,
    faults: inReopening === true ? [first, target] : [target],
    syscall,
    isLasting,
  };
}
