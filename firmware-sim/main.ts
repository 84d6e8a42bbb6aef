import { setTimeout as sleep } from 'node:timers/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { Fleet } from './fleet.ts';
import type { QoS } from './outbox.ts';
import { PROFILES, type Profile } from './profile.ts';
import { Progress } from './progress.ts';

interface Arguments {
  readonly host: string;
  readonly port: number;
  readonly devices: number;
  readonly rate: number;
  readonly duration: number;
  readonly settle: number;
  readonly qos?: QoS;
  readonly profile: Profile;
  readonly seed: number;
  readonly namePrefix: string;
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('Not above 0.');
  return value;
}

function whole(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError('Not a whole number.');
  return value;
}

function qosOf(text: string): QoS {
  if (text === '0') return 0;
  if (text === '1') return 1;
  if (text === '2') return 2;
  throw new InvalidArgumentError('QoS is 0, 1 or 2.');
}

const program = new Command('sim')
  .description(
    'A fleet of simulated devices. Prints a tally as JSON; exits with 0 only if all that was sent is acknowledged.',
  )
  .option('--host <host>', 'MQTT server', '127.0.0.1')
  .option('--port <port>', 'its TCP port', whole, 1883)
  .option('--devices <count>', 'number of devices', whole, 20)
  .option('--rate <per-second>', 'messages per second of the whole fleet', positive, 100)
  .option('--duration <seconds>', 'how long readings are taken', positive, 30)
  .option(
    '--settle <seconds>',
    'how long to wait at the end for what is unacknowledged',
    positive,
    30,
  )
  .option('--qos <qos>', 'forces one QoS (default: telemetry 1, alarms 2)', qosOf)
  .addOption(
    new Option('--profile <profile>', 'how hard life is').choices(PROFILES).default('steady'),
  )
  .option('--seed <number>', 'same seed, same readings and mishaps', whole, 1)
  .option('--name-prefix <prefix>', 'devices are called <prefix>-001 …', 'device')
  .parse();

const { rate, devices, ...rest } = program.opts<Arguments>();
const interrupted = new AbortController();
process.once('SIGINT', () => {
  interrupted.abort(); // ends the readings; what is unacknowledged still gets its time
  process.once('SIGINT', () => process.exit(130));
});

const fleet = new Fleet({ ...rest, deviceCount: devices, ratePerSecond: rate });
const progress = new Progress(fleet, process.stderr);
fleet.start();
progress.start();
await sleep(rest.duration * 1000, undefined, { signal: interrupted.signal }).catch(() => {});
fleet.stopMeasuring();
await fleet.settled(AbortSignal.timeout(rest.settle * 1000)).catch(() => {});
progress.stop();
await fleet.stop();
const tally = fleet.tally();
console.log(JSON.stringify(tally, undefined, 2));
process.exitCode = tally.unacknowledged === 0 && fleet.held === 0 ? 0 : 1;
