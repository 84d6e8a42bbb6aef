/*
 * The process that checks payloads (started by checking-process.ts). What loops for ever or takes all memory here
 * takes nothing of the gateway.
 */
import { writeFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { Checker } from './checker.ts';
import type { CheckResult, FromProcess, ToProcess } from './protocol.ts';

/**
 * Results are told when the last were told this long ago: the gateway sees progress and limits the time of one message,
 * not of the batch.
 */
const TELL_EVERY_MS = 10;

/**
 * A thread that ends the process when the gateway is gone: the main thread may be in a loop that never ends, and then
 * does not hear that the channel is closed.
 */
const WATCH_PARENT = `
  const parent = require('node:worker_threads').workerData;
  setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL'); }, 1000);
`;
const WATCH_LIMITS = { maxOldGenerationSizeMb: 4, maxYoungGenerationSizeMb: 1, stackSizeMb: 1 };

/** A text may be of 500 MB before the limit of the heap counts: when memory runs out, the kernel is to end this one. */
function goFirst(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000');
  } catch {
    // Not Linux.
  }
}

let checkers: readonly Checker[] = [];

function tell(message: FromProcess): void {
  process.send?.(message);
}

/** Lets what was told leave, as the next message may never come back to the event loop. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function checkAll({ tasks }: Extract<ToProcess, { tasks: unknown }>): Promise<void> {
  let results: CheckResult[] = [];
  let toldAtMs = performance.now();
  for (const task of tasks) {
    const checker = checkers[task.rule];
    if (checker === undefined) throw new Error(`no rule ${task.rule}`);
    results.push(await checker.check(task));
    if (performance.now() - toldAtMs < TELL_EVERY_MS) continue;
    tell({ results });
    results = [];
    await nextTurn();
    toldAtMs = performance.now();
  }
  if (results.length > 0) tell({ results });
}

process.on('message', (message: ToProcess) => {
  if ('tasks' in message) {
    void checkAll(message); // a fault in it ends the process, and the gateway starts another
    return;
  }
  checkers = message.rules.map((rule) => new Checker(rule));
  tell({ ready: true });
});
goFirst();
process.on('disconnect', () => process.exit());
// The service manager and a terminal signal all processes of a group; the gateway says when this one ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
new Worker(WATCH_PARENT, { eval: true, workerData: process.ppid, resourceLimits: WATCH_LIMITS });
