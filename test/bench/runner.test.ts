import { existsSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { RabbitNode } from '../helpers/rabbitmq-node.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { Central } from './central.ts';
import type { MachineFacts } from './facts.ts';
import { type RunContext, runScenario } from './runner.ts';
import { unmeasured, valuesOf } from './runner-result.ts';
import type { Scenario } from './scenario.ts';

const FACTS: MachineFacts = {
  date: '',
  commit: 'abc1234',
  node: '20',
  rabbitmq: '3.10',
  cores: 2,
  memoryMib: 1000,
  cpu: 'cpu',
  kernel: '6',
  loadBefore: 0,
  syncP50Ms: 1,
  syncP99Ms: 2,
  ceilingPerSecond: 3,
};

const SCENARIO: Omit<Scenario, 'measure'> = {
  name: 'fake',
  title: 'A fake',
  about: 'Nothing.',
  subjects: ['a', 'b/c'],
  rounds: 2,
  isDefault: true,
  goals: [],
};

/** Its node never starts: the fakes have no use for it. */
function contextOf(dir: string, said: string[] = []): RunContext {
  const ports = { amqp: 1, distribution: 2, epmd: 3 };
  const node = new RabbitNode(dir, ports, { plugins: [], config: '' });
  return { dir, central: new Central(node, 4), facts: FACTS, say: (line) => said.push(line) };
}

test('subjects are measured in turns, each in an empty folder that is gone afterwards', async () => {
  const dir = await tempDir('bench');
  const order: string[] = [];
  const measure: Scenario['measure'] = async (subject, stage) => {
    order.push(subject);
    expect(await readdir(stage.dir)).toEqual([]);
    await writeFile(join(stage.dir, 'x'), 'x');
    return { count: order.length };
  };
  const result = await runScenario({ ...SCENARIO, measure }, contextOf(dir));
  expect(order).toEqual(['a', 'b/c', 'a', 'b/c']);
  expect(valuesOf(result, 'b/c', 'count')).toEqual([2, 4]);
  expect(result.rounds.map(({ round }) => round)).toEqual([1, 1, 2, 2]);
  expect(await readdir(dir)).toEqual([]);
});

test('a measurement that throws is told with its reason, does not count, and the others go on', async () => {
  const said: string[] = [];
  const dir = await tempDir('bench');
  const measure: Scenario['measure'] = async (subject) => {
    if (subject === 'a') throw new Error('3 messages missing');
    return { count: 1 };
  };
  const result = await runScenario({ ...SCENARIO, measure }, contextOf(dir, said));
  expect(said.join('\n')).toContain('3 messages missing');
  expect(result.rounds[0]).toMatchObject({ subject: 'a', failure: '3 messages missing' });
  expect(valuesOf(result, 'a', 'count')).toEqual([]);
  expect(unmeasured(result)).toEqual(['a']);
  expect(existsSync(join(dir, 'fake-a-1'))).toBe(false);
});

test('the number of rounds can be another than the scenario wants', async () => {
  const dir = await tempDir('bench');
  const measure: Scenario['measure'] = async () => ({ count: 1 });
  const context = { ...contextOf(dir), rounds: 1 };
  expect((await runScenario({ ...SCENARIO, measure }, context)).rounds).toHaveLength(2);
});
