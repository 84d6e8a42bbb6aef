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
  readonly epoch: string;
  readonly state: string;
  readonly until: number;
  readonly delivered: number;
  readonly named: number;
  readonly missing: readonly number[];
  readonly unacknowledged: readonly number[];
}

interface Example {
  readonly exited: Promise<ProcessExit>;
  /** The last report of each epoch, oldest first. */
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
      all.map((line): [string, Report] => [JSON.parse(line).epoch, JSON.parse(line)]),
    );
    return [...last.values()].sort((a, b) => (a.epoch < b.epoch ? -1 : 1));
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

  const proof = { missing: [], unacknowledged: [] };
  await eventually(() => {
    const reports = example.reports();
    expect(reports).toMatchObject([
      { epoch: `site/${LANE}/1`, state: 'ended', until: 300, ...proof },
      { epoch: `site/${LANE}/2`, state: 'crashed', until: 100, ...proof },
      { epoch: `site/${LANE}/3`, state: 'running', until: 20, ...proof },
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
