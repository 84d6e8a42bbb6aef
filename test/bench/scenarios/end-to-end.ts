import { barePublisher } from '../limits/bare-publisher.ts';
import { Load } from '../load.ts';
import type { Measured, Scenario, Stage } from '../scenario.ts';
import { ALL_WAYS, BARE, checkPubacks, FLEET, measuringBox, withContender } from './steps.ts';

const MESSAGES = 100_000;
const WINDOW = 1_000;
const LIMIT_MS = 120_000;
const MS_PER_SECOND = 1000;

async function bare(stage: Stage): Promise<Measured> {
  const queue = await stage.central.queue();
  const options = { url: stage.central.url, messages: MESSAGES, payloadBytes: FLEET.payloadBytes };
  const result = await barePublisher(queue.name, { ...options, window: WINDOW });
  const seconds =
    ((await queue.holds(MESSAGES, LIMIT_MS)) - result.firstPublishAtMs) / MS_PER_SECOND;
  await queue.verify(result.sentBy, result.sentBy);
  await queue.remove();
  return {
    seconds,
    messagesPerSecond: MESSAGES / seconds,
    cpuUsPerMessage: (result.cpuSeconds * 1_000_000) / MESSAGES,
  };
}

function through(subject: string, stage: Stage): Promise<Measured> {
  return withContender(subject, stage, {}, async ({ running, queue }) => {
    const load = await Load.start({ ...FLEET, port: running.mqttPort, messages: MESSAGES });
    return measuringBox(running, async () => {
      load.go();
      const lastAtMs = await queue.holds(MESSAGES, LIMIT_MS);
      const result = await load.finished();
      checkPubacks(result);
      const seconds = (lastAtMs - result.firstPublishAtMs) / MS_PER_SECOND;
      const arrived = await queue.verify(result.acknowledgedBy, result.sentBy);
      return {
        messages: MESSAGES,
        measured: {
          seconds,
          messagesPerSecond: MESSAGES / seconds,
          acknowledgedPerSecond: result.perSecond,
          duplicated: arrived.duplicated,
          reordered: arrived.reordered,
        },
      };
    });
  });
}

export const endToEnd: Scenario = {
  name: 'end-to-end',
  title: 'From the device to the central queue',
  about:
    '20 clients publish 100,000 messages of 200 B with QoS 1, each with 50 unacknowledged at most, over a healthy link. The time is that from the first PUBLISH to the last message in the central quorum queue; then each message is taken out and checked by client and counter. The bare publisher writes the same messages with the same headers to the same kind of queue, with 1,000 unconfirmed.',
  subjects: ALL_WAYS,
  rounds: 2,
  isDefault: true,
  goals: [
    ...['rabbitmq-shovel-quorum', 'rabbitmq-shovel-classic'].map((against) => ({
      what: `first PUBLISH to last message in the central queue, 100,000 messages, faster than ${against}`,
      metric: 'seconds',
      of: 'tidegate-adaptive',
      against,
      as: 'inverse' as const,
      isGood: 'high' as const,
      atLeast: 1.5,
      aim: 2,
      unit: '×',
    })),
    {
      what: 'the same against a bare amqplib confirm publisher',
      metric: 'messagesPerSecond',
      of: 'tidegate-adaptive',
      against: BARE,
      as: 'ratio',
      isGood: 'high',
      atLeast: 0.7,
      aim: 0.95,
      unit: '×',
    },
  ],
  measure: (subject, stage) => (subject === BARE ? bare(stage) : through(subject, stage)),
};
