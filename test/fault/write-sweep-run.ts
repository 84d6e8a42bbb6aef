import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { LaneLog } from '../../src/delivery/ports.ts';
import type { StoreFinding } from '../../src/store/finding.ts';
import { LevelStore } from '../../src/store/level-store.ts';
import { exitOf, spawnOwned } from '../helpers/child-process.ts';
import { storePaths } from '../helpers/strace.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const DRIVER = 'test/fault/write-sweep-driver.mjs';
const LANE = 'lane';
/** Ways in which the driver writes, in its order. */
export const PHASES: readonly string[] = [
  'start',
  'naming',
  'append',
  'packet-id',
  'packet-id-end',
  'park',
  'release',
  'discard',
  'note',
  'told',
  'mark',
  'clear',
  'released-note',
  'compact',
  'append-again',
  'end',
];
/** All calls that change a file or a folder of the store. */
export const WRITING_CALLS: readonly string[] = [
  'write',
  'pwrite64',
  'fdatasync',
  'fsync',
  'rename',
  'unlink',
  'mkdir',
  'link',
];

/** The one call that is made to fail: the nth of its kind, of whichever thread makes so many. */
export interface SweepPoint {
  readonly call: string;
  readonly nth: number;
  readonly error: string;
}

/** What one run of the driver came to. */
export interface SweepOutcome {
  /** How often each thread made the calls that count. */
  readonly most: ReadonlyMap<string, number>;
  /** In which phases calls were made to fail. */
  readonly failedIn: readonly string[];
  /** Phases in which the process wrote anything at all. */
  readonly wroteIn: readonly string[];
  /** What does not hold. */
  readonly failures: readonly string[];
}

/** Runs the driver on a new store, with one call failing, and looks at what the next start finds. */
export async function sweepOnce(point?: SweepPoint): Promise<SweepOutcome> {
  const folder = await tempDir('sweep');
  await mkdir(join(folder, 'store', 'db'), { recursive: true });
  const tracePath = join(folder, 'trace');
  const paths = [
    ...(await storePaths(join(folder, 'store'))),
    ...PHASES.map((name) => join(folder, 'phase', name)),
  ];
  const calls = ['access', ...WRITING_CALLS];
  const inject =
    point === undefined
      ? []
      : ['-e', `inject=${point.call}:error=${point.error}:when=${point.nth}`];
  const child = spawnOwned(
    'strace',
    [
      ...['-f', '-y', '-s', '0', '-o', tracePath, '-e', `trace=${calls.join(',')}`],
      ...paths.flatMap((path) => ['-P', path]),
      ...inject,
      ...[process.execPath, DRIVER, folder],
    ],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      // strace counts for each thread.
      env: { ...process.env, UV_THREADPOOL_SIZE: '1' },
    },
  );
  if (child.stdout === null || child.stderr === null) throw new Error('the driver has no output');
  const [said, complaints, { code }] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    exitOf(child),
  ]);
  const trace = readTrace(await readFile(tracePath, 'utf8'), folder);
  const lines = said.split('\n').filter((line) => line !== '');
  const told = lines.map((line) => JSON.parse(line) as Told);
  const failures = await judge(join(folder, 'store'), told);
  if (code !== 0) failures.push(`the driver ended with ${code}: ${complaints.slice(0, 500)}`);
  return { ...trace, failures };
}

interface Told {
  readonly appended?: number;
  readonly parked?: number;
  readonly packetId?: number;
  readonly discarding?: number;
  readonly findings?: readonly string[];
}

function readTrace(trace: string, folder: string): Omit<SweepOutcome, 'failures'> {
  const perThread = new Map<string, number>();
  const most = new Map<string, number>();
  const [failedIn, wroteIn] = [new Set<string>(), new Set<string>()];
  let phase = 'before';
  for (const line of trace.split('\n')) {
    const [, thread = '', call = ''] = /^(\d+)\s+(\w+)\(/.exec(line) ?? [];
    const begun = line.includes(`${folder}/phase/`)
      ? /\/phase\/([\w-]+)/.exec(line)?.[1]
      : undefined;
    if (begun !== undefined) phase = begun;
    if (!WRITING_CALLS.includes(call)) continue;
    const count = (perThread.get(`${thread} ${call}`) ?? 0) + 1;
    perThread.set(`${thread} ${call}`, count);
    most.set(call, Math.max(most.get(call) ?? 0, count));
    wroteIn.add(phase);
    if (line.includes('(INJECTED)')) failedIn.add(phase);
  }
  return { most, failedIn: [...failedIn], wroteIn: [...wroteIn] };
}

/** All that was told to be durable must be there, and nothing may be found damaged or missing. */
async function judge(path: string, told: readonly Told[]): Promise<string[]> {
  const findings: StoreFinding[] = [];
  const nothing = (): void => undefined;
  const store = new LevelStore(
    { path, maxBytes: 1024 ** 3, reserveBytes: 0, ballastBytes: 0 },
    { onFinding: (found) => findings.push(found), onTrouble: nothing, onRecovered: nothing },
  );
  await store.open();
  try {
    const log = await store.lane(LANE);
    const { stored, lost } = await contentsOf(log);
    const parked = new Set((await log.parked(10)).map(({ message }) => message.seq));
    const packetIds = (await store.packetIds.load()).map(({ packetId }) => packetId);
    const settled = [1, 2, 3, 4, 5, 101];
    const has = (seq: number): boolean =>
      stored.has(seq) || parked.has(seq) || settled.includes(seq);
    const isDiscarded = (seq: number): boolean => told.some(({ discarding }) => discarding === seq);
    return told
      .flatMap(({ appended, parked: wasParked, packetId, findings: found = [] }) => [
        ...(appended === undefined || has(appended) ? [] : [`message ${appended} is lost`]),
        ...(wasParked === undefined || has(wasParked) || isDiscarded(wasParked)
          ? []
          : [`parked message ${wasParked} is lost`]),
        ...(packetId === undefined || packetIds.includes(packetId)
          ? []
          : ['a packet identifier is lost']),
        ...found
          .filter((kind) => kind !== 'checkpoint-failed')
          .map((kind) => `the driver found ${kind}`),
      ])
      .concat(
        [...findings.map(({ kind, detail }) => `the next start found ${kind}: ${detail}`)],
        lost > 0 ? [`${lost} records are told lost`] : [],
      );
  } finally {
    await store.close();
  }
}

async function contentsOf(log: LaneLog): Promise<{ stored: Set<number>; lost: number }> {
  const stored = new Set<number>();
  let lostRecords = 0;
  for (let at = log.lowWaterMark; at < log.endOffset; ) {
    const { messages, lost, nextOffset } = await log.read(at, 100);
    for (const { message } of messages) stored.add(message.seq);
    for (const { count } of lost) lostRecords += count;
    at = nextOffset;
  }
  return { stored, lost: lostRecords };
}
