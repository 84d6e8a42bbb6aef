import { barePublisher } from '../limits/bare-publisher.ts';
import { Load } from '../load.ts';
import type { Measured, Scenario, Stage } from '../scenario.ts';
import { ALL_WAYS, BARE, checkPubacks, FLEET, measuringBox, withContender } from './steps.ts';

const RATE_PER_SECOND = 1_000;
const WARM_UP_MS = 2_000;
const MESSAGES = 10_000;
const ARRIVAL_LIMIT_MS = 30_000;

async function bare(stage: Stage): Promise<Measured> {
  const queue = await stage.central.queue();
  const { confirmMs, sentBy } = await barePublisher(queue.name, {
    url: stage.central.url,
    messages: MESSAGES,
    payloadBytes: FLEET.payloadBytes,
    window: MESSAGES,
    ratePerSecond: RATE_PER_SECOND,
    warmUpMs: WARM_UP_MS,
  });
  await queue.verify(sentBy, sentBy);
  await queue.remove();
  return { pubackP50Ms: confirmMs.p50, pubackP99Ms: confirmMs.p99, pubackP999Ms: confirmMs.p999 };
}

function through(subject: string, stage: Stage): Promise<Measured> {
  return withContender(subject, stage, {}, async ({ running, queue }) => {
    const pace = { messages: MESSAGES, ratePerSecond: RATE_PER_SECOND, warmUpMs: WARM_UP_MS };
    const load = await Load.start({ ...FLEET, ...pace, port: running.mqttPort });
    return measuringBox(running, async () => {
      load.go();
      const result = await load.finished();
      checkPubacks(result);
      await queue.holds(MESSAGES, ARRIVAL_LIMIT_MS);
      await queue.verify(result.acknowledgedBy, result.sentBy);
      const { p50, p99, p999 } = result.pubackMs;
      return {
        messages: MESSAGES,
        measured: { pubackP50Ms: p50, pubackP99Ms: p99, pubackP999Ms: p999 },
      };
    });
  });
}

export const latency: Scenario = {
  name: 'latency',
  title: 'PUBACK latency at 1,000 messages a second',
  about:
    '20 clients publish 1,000 messages of 200 B a second in all, with QoS 1, over a healthy link, for 10 seconds of which the first two do not count. A PUBACK is timed from the moment its message was due, so that a server that stands still is charged for all that came due meanwhile. The bare publisher is timed the same way from due to confirm.',
  subjects: ALL_WAYS,
  rounds: 2,
  isDefault: true,
  goals: [
    ...['rabbitmq-shovel-quorum', 'rabbitmq-shovel-classic'].map((against) => ({
      what: `PUBACK p99 at 1,000 msg/s, disk-first, against ${against}`,
      metric: 'pubackP99Ms',
      of: 'tidegate-disk-first',
      against,
      as: 'ratio' as const,
      isGood: 'low' as const,
      atLeast: 1,
      aim: 0.5,
      unit: '×',
    })),
    {
      what: "PUBACK p99 at 1,000 msg/s, adaptive, healthy link, above the bare confirm publisher's own p99",
      metric: 'pubackP99Ms',
      of: 'tidegate-adaptive',
      against: BARE,
      as: 'difference',
      isGood: 'low',
      atLeast: 10,
      aim: 3,
      unit: 'ms',
    },
  ],
  measure: (subject, stage) => (subject === BARE ? bare(stage) : through(subject, stage)),
};
