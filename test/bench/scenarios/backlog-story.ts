import { setTimeout as delay } from 'node:timers/promises';
import { resetPeaks, usageOf } from '../box.ts';
import type { RunningContender } from '../contender.ts';
import { Load } from '../load.ts';
import type { LoadResult } from '../load-options.ts';
import type { Measured, Stage } from '../scenario.ts';
import { checkPubacks, FLEET, type Play, withContender } from './steps.ts';

/**
 * Each backlog is so much larger than its name says, and what drains first warms the new process up: a small
 * backlog would be gone before its code is compiled, and a large one would look faster for it.
 */
const WARM_UP = 50_000;
const LIVE_PER_SECOND = 500;
const IDLE_MS = 3_000;
/** No drain is to be slower than 2,000 a second, and none is so short that a start of some seconds does not count. */
const DRAIN_LIMIT_MS = 60_000;
const DRAIN_LIMIT_MS_PER_MESSAGE = 0.5;
/** A drain is timed by when a tenth and when nine tenths of what follows the warm-up have arrived. */
const [FROM, TO] = [0.1, 0.9];
const BYTES_PER_MB = 1_000_000;
const MS_PER_SECOND = 1000;
const US_PER_SECOND = 1_000_000;
const SUBJECT = 'tidegate-adaptive';

async function residentMb({ pids }: RunningContender): Promise<number> {
  return (await usageOf(pids)).residentBytes / BYTES_PER_MB;
}

/** Fills the store while the link is cut. */
async function fill(port: number, messages: number): Promise<LoadResult> {
  const result = await Load.run({ ...FLEET, port, messages, clientPrefix: 'f' });
  checkPubacks(result);
  return result;
}

const limitMs = (messages: number): number =>
  DRAIN_LIMIT_MS + DRAIN_LIMIT_MS_PER_MESSAGE * messages;

/** Messages a second that come to the centre, of a backlog of that many behind the warm-up. */
async function drainRate({ queue }: Play, count: number): Promise<number> {
  const first = await queue.holds(WARM_UP + FROM * count, limitMs(WARM_UP + count));
  const last = await queue.holds(WARM_UP + TO * count, limitMs(count));
  return ((TO - FROM) * count * MS_PER_SECOND) / (last - first);
}

/** A backlog of that size from its making to its end, with the link cut at first. */
export function backlogOf(messages: number, stage: Stage): Promise<Measured> {
  return withContender(SUBJECT, stage, { isConnected: false }, async (play) => {
    await delay(IDLE_MS);
    const idleMb = await residentMb(play.running);
    const filled = await fill(play.running.mqttPort, WARM_UP + messages);
    const storedMb = await residentMb(play.running);
    const { running, startMs } = await play.running.restart();
    try {
      return await drain({ ...play, running }, filled, { idleMb, storedMb, startMs });
    } finally {
      await running.stop();
    }
  });
}

async function drain(
  play: Play,
  filled: LoadResult,
  before: { readonly idleMb: number; readonly storedMb: number; readonly startMs: number },
): Promise<Measured> {
  const { running, queue } = play;
  await resetPeaks(running.pids);
  const live = await Load.start({
    ...FLEET,
    port: running.mqttPort,
    clientPrefix: 'l',
    ratePerSecond: LIVE_PER_SECOND,
  });
  live.go();
  await play.openUplink();
  const perSecond = await drainRate(play, filled.acknowledged - WARM_UP);
  const result = await live.stop();
  checkPubacks(result);
  const all = filled.acknowledged + result.acknowledged;
  await queue.holds(all, limitMs(all));
  const { peakBytes, cpuSeconds } = await usageOf(running.pids);
  const sent = { ...filled.sentBy, ...result.sentBy };
  const { duplicated, reordered } = await queue.verify(
    { ...filled.acknowledgedBy, ...result.acknowledgedBy },
    sent,
  );
  return {
    acknowledgedPerSecond: filled.perSecond,
    drainedPerSecond: perSecond,
    cpuUsPerMessage: (cpuSeconds * US_PER_SECOND) / all,
    livePubackP50Ms: result.pubackMs.p50,
    livePubackP99Ms: result.pubackMs.p99,
    idleMb: before.idleMb,
    storedMb: before.storedMb,
    drainingPeakMb: peakBytes / BYTES_PER_MB,
    startSeconds: before.startMs / MS_PER_SECOND,
    duplicated,
    reordered,
  };
}
