import { setTimeout as delay } from 'node:timers/promises';
import { usageOf } from '../box.ts';
import { Load } from '../load.ts';
import type { Scenario } from '../scenario.ts';
import { withContender } from './steps.ts';

const CLIENTS = 10_000;
const CONNECT_PER_SECOND = 1_000;
const SETTLE_MS = 5_000;
const BYTES_PER_MB = 1_000_000;

export const idleClients: Scenario = {
  name: 'idle-clients',
  title: '10,000 idle clients',
  about:
    'Resident memory with 10,000 clients that are connected and say nothing, 5 seconds after the last of them came.',
  subjects: ['tidegate-adaptive', 'rabbitmq-shovel-quorum', 'mosquitto-bridge', 'bare-aedes'],
  rounds: 1,
  isDefault: true,
  goals: [
    {
      what: 'resident memory with 10,000 idle clients',
      metric: 'residentMb',
      of: 'tidegate-adaptive',
      as: 'value',
      isGood: 'low',
      atLeast: 300,
      aim: 200,
      unit: 'MB',
    },
  ],
  measure: (subject, stage) =>
    withContender(subject, stage, {}, async ({ running }) => {
      const load = await Load.start({
        port: running.mqttPort,
        clients: CLIENTS,
        window: 1,
        payloadBytes: 32,
        messages: 0,
        connectPerSecond: CONNECT_PER_SECOND,
      });
      await delay(SETTLE_MS);
      const { residentBytes } = await usageOf(running.pids);
      await load.kill();
      return { residentMb: residentBytes / BYTES_PER_MB };
    }),
};
