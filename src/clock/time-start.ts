import type { ClockNote, RunNote } from '../delivery/ports.ts';

/** A moment since the machine was started. */
export interface BootMoment {
  /** Empty where it is not known. */
  readonly bootId: string;
  readonly sinceBootMs: number;
}

/** Where the time of the gateway stands at the start of a run, in ms. */
export interface TimeStart {
  readonly startMs: number;
  /** True time minus time of the gateway when an earlier run of the same boot last knew it. */
  readonly trueOffsetMs?: number;
}

/**
 * Goes on with the time of the gateway where the earlier runs left it. Within one boot the monotonic clock tells how much
 * has passed since. Otherwise nobody knows: then it stands where it was last noted. How long the machine has been on does
 * not count, for the store may have come from another machine a minute ago.
 */
export function startOfTime(runs: Iterable<RunNote>, now: BootMoment): TimeStart {
  const clocks = [...runs].map(({ clock }) => clock).filter(isUsable);
  const seenMs = clocks.reduce((most, clock) => Math.max(most, clock.seenMs), 0);
  const last = clocks.findLast((clock) => isSameBoot(clock, now));
  if (last === undefined) return { startMs: seenMs };
  const startMs = last.startMs + now.sinceBootMs - last.uptimeMs;
  const { trueOffsetMs } = last;
  return trueOffsetMs === undefined ? { startMs } : { startMs, trueOffsetMs };
}

function isUsable(clock: ClockNote | undefined): clock is ClockNote {
  return (
    clock !== undefined && [clock.startMs, clock.uptimeMs, clock.seenMs].every(Number.isFinite)
  );
}

/** A monotonic clock that has gone back is not that of the same machine, whatever it calls itself. */
function isSameBoot(clock: ClockNote, now: BootMoment): boolean {
  return clock.bootId !== '' && clock.bootId === now.bootId && clock.uptimeMs <= now.sinceBootMs;
}
