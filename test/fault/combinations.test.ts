import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type RabbitNode, startRabbitNode } from '../helpers/rabbitmq-node.ts';
import { reportResult, SEED, scale } from '../helpers/soak.ts';
import { describePlan, drawPlan, FAULT_KINDS, pairsOf } from './combinations-plan.ts';
import { CombinationsRun } from './combinations-run.ts';
import { createCombinationsSite } from './combinations-site.ts';
import { CombinationsTally } from './combinations-tally.ts';

/** Each has a seed of its own, one more than the one before, and takes about 25 s. */
const COMBINATIONS = scale('combinations', { short: 1, long: 150 });
/** Seeds of the long form, which must leave no pair out. */
const LONG_RUN = 150;
const LIMIT_MS = 5 * 60_000;

const seeds = Array.from({ length: COMBINATIONS }, (_, index) => SEED + index);
const tally = new CombinationsTally();
let node: RabbitNode;

beforeAll(async () => {
  node = await startRabbitNode();
  return () => node.stop();
});

afterAll(() => {
  const rows = tally.rows();
  const title =
    'Two or three faults at once, drawn from a seed, under load: disk, broker, link, reload, release, ends and the clock';
  if (rows.length > 0) reportResult({ scenario: 'combinations', title, rows });
});

test.skipIf(process.getuid?.() !== 0).for(seeds)(
  'several faults at once lose nothing, stop nothing, and tell no loss that nobody caused: seed %i',
  { timeout: LIMIT_MS },
  async (seed) => {
    const plan = drawPlan(seed);
    onTestFinished(() => node.thaw());
    const result = await new CombinationsRun(await createCombinationsSite(plan, node)).run();
    tally.add(plan, result);
    const repeat = `npm run test:soak -- combinations --combinations=1 --seed=${seed}`;
    const text = `${describePlan(plan)}\nThe same faults at the same times: ${repeat}\n`;
    expect(result.failures, text).toEqual([]);
  },
);

test('a seed draws the same each time, and the seeds of a long run draw each pair of faults', () => {
  expect(drawPlan(SEED)).toEqual(drawPlan(SEED));
  const seen = new Set(
    Array.from({ length: LONG_RUN }, (_, index) => drawPlan(SEED + index)).flatMap(({ rounds }) =>
      rounds.flatMap(({ faults }) => pairsOf(faults.map(({ kind }) => kind))),
    ),
  );
  expect(seen.size).toBe((FAULT_KINDS.length * (FAULT_KINDS.length - 1)) / 2);
});
