import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { StoreFinding } from '../../src/store/finding.ts';
import { freePort } from '../helpers/free-port.ts';
import { startGateway } from '../helpers/gateway-process.ts';
import { reportResult, scale } from '../helpers/soak.ts';
import { storePaths } from '../helpers/strace.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { buildStore, LANES, openStore, type Truth } from './damage-site.ts';

const POINTS = scale('start-error-points', { short: 6, long: 88 });
const LIMIT_MS = 20 * 60_000;

/** Calls on files of the store that fail in a start: this one, or it and the two behind it. */
interface StartPoint {
  readonly syscall: string;
  readonly when: string;
}

function allPoints(): StartPoint[] {
  const sweep = (syscall: string, last: number): StartPoint[] =>
    Array.from({ length: last }, (_, index) => index + 1).flatMap((call) => [
      { syscall, when: `${call}` },
      { syscall, when: `${call}..${call + 2}` },
    ]);
  return [...sweep('openat', 24), ...sweep('read', 14), ...sweep('mmap', 6)];
}

/** Starts a gateway in which that fails, and ends it. One that gives up with an error is started again. */
async function startAt(
  { syscall, when }: StartPoint,
  path: string,
  dir: string,
): Promise<string[]> {
  const inject = `inject=${syscall}:error=EIO:when=${when}`;
  const paths = (await storePaths(path)).flatMap((one) => ['-P', one]);
  const options = {
    dir,
    config: {
      store: { path, reserveBytes: 0, ballastBytes: 0 },
      amqp: { urls: [`amqp://127.0.0.1:${await freePort()}`] },
      mqtt: { listeners: [{ host: '127.0.0.1', port: await freePort() }] },
      admin: { enabled: false },
    },
    env: { UV_THREADPOOL_SIZE: '1' }, // strace counts for each thread
  };
  const wrapper = ['strace', '-f', '-o', '/dev/null', ...paths, '-e', `trace=${syscall}`];
  const gateway = await startGateway({ ...options, wrapper: [...wrapper, '-e', inject] }).catch(
    () => startGateway(options),
  );
  await gateway.stop();
  return gateway.logs().map(({ event }) => String(event));
}

/** What is not as it should be in the store. */
async function faultsIn(path: string, truth: Truth): Promise<string[]> {
  const findings: StoreFinding[] = [];
  const store = await openStore(path, findings);
  const faults: string[] = [];
  for (const lane of LANES) {
    const { records = [], mark = 0, parked = [] } = truth[lane] ?? {};
    const log = await store.lane(lane);
    let count = 0;
    for (let offset = mark; offset < log.endOffset; ) {
      const chunk = await log.read(offset, 500);
      count += chunk.messages.length;
      offset = chunk.nextOffset;
    }
    const parkedCount = (await log.parked(1_000)).length;
    const missing = records.length - mark - count + parked.length - parkedCount;
    if (missing !== 0) faults.push(`${lane}: ${missing} missing`);
  }
  await store.close();
  return [...faults, ...findings.map((finding) => JSON.stringify(finding))];
}

test('a read that fails in a start costs no message, and nothing is taken for damaged', {
  timeout: LIMIT_MS,
}, async () => {
  const dir = await tempDir('start-errors');
  const truth = await buildStore(join(dir, 'work'), join(dir, 'whole'));
  const failures: string[] = [];
  let stored = 0;
  for (const { records = [], mark = 0 } of Object.values(truth)) stored += records.length - mark;
  const all = allPoints();
  for (let nth = 0; nth < POINTS; nth += 1) {
    const point = all[Math.floor((nth * all.length) / POINTS)];
    if (point === undefined) break;
    const path = join(dir, 'store');
    await cp(join(dir, 'whole'), path, { recursive: true });
    const events = await startAt(point, path, dir);
    const findings = events.filter((event) => event.startsWith('store-'));
    const faults = [...findings, ...(await faultsIn(path, truth))];
    const { syscall, when } = point;
    failures.push(...faults.map((fault) => `${syscall} at call ${when}: ${fault}`));
    await rm(path, { recursive: true });
  }
  reportResult({
    scenario: 'start-errors',
    title: 'A file cannot be opened, read or mapped in a start (EIO, once or three times in a row)',
    rows: [
      { name: `${POINTS} points`, verdict: {}, failures, extras: { 'messages stored': stored } },
    ],
  });
  expect(failures).toEqual([]);
});
