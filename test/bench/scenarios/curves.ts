import type { Scenario } from '../scenario.ts';
import { backlogOf } from './backlog-story.ts';
import { curve, SUBJECT } from './curve.ts';
import type { PlayOptions } from './steps.ts';

/** PUBLISHes unacknowledged over all clients. */
const IN_FLIGHT = 1_000;
const KIB_BYTES = 1024;
const ADAPTIVE = 'tidegate-adaptive';
const DISK_FIRST = 'tidegate-disk-first';
/** Set, it adds the backlog of 10,000,000 messages, which takes half an hour and some GB. */
const LONG_VARIABLE = 'TIDEGATE_BENCH_LONG';

/** Mappings that lead to the queue of the measurement and take messages in turns. */
function lanes(count: number): PlayOptions {
  return {
    mappings: (queue) =>
      Array.from({ length: count }, (_, n) => ({
        name: `lane-${n}`,
        filter: `devices/+device/lane-${n}/#metric`,
        exchange: { name: `exchange-${queue}`, type: 'topic' },
        queues: [{ name: queue, type: 'quorum', bindingKey: '#' }],
      })),
  };
}

/** The one mapping of the other scenarios, behind others that match nothing. */
function idleMappings(count: number): PlayOptions {
  return {
    mappings: (queue, main) => [
      ...Array.from({ length: count - 1 }, (_, n) => ({
        name: `other-${n}`,
        filter: `devices/+device/other-${n}/#metric`,
        exchange: { name: `exchange-${queue}`, type: 'topic' },
      })),
      main,
    ],
  };
}

const backlogSizes = ['1000', '10000', '100000', '1000000'];
if (process.env[LONG_VARIABLE] !== undefined) backlogSizes.push('10000000');

/** How numbers change with one size of the work. Run by name. */
export const curves: readonly Scenario[] = [
  curve({
    name: 'clients',
    title: 'By the number of clients',
    about: `Up to ${IN_FLIGHT} unacknowledged messages of 200 B in all, shared by more and more clients.`,
    contenders: [ADAPTIVE, DISK_FIRST, 'rabbitmq-shovel-quorum'],
    values: ['1', '10', '100', '1000', '10000'],
    unit: 'clients',
    point: (clients) => ({
      load: { clients, window: Math.max(1, Math.floor(IN_FLIGHT / clients)) },
    }),
  }),
  curve({
    name: 'payload',
    title: 'By the size of the payload',
    about: '20 clients, 50 unacknowledged each up to 2 KiB, 5 above.',
    contenders: [ADAPTIVE, DISK_FIRST],
    values: ['20 B', '200 B', '2 KiB', '16 KiB', '64 KiB', '256 KiB'],
    unit: 'bytes',
    point: (value, unit) => {
      const payloadBytes = unit === 'KiB' ? value * KIB_BYTES : value;
      return { load: { payloadBytes, window: payloadBytes > 2 * KIB_BYTES ? 5 : 50 } };
    },
  }),
  curve({
    name: 'window',
    title: 'By the window of a client',
    about: '20 clients with more and more unacknowledged messages of 200 B.',
    contenders: [ADAPTIVE, DISK_FIRST],
    values: ['1', '10', '100', '1000'],
    unit: 'messages',
    point: (window) => ({ load: { window } }),
  }),
  curve({
    name: 'mappings',
    title: 'By the number of mappings',
    about: 'All but one mapping match nothing; each has its lane and its channel all the same.',
    contenders: [ADAPTIVE],
    values: ['1', '10', '100', '1000'],
    unit: 'mappings',
    point: (count) => ({ load: {}, play: idleMappings(count) }),
  }),
  curve({
    name: 'lanes',
    title: 'By the number of lanes',
    about: 'The messages of each client go to the lanes in turns.',
    contenders: [ADAPTIVE, DISK_FIRST],
    values: ['1', '10', '100'],
    unit: 'lanes',
    point: (topics) => ({
      load: { topics, topic: 'devices/{client}/lane-{n}/bench' },
      play: lanes(topics),
    }),
  }),
  {
    name: 'backlog-curve',
    title: 'By the size of the backlog',
    about: `As the scenario "backlog", with more and more messages (10,000,000 with ${LONG_VARIABLE}=1).`,
    subjects: backlogSizes.map((size) => `${ADAPTIVE} ${size}`),
    rounds: 1,
    isDefault: false,
    goals: [],
    chart: { metric: 'drainedPerSecond', unit: 'messages' },
    measure: (subject, stage) => backlogOf(Number(SUBJECT.exec(subject)?.[2]), stage),
  },
];
