import { groupCommit } from '../limits/group-commit.ts';
import { Load } from '../load.ts';
import type { Measured, Scenario, Stage } from '../scenario.ts';
import { checkPubacks, FLEET, measuringBox, withContender } from './steps.ts';

const DURATION_MS = 3_000;
/** How long the backlog of the first round may take to the centre. */
const DRAIN_LIMIT_MS = 120_000;
const GROUP_COMMIT = 'group-commit';
const BATCH = FLEET.clients * FLEET.window;
const TIDEGATE = /^tidegate-/;

async function limit(stage: Stage): Promise<Measured> {
  const options = { dir: stage.dir, durationMs: DURATION_MS, payloadBytes: FLEET.payloadBytes };
  return { acknowledgedPerSecond: await groupCommit({ ...options, batch: BATCH }) };
}

async function through(subject: string, stage: Stage): Promise<Measured> {
  return withContender(subject, stage, { isConnected: false }, async (play) => {
    const { running, queue, openUplink } = play;
    const load = await Load.start({ ...FLEET, port: running.mqttPort, durationMs: DURATION_MS });
    const measured = await measuringBox(running, async () => {
      load.go();
      const result = await load.finished();
      checkPubacks(result);
      const { p50, p99 } = result.pubackMs;
      return {
        messages: result.acknowledged,
        measured: {
          acknowledgedPerSecond: result.perSecond,
          pubackP50Ms: p50,
          pubackP99Ms: p99,
          loadCpuSeconds: result.cpuSeconds,
        },
      };
    });
    if (!TIDEGATE.test(subject)) return measured;
    const { acknowledged, acknowledgedBy, sentBy } = await load.finished();
    await openUplink();
    await queue.holds(acknowledged, DRAIN_LIMIT_MS);
    const { duplicated, reordered } = await queue.verify(acknowledgedBy, sentBy);
    return { ...measured, duplicated, reordered };
  });
}

export const ingest: Scenario = {
  name: 'ingest',
  title: 'Acknowledged ingest while the central broker is away',
  about:
    'The link is cut from the beginning. 20 clients publish messages of 200 B with QoS 1 for 3 seconds, each with 50 unacknowledged at most. Counted are PUBACKs. What Tidegate acknowledged is let through to the central queue afterwards and checked by client and counter.',
  subjects: [
    'tidegate-adaptive',
    'tidegate-disk-first',
    'rabbitmq-shovel-quorum',
    'rabbitmq-shovel-classic',
    'mosquitto-bridge',
    'bare-aedes',
    GROUP_COMMIT,
  ],
  rounds: 2,
  isDefault: true,
  goals: ['tidegate-disk-first', 'tidegate-adaptive'].map((of) => ({
    what: `acknowledged ingest, broker down, all synced, 20 clients, window 50, 200 B, QoS 1 (${of})`,
    metric: 'acknowledgedPerSecond',
    of,
    against: 'rabbitmq-shovel-quorum',
    as: 'ratio',
    isGood: 'high',
    atLeast: 5,
    aim: 8,
    unit: '×',
  })),
  measure: (subject, stage) => (subject === GROUP_COMMIT ? limit(stage) : through(subject, stage)),
};
