import { Load } from '../load.ts';
import type { Measured, Scenario, Stage } from '../scenario.ts';
import { checkPubacks, FLEET, measuringBox, withContender } from './steps.ts';

const DURATION_MS = 5_000;
/** What a disk with 100 ms a sync takes easily in groups, so that the latency is not that of a queue. */
const PACE = { ratePerSecond: 200, messages: 1_200, warmUpMs: 1_000 } as const;
const US_PER_MS = 1000;
const SUBJECT = /^(\S+) (\d+) ms$/;

/** `-D` leaves the process its own pid; with seccomp only the delayed calls stop at the tracer. */
const delayed = (ms: number): string[] => [
  'strace',
  '-D',
  '-f',
  '--seccomp-bpf',
  '-qqq',
  '-o',
  '/dev/null',
  '-e',
  'trace=fsync,fdatasync',
  '-e',
  `inject=fsync,fdatasync:delay_exit=${ms * US_PER_MS}`,
];

async function measure(subject: string, stage: Stage): Promise<Measured> {
  const [, contender = '', ms = ''] = SUBJECT.exec(subject) ?? [];
  const play = { isConnected: false, ...(ms === '0' ? {} : { wrapper: delayed(Number(ms)) }) };
  return withContender(contender, stage, play, async ({ running }) => {
    const to = { ...FLEET, port: running.mqttPort };
    const load = await Load.start({ ...to, durationMs: DURATION_MS });
    const measured = await measuringBox(running, async () => {
      load.go();
      const result = await load.finished();
      checkPubacks(result);
      const { p50, p99 } = result.pubackMs;
      const rate = { acknowledgedPerSecond: result.perSecond };
      return {
        messages: result.acknowledged,
        measured: { ...rate, pubackP50Ms: p50, pubackP99Ms: p99 },
      };
    });
    const paced = await Load.run({ ...to, ...PACE, clientPrefix: 'p' });
    checkPubacks(paced);
    return {
      ...measured,
      pacedPubackP50Ms: paced.pubackMs.p50,
      pacedPubackP99Ms: paced.pubackMs.p99,
    };
  });
}

const contenders = ['tidegate-disk-first', 'rabbitmq-shovel-quorum', 'rabbitmq-shovel-classic'];

export const slowDisk: Scenario = {
  name: 'slow-disk',
  title: 'A disk that takes its time, such as an SD card',
  about:
    'As the scenario "ingest", with every fsync and fdatasync of the contender made to take 20 and 100 ms longer (strace); then 200 messages a second for 6 seconds of which the first does not count, timed from when each was due. Written bytes are those of the processes, as the kernel counts them.',
  subjects: ['0', '20', '100'].flatMap((ms) => contenders.map((name) => `${name} ${ms} ms`)),
  rounds: 1,
  isDefault: false,
  goals: [],
  chart: { metric: 'acknowledgedPerSecond', unit: 'ms' },
  measure,
};
