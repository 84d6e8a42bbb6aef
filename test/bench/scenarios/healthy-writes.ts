import { setTimeout as delay } from 'node:timers/promises';
import { usageOf } from '../box.ts';
import { Load } from '../load.ts';
import type { Measured, Scenario, Stage } from '../scenario.ts';
import { checkPubacks, FLEET, withContender } from './steps.ts';

const RATE_PER_SECOND = 1_000;
/** Of the contender that is judged. */
const JUDGED_SECONDS = 60;
const OTHER_SECONDS = 10;
/**
 * What a start writes is not counted. Tidegate's mark of an unproven start goes after a minute (8 KiB of the file
 * system's own), whatever is published.
 */
const SETTLE_MS = 3_000;
const JUDGED_SETTLE_MS = 62_000;
const ARRIVAL_LIMIT_MS = 30_000;
const JUDGED = 'tidegate-adaptive';

async function measure(subject: string, stage: Stage): Promise<Measured> {
  const messages = RATE_PER_SECOND * (subject === JUDGED ? JUDGED_SECONDS : OTHER_SECONDS);
  // At 250 ms a stalled broker on a busy machine would be a reason to write: that is another scenario.
  const config = { delivery: { spillAfterMs: 5_000 } };
  return withContender(subject, stage, { config }, async ({ running, queue }) => {
    const load = await Load.start({
      ...FLEET,
      port: running.mqttPort,
      messages,
      ratePerSecond: RATE_PER_SECOND,
    });
    await delay(subject === JUDGED ? JUDGED_SETTLE_MS : SETTLE_MS);
    const before = await usageOf(running.pids);
    load.go();
    const result = await load.finished();
    checkPubacks(result);
    await queue.holds(messages, ARRIVAL_LIMIT_MS);
    const after = await usageOf(running.pids);
    await queue.verify(result.acknowledgedBy, result.sentBy);
    const written = after.writtenBytes - before.writtenBytes;
    return { writtenBytes: written, writtenBytesPerMessage: written / messages };
  });
}

export const healthyWrites: Scenario = {
  name: 'healthy-writes',
  title: 'Bytes written to the disk over a healthy link',
  about:
    'The same 1,000 messages a second, for 60 seconds with Tidegate adaptive and 10 with the others. Counted is what the processes on the box write to storage, as the kernel has it in /proc/PID/io; what a start writes is not. Tidegate has `delivery.spillAfterMs: 5000` here: on a busy machine the broker stands still for longer than the 250 ms of the default, and then it is right to write.',
  subjects: [
    JUDGED,
    'tidegate-disk-first',
    'rabbitmq-shovel-quorum',
    'rabbitmq-shovel-classic',
    'mosquitto-bridge',
  ],
  rounds: 1,
  isDefault: true,
  goals: [
    {
      what: 'bytes written to the store at 1,000 msg/s for 60 s, healthy link, a message',
      metric: 'writtenBytesPerMessage',
      of: JUDGED,
      as: 'value',
      isGood: 'low',
      atLeast: 0,
      aim: 0,
      unit: 'B',
    },
  ],
  measure,
};
