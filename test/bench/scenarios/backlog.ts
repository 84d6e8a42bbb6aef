import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Goal, Measured, Scenario } from '../scenario.ts';
import { backlogOf } from './backlog-story.ts';

const SMALL = 10_000;
const LARGE = 1_000_000;
/** It drains in a third of a second, in which the broker is now faster and now slower. */
const SMALL_TIMES = 3;

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
    'Tidegate adaptive, with the link cut from the beginning: the store is filled with messages of 200 B, the gateway is stopped in an orderly way and started again, the link returns, and the backlog drains while 20 other clients publish 500 messages a second. 50,000 further messages lie before the backlog and warm the new process up; then the drain is timed from a tenth to nine tenths of the backlog, and every message is checked at the centre. The small backlog, which drains in a third of a second, is measured three times, and the one with the median drain rate counts. CPU is that of the process since its second start. Memory is that of the process with the pages of the files it has mapped.',
  subjects: [name(SMALL), name(LARGE)],
  rounds: 2,
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
  measure: async (subject, stage) => {
    if (subject === name(LARGE)) return backlogOf(LARGE, stage);
    const times: Measured[] = [];
    for (let nth = 1; nth <= SMALL_TIMES; nth += 1) {
      const dir = join(stage.dir, `${nth}`);
      await mkdir(dir);
      times.push(await backlogOf(SMALL, { ...stage, dir }));
    }
    return medianOf(times);
  },
};

/** The one in the middle by its drain rate, whole. */
function medianOf(times: readonly Measured[]): Measured {
  const rate = (one: Measured): number => one['drainedPerSecond'] ?? 0;
  const sorted = times.toSorted((a, b) => rate(a) - rate(b));
  const middle = sorted[Math.floor(sorted.length / 2)];
  if (middle === undefined) throw new RangeError('nothing was measured');
  return middle;
}
