import { expect, test } from 'vitest';
import type { DeviceMessage } from '../shared/message.ts';
import type { RouteSpec } from './mapping.ts';
import { compileRoutes, type RouteTable } from './route-table.ts';

/** Rounds that count, each with both tables in turn, so that both meet what else the machine does. */
const ROUNDS = 21;
const WARM_UP_ROUNDS = 5;
/** They have 600 topics. */
const MESSAGES = 600;
const FEW = 10;
const MANY = 1_000;

/** Every topic matches the same mappings in both tables; the large one has others beside them. */
function tableOf(count: number, cachedRoutes: number): RouteTable {
  const specs: RouteSpec[] = Array.from({ length: count }, (_, i) => ({
    name: `m${i}`,
    filter: i % 2 === 0 ? `site/+line/kind${i}/+device/#metric` : `site/+/kind${i - 1}/#`,
    ...(i % 2 === 0 ? { routingKey: `\${line}.\${device}.\${metric}` } : {}),
  }));
  return compileRoutes(specs, { gatewayId: 'g', cachedRoutes });
}

const messages: DeviceMessage[] = Array.from({ length: MESSAGES }, (_, i) => ({
  topic: `site/line${i % 3}/kind${(i * 2) % FEW}/device${i % 200}/temperature/inside`,
  payload: Buffer.from('21.5'),
  qos: 1,
  dup: false,
  retain: false,
  clientId: 'c',
  receivedAtMs: 1,
}));

function roundMs(table: RouteTable, repeats: number): number {
  const startMs = performance.now();
  let routes = 0;
  for (let i = 0; i < repeats; i++) {
    for (const message of messages) routes += table.route(message).length;
  }
  expect(routes).toBe(2 * messages.length * repeats);
  return performance.now() - startMs;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

test.each([
  ['from the cache', 4_096, 50],
  ['without a cache', 0, 1],
])(
  'Routing with 1,000 mappings has at least half the rate of 10 mappings, %s',
  (_how, cachedRoutes, repeats) => {
    const few = tableOf(FEW, cachedRoutes);
    const many = tableOf(MANY, cachedRoutes);
    const fewMs: number[] = [];
    const manyMs: number[] = [];
    for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
      const times = [roundMs(few, repeats), roundMs(many, repeats)] as const;
      if (round < 0) continue;
      fewMs.push(times[0]);
      manyMs.push(times[1]);
    }
    const ratio = median(fewMs) / median(manyMs);
    expect(ratio).toBeGreaterThan(0.5);
  },
);
