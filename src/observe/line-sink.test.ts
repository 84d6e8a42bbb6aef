import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { LineSink } from './line-sink.ts';

const FLUSH_LIMIT_MS = 5_000;
const LOG_MODULE = new URL('./log.ts', import.meta.url).href;

function openFifo(): { path: string; reader: number } {
  const folder = mkdtempSync(join(tmpdir(), 'line-sink-'));
  const path = join(folder, 'fifo');
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return { path, reader };
}

function openWriter(path: string): number {
  const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  onTestFinished(() => closeSync(fd));
  return fd;
}

/** Everything that is in the pipe now. */
function readAll(fd: number): string {
  const buffer = Buffer.alloc(256 * 1024);
  let bytes = 0;
  try {
    for (;;) {
      const count = readSync(fd, buffer, bytes, buffer.length - bytes, null);
      if (count === 0) break;
      bytes += count;
    }
  } catch {
    // EAGAIN: empty.
  }
  return buffer.toString('utf8', 0, bytes);
}

test.each([true, false])('lines come out in order (non-blocking: %s)', async (nonBlocking) => {
  const { path, reader } = openFifo();
  const sink = new LineSink({ fd: openWriter(path), nonBlocking });
  for (let i = 0; i < 1000; i += 1) sink.write(`line ${i}\n`);
  await sink.flush(FLUSH_LIMIT_MS);
  expect(readAll(reader)).toBe(Array.from({ length: 1000 }, (_, i) => `line ${i}\n`).join(''));
  expect(sink.droppedTotal).toBe(0);
  closeSync(reader);
});

test.each([true, false])(
  'a full pipe costs the lines beyond the limit, and a report follows (non-blocking: %s)',
  async (nonBlocking) => {
    const { path, reader } = openFifo();
    const sink = new LineSink({
      fd: openWriter(path),
      nonBlocking,
      maxPendingBytes: 100_000,
      describeDropped: (count) => `dropped ${count}\n`,
    });
    for (let i = 0; i < 30; i += 1) sink.write(`${i} ${'x'.repeat(9_996)}\n`);
    const startedAtMs = performance.now();
    await sink.flush(100);
    expect(performance.now() - startedAtMs).toBeLessThan(1_000);
    // 300 KB came; 100 KB may wait, and the pipe has room for 64 KiB.
    expect(sink.droppedTotal).toBeGreaterThanOrEqual(13);

    let text = readAll(reader);
    sink.write('last\n');
    let flushed = false;
    const flush = sink.flush(FLUSH_LIMIT_MS).then(() => {
      flushed = true;
    });
    while (!flushed) {
      text += readAll(reader);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await flush;
    text += readAll(reader);
    const lines = text.trimEnd().split('\n');
    expect(lines).toContain(`dropped ${sink.droppedTotal}`);
    expect(lines.at(-1)).toBe('last');
    expect(lines).toHaveLength(30 - sink.droppedTotal + 2);
    closeSync(reader);
  },
);

test.each([true, false])(
  'a pipe without a reader costs every line until somebody reads again (non-blocking: %s)',
  async (nonBlocking) => {
    const { path, reader } = openFifo();
    const sink = new LineSink({
      fd: openWriter(path),
      nonBlocking,
      describeDropped: (count) => `lost ${count}\n`,
    });
    closeSync(reader);
    sink.write('a\n');
    sink.write('b\n');
    await sink.flush(FLUSH_LIMIT_MS);
    sink.flushSync();
    expect(sink.droppedTotal).toBe(2);

    const later = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    sink.write('c\n');
    await sink.flush(FLUSH_LIMIT_MS);
    expect(readAll(later)).toBe('lost 2\nc\n');
    closeSync(later);
  },
);

test('a full disk costs the lines and nothing else', async () => {
  const fd = openSync('/dev/full', 'w');
  onTestFinished(() => closeSync(fd));
  const sink = new LineSink({ fd, nonBlocking: false });
  sink.write('a\n');
  await sink.flush(FLUSH_LIMIT_MS);
  sink.write('b\n');
  sink.flushSync();
  await sink.flush(FLUSH_LIMIT_MS);
  expect(sink.droppedTotal).toBe(2);
});

test('flushSync writes what is pending when the process ends', () => {
  const { path, reader } = openFifo();
  const sink = new LineSink({ fd: openWriter(path), nonBlocking: false });
  sink.write('first\n');
  sink.write('second\n');
  sink.flushSync();
  expect(readAll(reader)).toContain('second\n');
  closeSync(reader);
});

/** Runs a script that has `log`; its standard output is a pipe, read only when `read`. */
async function runLogging(script: string, read: boolean): Promise<{ code: number; text: string }> {
  const source = `import { createLogger } from ${JSON.stringify(LOG_MODULE)};
    const log = createLogger({ level: 'info' });
    ${script}`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const chunks: Buffer[] = [];
  if (read) child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  const [code] = await once(child, 'exit');
  if (read && !child.stdout.readableEnded) await once(child.stdout, 'end');
  return { code, text: Buffer.concat(chunks).toString() };
}

test('a process that exits at once still gets its last lines out', async () => {
  const script = `log.info({ n: 1 }, 'one'); log.info({ n: 2 }, 'two'); process.exit(3);`;
  const { code, text } = await runLogging(script, true);
  expect(code).toBe(3);
  expect(text).toMatch(/"n":1[^\n]+\n[^\n]*"n":2[^\n]+\n$/);
});

test('a process whose output nobody reads goes on and can exit', async () => {
  const script = `for (let i = 0; i < 2000; i += 1) log.info({ x: 'y'.repeat(1000) }, 'flood');
    await log.flush(); process.exit(log.droppedTotal > 0 ? 4 : 5);`;
  expect((await runLogging(script, false)).code).toBe(4);
});
