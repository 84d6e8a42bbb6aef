import { expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import {
  EXAMPLE_LIMIT,
  type ExampleConsumer,
  runConsumer,
  startExampleGateway,
} from '../helpers/example.ts';
import { scrape } from '../helpers/scrape.ts';

/** A message beyond the expected ones would stand before the last of them, or come as one too many. */
async function expectLines(consumer: ExampleConsumer, lines: string[]): Promise<void> {
  await eventually(() => expect(consumer.lines()).toEqual(lines), EXAMPLE_LIMIT);
}

test('the routing example brings each level to the queues that are for it, and an unknown one is parked', async () => {
  const gateway = await startExampleGateway('routing');
  const alerts = await runConsumer('routing/consumer.mjs');
  const archive = await runConsumer('routing/consumer.mjs', '--queue', 'logs.archive');
  for (const level of ['info', 'error', 'debug', 'warning', 'critical']) {
    await gateway.publish(`devices/d7/log/${level}`, `a ${level}`);
  }
  const line = (level: string): string => `${level}: a ${level} (devices/d7/log/${level})`;
  await expectLines(alerts, ['error', 'critical'].map(line));
  await expectLines(archive, ['info', 'error', 'warning', 'critical'].map(line));
  const metrics = await scrape(gateway.adminPort);
  expect(metrics.get('tidegate_lane_parked_messages{lane="logs"}')).toBe(1);
});

test('the topics example chooses by words, * for one and # for any number, and each message comes once', async () => {
  const gateway = await startExampleGateway('topics');
  const one = await runConsumer('topics/consumer.mjs', '*.boiler.temp');
  const any = await runConsumer('topics/consumer.mjs', 'north.#', '#.temp');
  const sent = [
    ['sites/north/boiler/temp', 'north.boiler.temp 1'],
    ['sites/south/boiler/temp', 'south.boiler.temp 2'],
    ['sites/north/boiler/temp/inlet', 'north.boiler.temp.inlet 3'],
    ['sites/south/boiler', 'south.boiler. 4'],
    ['sites/south/pump/rpm', 'south.pump.rpm 5'],
    ['sites/north/boiler/temp', 'north.boiler.temp 6'],
  ] as const;
  for (const [topic, line] of sent) await gateway.publish(topic, line.slice(-1));
  const lines = (...indexes: number[]): string[] => indexes.map((at) => sent[at - 1]?.[1] ?? '');
  await expectLines(one, lines(1, 2, 6));
  await expectLines(any, lines(1, 2, 3, 6));
  const metrics = await scrape(gateway.adminPort);
  expect(metrics.get('tidegate_lane_parked_messages{lane="readings"}')).toBe(0);
});

test('the headers example chooses by all of several values, by any of them, or by none', async () => {
  const gateway = await startExampleGateway('headers');
  const queues = ['alarms.pager', 'alarms.watch', 'alarms.all'];
  const [pager, watch, all] = await Promise.all(
    queues.map((queue) => runConsumer('headers/consumer.mjs', '--queue', queue)),
  );
  if (pager === undefined || watch === undefined || all === undefined) throw new Error('not run');
  const alarms = [
    { level: 1, kind: 'door' },
    { level: 3, kind: 'door' },
    { level: '3', kind: 'door' }, // text is not the number
    { level: 1, kind: 'fire' },
    { level: 3, kind: 'fire' },
  ];
  for (const alarm of alarms) await gateway.publish('devices/d7/alarm', alarm);
  const lines = alarms.map(({ level, kind }) => `${kind}, level ${level}: devices/d7/alarm`);
  await expectLines(all, lines);
  await expectLines(watch, [lines[1], lines[3], lines[4]].map(String));
  await expectLines(pager, lines.slice(4));
});
