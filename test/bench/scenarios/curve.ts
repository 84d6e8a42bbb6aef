import { Load } from '../load.ts';
import type { LoadOptions } from '../load-options.ts';
import type { Measured, Scenario, Stage } from '../scenario.ts';
import { checkPubacks, FLEET, measuringBox, type PlayOptions, withContender } from './steps.ts';

const DURATION_MS = 4_000;
const ARRIVAL_LIMIT_MS = 60_000;

/** What one point of a curve is made of; `value` is the number in its name. */
type Point = (
  value: number,
  unit: string,
) => {
  readonly load: Partial<LoadOptions>;
  readonly play?: PlayOptions;
};

/** A subject's name: the contender, then a number and perhaps its unit. */
export const SUBJECT: RegExp = /^(\S+) (\d+)\s?(\S*)$/;

async function measurePoint(subject: string, stage: Stage, point: Point): Promise<Measured> {
  const [, contender = '', value = '', unit = ''] = SUBJECT.exec(subject) ?? [];
  const { load: options, play = {} } = point(Number(value), unit);
  return withContender(contender, stage, play, async ({ running, queue }) => {
    const load = await Load.start({
      ...FLEET,
      port: running.mqttPort,
      durationMs: DURATION_MS,
      ...options,
    });
    let result = { acknowledged: 0, acknowledgedBy: {}, sentBy: {} };
    const measured = await measuringBox(running, async () => {
      load.go();
      const done = await load.finished();
      checkPubacks(done);
      result = done;
      return {
        messages: done.acknowledged,
        measured: { acknowledgedPerSecond: done.perSecond, pubackP99Ms: done.pubackMs.p99 },
      };
    });
    await queue.holds(result.acknowledged, ARRIVAL_LIMIT_MS);
    await queue.verify(result.acknowledgedBy, result.sentBy);
    return measured;
  });
}

/** One contender or more, at each of some values. */
export interface CurveOptions {
  readonly name: string;
  readonly title: string;
  readonly about: string;
  readonly contenders: readonly string[];
  readonly values: readonly string[];
  readonly unit: string;
  readonly point: Point;
}

const ALL_CURVES = `Over a healthy link, ${DURATION_MS / 1000} seconds each; every message is checked at the centre.`;

/** A curve that no run without names has, and that has no goals. */
export function curve({ contenders, values, point, unit, about, ...rest }: CurveOptions): Scenario {
  return {
    ...rest,
    about: `${about} ${ALL_CURVES}`,
    subjects: contenders.flatMap((contender) => values.map((value) => `${contender} ${value}`)),
    rounds: 1,
    isDefault: false,
    goals: [],
    chart: { metric: 'acknowledgedPerSecond', unit },
    measure: (subject, stage) => measurePoint(subject, stage, point),
  };
}
