import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { PHASES, play } from './demo/phases.ts';
import { isProven, type Outcome, report } from './demo/report.ts';
import { DEVICES, RATE_PER_SECOND, Stage } from './demo/stage.ts';
import { View } from './demo/view.ts';
import { Fleet } from './fleet.ts';

const DEFAULT_SCRIPT = fileURLToPath(new URL('../dist/main.js', import.meta.url));
/** Exit code of a process that Ctrl-C ended (128 + SIGINT). */
const INTERRUPTED = 130;
/** One Ctrl-C may arrive twice, from the terminal and from a wrapper; only a later one is a second one, in ms. */
const SECOND_CTRL_C_AFTER_MS = 500;
const EXAMPLES_OF_LOST = 5;

const { keep, gateway } = new Command('demo')
  .description(
    'Cuts the uplink and kills the gateway while devices send, and proves that nothing acknowledged is lost. ' +
      'Takes about a minute; exits with 0 only if nothing is lost.',
  )
  .option('--keep', 'afterwards leave all running, with devices sending, until Ctrl-C', false)
  .option('--gateway <script>', 'the gateway to run', DEFAULT_SCRIPT)
  .parse()
  .opts<{ keep: boolean; gateway: string }>();

const interrupt = new AbortController();
const view = new View(process.stdout);
const stage = new Stage({
  script: gateway,
  say: (line) => view.say(line),
  signal: interrupt.signal,
});

function onCtrlC(): void {
  const firstMs = performance.now();
  view.say('\nInterrupted: tidying up.');
  interrupt.abort();
  process.on('SIGINT', () => {
    if (performance.now() - firstMs > SECOND_CTRL_C_AFTER_MS) process.exit(INTERRUPTED);
  });
}

async function run(): Promise<number> {
  if (!existsSync(gateway)) throw new Error(`there is no ${gateway}: run 'npm run build' first`);
  await stage.open();
  for (const [index, phase] of PHASES.entries()) {
    view.begin(phase, `[${index + 1}/${PHASES.length}]`, stage);
    await play(phase, stage, interrupt.signal);
    view.end(phase, stage);
  }
  const outcome = outcomeOf(stage);
  view.say(`\n${report(outcome)}`);
  if (keep) await goOn();
  return isProven(outcome) ? 0 : 1;
}

function outcomeOf({ ledger, parts }: Stage): Outcome {
  return {
    verdict: ledger.verdict(),
    tally: parts.fleet.tally(),
    strangers: parts.checker.strangers,
    peakBacklog: parts.meter.peak,
    examplesOfLost: ledger.lostIds().slice(0, EXAMPLES_OF_LOST),
  };
}

/** Leaves the queue to others and lets new devices send, until Ctrl-C. */
async function goOn(): Promise<void> {
  const { checker, fleet, mqttPort, amqpUrl } = stage.parts;
  await checker.stop();
  await fleet.stop();
  const live = new Fleet({
    host: '127.0.0.1',
    port: mqttPort,
    seed: 1,
    deviceCount: DEVICES,
    ratePerSecond: RATE_PER_SECOND,
    profile: 'steady',
    namePrefix: 'live',
  });
  live.start();
  view.say(
    `\nKept running until Ctrl-C; ${DEVICES} devices send ${RATE_PER_SECOND} messages/s. Try:\n` +
      `  AMQP_URL=${amqpUrl} node examples/work-queue/consumer.mjs`,
  );
  if (!interrupt.signal.aborted) await once(interrupt.signal, 'abort');
  await live.stop();
}

process.once('SIGINT', onCtrlC);
process.once('SIGTERM', onCtrlC);
try {
  process.exitCode = await run();
} catch (error) {
  process.exitCode = interrupt.signal.aborted ? INTERRUPTED : 1;
  if (!interrupt.signal.aborted) view.say(`\nThe demo failed: ${String(error)}`);
} finally {
  view.abandon();
  await stage.close();
}
