import { setTimeout as delay } from 'node:timers/promises';
import { resetPeaks, usageOf } from '../box.ts';
import type { RunningContender } from '../contender.ts';
import { Load } from '../load.ts';
import type { LoadResult } from '../load-options.ts';
import type { Goal, Measured, Scenario, Stage } from '../scenario.ts';
import { checkPubacks, FLEET, type Play, withContender } from './steps.ts';

const SMALL = 10_000;
export const LARGE = 1_000_000;
const LIVE_PER_SECOND = 500;
const IDLE_MS = 3_000;
const DRAIN_LIMIT_MS = 300_000;
/** A drain is timed by when a tenth and when nine tenths have arrived, without its start and its end. */
const [FROM, TO] = [0.1, 0.9];
const BYTES_PER_MB = 1_000_000;
const MS_PER_SECOND = 1000;
const SUBJECT = 'tidegate-adaptive';

async function residentMb({ pids }: RunningContender): Promise<number> {
  return (await usageOf(pids)).residentBytes / BYTES_PER_MB;
}

/** Fills the store while the link is cut; the counters of each client go on where a fill before ended. */
async function fill(port: number, prefix: string, messages: number): Promise<LoadResult> {
  const result = await Load.run({ ...FLEET, port, messages, clientPrefix: prefix });
  checkPubacks(result);
  return result;
}

/** Messages a second that come to the centre; `arrivedBefore` are there already. */
async function drainRate({ queue }: Play, arrivedBefore: number, count: number): Promise<number> {
  const first = await queue.holds(arrivedBefore + FROM * count, DRAIN_LIMIT_MS);
  const last = await queue.holds(arrivedBefore + TO * count, DRAIN_LIMIT_MS);
  return ((TO - FROM) * count * MS_PER_SECOND) / (last - first);
}

/** A backlog of that size from its making to its end, with the link cut at first. */
export function backlogOf(messages: number, stage: Stage): Promise<Measured> {
  return withContender(SUBJECT, stage, { isConnected: false }, async (play) => {
    await delay(IDLE_MS);
    const idleMb = await residentMb(play.running);
    const filled = await fill(play.running.mqttPort, 'f', messages);
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
  const perSecond = await drainRate(play, 0, filled.acknowledged);
  const { peakBytes } = await usageOf(running.pids);
  const result = await live.stop();
  checkPubacks(result);
  await queue.holds(filled.acknowledged + result.acknowledged, DRAIN_LIMIT_MS);
  const sent = { ...filled.sentBy, ...result.sentBy };
  const { duplicated, reordered } = await queue.verify(
    { ...filled.acknowledgedBy, ...result.acknowledgedBy },
    sent,
  );
  return {
    acknowledgedPerSecond: filled.perSecond,
    drainedPerSecond: perSecond,
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

const name = (messages: number): string => `${messages} messages`;

const value = (
  what: string,
  metric: string,
  limits: { atLeast: number; aim: number },
  unit: string,
): Goal => ({
  what,
  metric,
  of: name(LARGE),
  as: 'value',
  isGood: 'low',
  unit,
  ...limits,
});

export const backlog: Scenario = {
  name: 'backlog',
  title: 'A backlog of 1,000,000 messages',
  about:
    'Tidegate adaptive, with the link cut from the beginning: the store is filled with messages of 200 B, the gateway is stopped in an orderly way and started again, the link returns, and the backlog drains while 20 other clients publish 500 messages a second. The drain is timed from a tenth to nine tenths of it; then every message is checked at the centre. Memory is that of the process with the pages of the files it has mapped.',
  subjects: [name(SMALL), name(LARGE)],
  rounds: 1,
  isDefault: true,
  goals: [
    {
      what: 'drain rate with 1,000,000 messages of backlog against 10,000',
      metric: 'drainedPerSecond',
      of: name(LARGE),
      against: name(SMALL),
      as: 'ratio',
      isGood: 'high',
      atLeast: 0.9,
      aim: 1,
      unit: '×',
    },
    value('resident memory, idle', 'idleMb', { atLeast: 100, aim: 80 }, 'MB'),
    value(
      'resident memory, 1,000,000 messages of backlog',
      'storedMb',
      { atLeast: 150, aim: 120 },
      'MB',
    ),
    value(
      'resident memory while draining it, at most',
      'drainingPeakMb',
      { atLeast: 180, aim: 150 },
      'MB',
    ),
    value(
      'start to `ready` with 1,000,000 messages of backlog',
      'startSeconds',
      { atLeast: 2, aim: 1 },
      's',
    ),
    value(
      'PUBACK p99 while it drains, 500 msg/s live',
      'livePubackP99Ms',
      { atLeast: 250, aim: 100 },
      'ms',
    ),
  ],
  measure: (subject, stage) => backlogOf(Number.parseInt(subject, 10), stage),
};
