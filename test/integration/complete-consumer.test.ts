import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { type ConfirmChannel, connect } from 'amqplib';
import { expect, onTestFinished, test } from 'vitest';
import { exitOf, type ProcessExit, spawnOwned } from '../helpers/child-process.ts';
import { eventually } from '../helpers/eventually.ts';
import { connectDevice, publishRange } from '../helpers/limited-site.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { createSite, LANE, type Site } from '../helpers/site.ts';

const PATIENCE = { withinMs: 60_000 };
const EXAMPLE = fileURLToPath(new URL('../../examples/complete-consumer.mjs', import.meta.url));

interface Report {
  /** What its message-ids begin with. */
  readonly run: string;
  readonly state: string;
  readonly until: number;
  readonly delivered: number;
  readonly named: number;
  readonly missing: readonly number[];
  readonly unacknowledged: readonly number[];
}

interface Example {
  readonly exited: Promise<ProcessExit>;
  /** The last report of each run, oldest first. */
  reports(): Report[];
}

/** Runs the example; resolves when it consumes. */
async function runExample(...args: string[]): Promise<Example> {
  const child = spawnOwned(process.execPath, [EXAMPLE, ...args], {
    env: { PATH: process.env['PATH'], AMQP_URL: sharedAmqpUrl() },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let [output, errors] = ['', ''];
  child.stdout?.on('data', (text) => {
    output += text;
  });
  child.stderr?.on('data', (text) => {
    errors += text;
  });
  await eventually(() => expect(errors).toContain('consuming'), PATIENCE);
  const reports = (): Report[] => {
    const complete = output.slice(0, output.lastIndexOf('\n') + 1);
    const all = complete.split('\n').filter(Boolean);
    const last = new Map(
      all.map((line): [string, Report] => [JSON.parse(line).run, JSON.parse(line)]),
    );
    return [...last.values()].sort((a, b) => (a.run < b.run ? -1 : 1));
  };
  return { exited: exitOf(child), reports };
}

/** A site with limits, whose gap manifest has an exchange of its own. */
async function site(): Promise<{ site: Site; exchange: string; gaps: string }> {
  const gaps = `gaps-${randomUUID()}`;
  const created = await createSite({
    amqpUrl: sharedAmqpUrl(),
    config: { gaps: { exchange: { name: gaps }, queues: [] } },
    mapping: { limits: { maxMessages: 50 }, whenFull: 'drop-oldest' },
  });
  return { site: created, exchange: created.queue, gaps };
}

async function broker(): Promise<ConfirmChannel> {
  const connection = await connect(sharedAmqpUrl());
  onTestFinished(() => connection.close());
  return connection.createConfirmChannel();
}

test('the completeness example proves that all of a gateway was delivered or named, over a stop and a kill', async () => {
  const { site: its, exchange, gaps } = await site();
  const names = ['--exchange', exchange, '--gaps', gaps, '--queue', `${exchange}-complete`];
  const example = await runExample(...names, '--quiet', '500');
  await its.proxy.cut();
  await its.start();
  expect(await publishRange(await connectDevice(its), 1, 300)).toHaveLength(300);
  expect(await its.gateway.stop()).toBe(0);
  await its.start();
  await publishRange(await connectDevice(its), 301, 400);
  await its.gateway.kill();
  await its.proxy.restore();
  await its.start();
  await publishRange(await connectDevice(its), 401, 420);

  const keyOf = (epoch: number): unknown =>
    expect.stringMatching(new RegExp(`^site/${LANE}/${epoch}-[0-9a-f]{16}$`));
  const proof = { missing: [], unacknowledged: [] };
  await eventually(() => {
    const reports = example.reports();
    expect(reports).toMatchObject([
      { run: keyOf(1), state: 'ended', until: 300, ...proof },
      { run: keyOf(2), state: 'crashed', until: 100, ...proof },
      { run: keyOf(3), state: 'running', until: 20, ...proof },
    ]);
    for (const { delivered, named, until } of reports) expect(delivered + named).toBe(until);
  }, PATIENCE);
});

test('the completeness example tells what is missing, and what was only in flight at a crash', async () => {
  const [exchange, gaps] = [`complete-${randomUUID()}`, `gaps-${randomUUID()}`];
  const names = ['--exchange', exchange, '--gaps', gaps, '--queue', exchange];
  const example = await runExample(...names, '--window', '5', '--quiet', '3000', '--once');
  const channel = await broker();
  const publish = (epoch: number, seq: number): unknown => {
    const headers = { 'x-gateway-id': 'g', 'x-lane': LANE, 'x-epoch': epoch, 'x-seq': seq };
    return channel.publish(exchange, 'k', Buffer.alloc(0), { headers });
  };
  const tell = (event: object): unknown =>
    channel.publish(gaps, 'k', Buffer.from(JSON.stringify(event)), {
      headers: { 'x-gateway-id': 'g' },
    });
  // Clean: 2 and 3 are named, 4 is missing, and so is 6 at the end.
  for (const seq of [1, 5, 5]) publish(1, seq);
  tell({ event: 'gap', lane: LANE, epoch: 1, fromSeq: 2, toSeq: 3, count: 2 });
  tell({ event: 'gap', lane: 'other', epoch: 1, fromSeq: 4, toSeq: 4, count: 1 });
  tell({ event: 'epoch-ended', epoch: 1, clean: true, lastSeqs: { [LANE]: 6 } });
  // Crashed: 2 is too far from the end to have been in flight, 11 is not.
  for (const seq of [1, 3, 4, 5, 6, 7, 8, 9, 10, 12]) publish(2, seq);
  tell({ event: 'epoch-ended', epoch: 2, clean: false });
  // Nobody told how the third ended; damage took the rest of it, and the first of the fourth.
  publish(3, 1);
  tell({ event: 'gap', lane: LANE, epoch: 3, fromSeq: 2, toEpoch: 4, toSeq: 2, count: 9 });
  publish(4, 3);
  await channel.waitForConfirms();
  expect(await example.exited).toEqual({ code: 0, signal: null });
  expect(example.reports()).toMatchObject([
    { state: 'ended', until: 6, delivered: 2, named: 2, missing: [4, 6], unacknowledged: [] },
    { state: 'crashed', until: 12, delivered: 10, missing: [2], unacknowledged: [11] },
    { state: 'crashed', until: 1, delivered: 1, missing: [], unacknowledged: [] },
    { state: 'running', until: 3, delivered: 1, named: 2, missing: [], unacknowledged: [] },
  ]);
});

test('the completeness example keeps the runs of a store that was put back apart', async () => {
  const [exchange, gaps] = [`complete-${randomUUID()}`, `gaps-${randomUUID()}`];
  const names = ['--exchange', exchange, '--gaps', gaps, '--queue', exchange];
  const example = await runExample(...names, '--window', '2', '--quiet', '3000', '--once');
  const channel = await broker();
  const publish = (epoch: number, run: string, seq: number): unknown => {
    const identity = { 'x-gateway-id': 'g', 'x-lane': LANE, 'x-epoch': epoch, 'x-run': run };
    return channel.publish(exchange, 'k', Buffer.alloc(0), {
      headers: { ...identity, 'x-seq': seq },
    });
  };
  const tell = (event: object): unknown =>
    channel.publish(gaps, 'k', Buffer.from(JSON.stringify(event)), {
      headers: { 'x-gateway-id': 'g' },
    });
  // A run of an epoch, another of the same after the store was put back, and what followed that one.
  for (const seq of [1, 2, 5, 6]) publish(2, 'a', seq);
  for (const seq of [1, 2]) publish(2, 'b', seq);
  tell({ event: 'gap', lane: LANE, epoch: 2, run: 'b', fromSeq: 3, toSeq: 4, count: 2 });
  tell({ event: 'epoch-ended', epoch: 2, run: 'b', clean: true, lastSeqs: { [LANE]: 5 } });
  publish(3, 'c', 1);
  // Damage over three epochs.
  const gap = { event: 'gap', lane: LANE, reason: 'damaged', count: 4 };
  tell({ ...gap, epoch: 3, run: 'c', fromSeq: 2, toEpoch: 5, toRun: 'e', toSeq: 1 });
  tell({ event: 'epoch-ended', epoch: 3, run: 'c', clean: true, lastSeqs: { [LANE]: 3 } });
  tell({ event: 'epoch-ended', epoch: 4, run: 'd', clean: true, lastSeqs: { [LANE]: 1 } });
  publish(5, 'e', 2);
  await channel.waitForConfirms();
  expect(await example.exited).toEqual({ code: 0, signal: null });
  const runs = example.reports();
  expect(runs.map(({ run }) => run)).toEqual(
    ['2-a', '2-b', '3-c', '4-d', '5-e'].map((run) => `g/${LANE}/${run}`),
  );
  expect(runs).toMatchObject([
    // The gap of the other run explains nothing here.
    { state: 'crashed', until: 6, delivered: 4, named: 0, missing: [3, 4], unacknowledged: [] },
    { state: 'ended', until: 5, delivered: 2, named: 2, missing: [5], unacknowledged: [] },
    { state: 'ended', until: 3, delivered: 1, named: 2, missing: [], unacknowledged: [] },
    { state: 'ended', until: 1, delivered: 0, named: 1, missing: [], unacknowledged: [] },
    { state: 'running', until: 2, delivered: 1, named: 1, missing: [], unacknowledged: [] },
  ]);
});
