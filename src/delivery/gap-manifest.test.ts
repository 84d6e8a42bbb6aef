import { expect, test } from 'vitest';
import { GatewayError } from '../shared/errors.ts';
import { type Gap, GapManifest } from './gap-manifest.ts';
import type { PreviousRun } from './ports.ts';

interface Told {
  readonly routingKey: string;
  readonly event: object;
  readonly safe: () => void;
  readonly failed: (error: Error) => void;
}

/** What the store knows of the runs before: nothing of the third, which was one of 0.1.0. */
const RUNS: ReadonlyMap<number, string> = new Map([
  [1, 'aaaaaaaaaaaaaaaa'],
  [2, 'bbbbbbbbbbbbbbbb'],
]);

/** A manifest whose events become safe when the test says so. */
function manifest(): { gaps: GapManifest; told: Told[] } {
  const told: Told[] = [];
  const publish = (routingKey: string, event: object): Promise<void> =>
    new Promise((safe, failed) => told.push({ routingKey, event, safe, failed }));
  return {
    gaps: new GapManifest(
      publish,
      (epoch) => RUNS.get(epoch),
      () => 42,
    ),
    told,
  };
}

function gap(fromSeq: number, rest: Partial<Gap> = {}): Gap {
  return {
    lane: 'a',
    reason: 'full',
    count: 1,
    bytes: 10,
    epoch: 1,
    fromSeq,
    toSeq: fromSeq,
    ...rest,
  };
}

/** Everything that is due without any event becoming safe. */
async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

test('an event names lane, reason and range, under a key of lane and reason', async () => {
  const { gaps, told } = manifest();
  const named = gaps.record(gap(7));
  await turn();
  expect(told).toMatchObject([{ routingKey: 'a.full' }]);
  expect(told[0]?.event).toEqual({ event: 'gap', ...gap(7), run: RUNS.get(1), at: 42 });
  told[0]?.safe();
  await named;
  expect(gaps.eventsTotal).toBe(1);
});

test('an event names the runs of its epochs, that of its message before what the store knows', async () => {
  const { gaps, told } = manifest();
  void gaps.record(gap(1, { run: 'cccccccccccccccc' }));
  void gaps.record(gap(2, { lane: 'b', toEpoch: 2 }));
  void gaps.record(gap(3, { lane: 'c', epoch: 3, toEpoch: 4 }));
  void gaps.record({ lane: 'd', reason: 'damaged', count: 1, bytes: 0, toEpoch: 2, toSeq: 5 });
  await turn();
  const events = told.map(({ event }) => JSON.parse(JSON.stringify(event)));
  expect(events[0]).toMatchObject({ epoch: 1, run: 'cccccccccccccccc' });
  expect(events[1]).toMatchObject({ run: RUNS.get(1), toRun: RUNS.get(2) });
  expect(Object.keys(events[2])).not.toContain('run');
  expect(Object.keys(events[2])).not.toContain('toRun');
  expect(events[3]).toMatchObject({ toEpoch: 2, toRun: RUNS.get(2) });
  expect(Object.keys(events[3])).not.toContain('run');
});

test('the end of an epoch names its run, also where only the notes of the store have it', async () => {
  const { gaps, told } = manifest();
  const previousRuns: PreviousRun[] = [
    { epoch: 1, run: 'dddddddddddddddd', lastSeqs: undefined },
    { epoch: 2, lastSeqs: new Map([['a', 7]]) },
    { epoch: 3, lastSeqs: undefined },
  ];
  void gaps.previousRuns({
    previousRuns,
    unverified: [],
    previousRunsTold: async () => undefined,
  });
  await turn();
  const runs = told.map(({ event }) => JSON.parse(JSON.stringify(event)).run);
  expect(runs).toEqual(['dddddddddddddddd', RUNS.get(2), undefined]);
});

test('what is given up within one turn is one event', async () => {
  const { gaps, told } = manifest();
  const named = [1, 2, 3].map((seq) => gaps.record(gap(seq)));
  await turn();
  expect(told).toHaveLength(1);
  expect(told[0]?.event).toMatchObject({ fromSeq: 1, toSeq: 3, count: 3, bytes: 30 });
  told[0]?.safe();
  await Promise.all(named);
});

test('gaps grow into one while an event is on its way, and nothing is named before its own is safe', async () => {
  const { gaps, told } = manifest();
  const named: number[] = [];
  const record = (seq: number): void => void gaps.record(gap(seq)).then(() => named.push(seq));
  record(1);
  await turn();
  for (let seq = 2; seq <= 500; seq += 1) record(seq);
  await turn();
  expect(told).toHaveLength(1);
  expect(named).toEqual([]);
  told[0]?.safe();
  await turn();
  expect(named).toEqual([1]);
  expect(told).toHaveLength(2);
  expect(told[1]?.event).toMatchObject({ fromSeq: 2, toSeq: 500, count: 499 });
  told[1]?.safe();
  await turn();
  expect(named).toHaveLength(500);
});

