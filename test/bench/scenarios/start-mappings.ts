import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'amqplib';
import { freePort } from '../../helpers/free-port.ts';
import type { Measured, Scenario, Stage } from '../scenario.ts';
import { withContender } from './steps.ts';

const MAPPINGS = 1_000;
const POLL_MS = 100; // each look costs the gateway some ms
const OPEN_LIMIT_MS = 180_000;

/** What the mappings of a subject lead to. */
const SUBJECTS = {
  'own queues (classic)': { isShared: false, type: 'classic' },
  'own queues (quorum)': { isShared: false, type: 'quorum' },
  'one queue': { isShared: true, type: 'quorum' },
} as const;

interface Far {
  readonly exchange: string;
  readonly queue: string;
}

/** The exchange and queue of each mapping. */
function farEnds(isShared: boolean, prefix: string): Far[] {
  return Array.from({ length: MAPPINGS }, (_, n) => {
    const name = isShared ? prefix : `${prefix}-${n}`;
    return { exchange: `exchange-${name}`, queue: name };
  });
}

/** Resolves when no lane waits for the broker any more. */
async function allOpen(adminPort: number): Promise<void> {
  const deadlineMs = performance.now() + OPEN_LIMIT_MS;
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${adminPort}/readyz?verbose`);
    const { checks } = (await answer.json()) as { checks: { lanes: { status: string } } };
    if (checks.lanes.status === 'ok') return;
    if (performance.now() > deadlineMs) throw new Error(`lanes wait after ${OPEN_LIMIT_MS} ms`);
    await delay(POLL_MS);
  }
}

/** The broker is that of all measurements: what was declared on it must not stay. */
async function removeAll(url: string, ends: readonly Far[]): Promise<void> {
  const model = await connect(url);
  const channel = await model.createChannel();
  for (const { queue, exchange } of new Map(ends.map((end) => [end.queue, end])).values()) {
    await channel.deleteQueue(queue);
    await channel.deleteExchange(exchange);
  }
  await model.close();
}

async function measure(subject: string, stage: Stage): Promise<Measured> {
  const { isShared, type } = SUBJECTS[subject as keyof typeof SUBJECTS];
  const adminPort = await freePort();
  let ends: readonly Far[] = [];
  let beganMs = 0;
  const options = {
    config: { admin: { port: adminPort } },
    mappings: (queue: string) => {
      ends = farEnds(isShared, `start-${queue}`);
      beganMs = performance.now(); // with its config there the process is started
      return ends.map((end, n) => ({
        name: `mapping-${n}`,
        filter: `devices/+device/kind-${n}/#metric`,
        exchange: { name: end.exchange, type: 'topic' },
        queues: [{ name: end.queue, type, bindingKey: '#' }],
      }));
    },
  };
  try {
    return await withContender('tidegate-adaptive', stage, options, async ({ running }) => {
      const readyMs = performance.now() - beganMs;
      await allOpen(adminPort);
      const openMs = performance.now() - beganMs;
      await running.stop();
      const beganAgainMs = performance.now();
      const again = await running.restart();
      try {
        await allOpen(adminPort);
        const againOpenMs = performance.now() - beganAgainMs;
        return { readyMs, openMs, againReadyMs: again.startMs, againOpenMs };
      } finally {
        await again.running.stop();
      }
    });
  } finally {
    await removeAll(stage.central.url, ends);
  }
}

export const startMappings: Scenario = {
  name: 'start-mappings',
  title: 'Start with 1,000 mappings',
  about:
    'From the start of the process to the line `ready`, and until each of 1,000 lanes has its confirm channel; the first time with an empty store and nothing declared at the broker, then again. Each mapping has an exchange and a queue of its own, or all have one.',
  subjects: Object.keys(SUBJECTS),
  rounds: 3,
  isDefault: true,
  goals: [
    {
      what: '1,000 mappings, start to `ready`',
      metric: 'readyMs',
      of: 'own queues (classic)',
      as: 'value',
      isGood: 'low',
      atLeast: 4_000,
      aim: 2_000,
      unit: 'ms',
    },
    {
      what: '1,000 mappings, start until all lanes are open',
      metric: 'openMs',
      of: 'own queues (classic)',
      as: 'value',
      isGood: 'low',
      atLeast: 10_000,
      aim: 4_000,
      unit: 'ms',
    },
  ],
  measure,
};