test.each([
  ['a hole between them', gap(3)],
  ['another reason', gap(2, { reason: 'expired' })],
  ['another lane', gap(2, { lane: 'b' })],
  ['another epoch', gap(2, { epoch: 2 })],
  ['another run', gap(2, { run: 'cccccccccccccccc' })],
  ['another detail', gap(2, { detail: 'because' })],
  ['a doubt whether it was delivered', gap(2, { uncertain: true })],
  ['no range', { lane: 'a', reason: 'damaged', count: 4, bytes: 0 } satisfies Gap],
])('gaps stay two for %s', async (_why, second) => {
  const { gaps, told } = manifest();
  void gaps.record(gap(1));
  void gaps.record(second);
  await turn();
  expect(told.map(({ event }) => event)).toMatchObject([gap(1), second]);
});

test('gaps of two lanes that come by turns grow into two', async () => {
  const { gaps, told } = manifest();
  for (let seq = 1; seq <= 4; seq += 1) {
    void gaps.record(gap(seq));
    void gaps.record(gap(seq, { lane: 'b' }));
  }
  await turn();
  expect(told.map(({ event }) => event)).toMatchObject([
    { lane: 'a', fromSeq: 1, toSeq: 4 },
    { lane: 'b', fromSeq: 1, toSeq: 4 },
  ]);
});

test('when an event cannot be made safe, none of its messages may be given up; later ones can be', async () => {
  const { gaps, told } = manifest();
  const failed = [gaps.record(gap(1)), gaps.record(gap(2))];
  const outcomes = Promise.allSettled(failed);
  await turn();
  const later = gaps.record(gap(3));
  told[0]?.failed(new GatewayError('STORE_CLOSED', 'closed'));
  expect(await outcomes).toMatchObject([{ status: 'rejected' }, { status: 'rejected' }]);
  await turn();
  told[1]?.safe();
  await later;
});

test('a start that could not verify what it found is told with its run, and then forgotten', async () => {
  const { gaps, told } = manifest();
  let isForgotten = false;
  const telling = gaps.previousRuns({
    previousRuns: [],
    unverified: [{ epoch: 1, run: 'eeeeeeeeeeeeeeee', isAll: true }],
    previousRunsTold: async () => {
      isForgotten = true;
    },
  });
  expect(told).toMatchObject([
    {
      routingKey: 'store-unverified',
      event: { event: 'store-unverified', epoch: 1, run: 'eeeeeeeeeeeeeeee', isAll: true },
    },
  ]);
  await turn();
  expect(isForgotten).toBe(false);
  told[0]?.safe();
  await telling;
  expect(isForgotten).toBe(true);
});

/** A store that remembers two runs. */
class TwoRuns {
  readonly unverified: readonly [] = [];
  previousRuns: readonly PreviousRun[] = [
    { epoch: 4, lastSeqs: new Map([['a', 17]]) },
    { epoch: 5, lastSeqs: undefined },
  ];

  async previousRunsTold(): Promise<void> {
    this.previousRuns = [];
  }
}

test('the ends of the runs before are told with their last seqs, or as unclean, oldest first', async () => {
  const { gaps, told } = manifest();
  void gaps.previousRuns(new TwoRuns());
  expect(told).toMatchObject([{ routingKey: 'epoch-ended' }, { routingKey: 'epoch-ended' }]);
  expect(told.map(({ event }) => event)).toEqual([
    { event: 'epoch-ended', epoch: 4, clean: true, lastSeqs: { a: 17 }, at: 42 },
    { event: 'epoch-ended', epoch: 5, clean: false, at: 42 },
  ]);
});

test('the store forgets the runs before only when all events are safe', async () => {
  const { gaps, told } = manifest();
  const store = new TwoRuns();
  const telling = gaps.previousRuns(store);
  told[0]?.safe();
  await turn();
  expect(store.previousRuns).toHaveLength(2);
  told[1]?.safe();
  await telling;
  expect(store.previousRuns).toEqual([]);
});

test('runs whose events cannot be made safe are not forgotten', async () => {
  const { gaps, told } = manifest();
  const store = new TwoRuns();
  const telling = gaps.previousRuns(store);
  told[0]?.safe();
  told[1]?.failed(new GatewayError('STORE_CLOSED', 'closed'));
  await expect(telling).rejects.toMatchObject({ code: 'STORE_CLOSED' });
  expect(store.previousRuns).toHaveLength(2);
});
