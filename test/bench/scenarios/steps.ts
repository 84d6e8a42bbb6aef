import { mkdir } from 'node:fs/promises';
import type { CentralQueue } from '../arrivals.ts';
import { type Usage, usageOf } from '../box.ts';
import type { RunningContender } from '../contender.ts';
import { contender } from '../contenders/all.ts';
import type { LoadResult } from '../load-options.ts';
import type { Measured, Stage } from '../scenario.ts';

const US_PER_SECOND = 1_000_000;
const BYTES_PER_MB = 1_000_000;

/** The fleet of the main scenarios: as many unconfirmed messages as a lane has in flight at most. */
export const FLEET = { clients: 20, window: 50, payloadBytes: 200 } as const;

/** The limit of the AMQP side, as a subject. */
export const BARE = 'bare-confirm-publisher';

/** All that bring messages to the central queue over a healthy link, in the order of a round. */
export const ALL_WAYS: readonly string[] = [
  'tidegate-adaptive',
  'tidegate-disk-first',
  'rabbitmq-shovel-quorum',
  'rabbitmq-shovel-classic',
  'rabbitmq-mqtt-central',
  'mosquitto-bridge',
  BARE,
];

/** A contender at work, with the far end. */
export interface Play {
  readonly running: RunningContender;
  readonly queue: CentralQueue;
  /** Where the link was cut from the beginning: lets it return. */
  readonly openUplink: () => Promise<void>;
}

export interface PlayOptions {
  /** Default true. */
  readonly isConnected?: boolean;
  readonly wrapper?: readonly string[];
  readonly config?: Readonly<Record<string, unknown>>;
  /** Tidegate's mappings, of the queue of the measurement and the one mapping there would be. */
  readonly mappings?: (queue: string, main: object) => readonly object[];
}

/** Starts a contender, lets `play` measure, and takes all down again, also when it fails. */
export async function withContender(
  name: string,
  stage: Stage,
  options: PlayOptions,
  play: (play: Play) => Promise<Measured>,
): Promise<Measured> {
  const queue = await stage.central.queue();
  const uplink = options.isConnected === false ? await stage.central.cutUplink() : undefined;
  const dir = `${stage.dir}/box`;
  await mkdir(dir);
  let running: RunningContender | undefined;
  try {
    running = await contender(name).start({
      dir,
      central: stage.central,
      uplinkUrl: uplink?.url ?? stage.central.url,
      queue: queue.name,
      ...(options.wrapper === undefined ? {} : { wrapper: options.wrapper }),
      ...(options.config === undefined ? {} : { config: options.config }),
      ...(options.mappings === undefined ? {} : { mappings: options.mappings }),
    });
    return await play({ running, queue, openUplink: async () => uplink?.open() });
  } finally {
    await running?.stop(); // again is harmless
    await queue.remove();
  }
}

/** What the box spent between two moments, for each message, and what it has in memory at the second. */
export function spent(before: Usage, after: Usage, messages: number): Measured {
  return {
    cpuUsPerMessage: ((after.cpuSeconds - before.cpuSeconds) * US_PER_SECOND) / messages,
    residentMb: after.residentBytes / BYTES_PER_MB,
    writtenBytesPerMessage: (after.writtenBytes - before.writtenBytes) / messages,
  };
}

/** The same around a piece of work. Nothing of it where all is at the centre. */
export async function measuringBox(
  { pids }: RunningContender,
  work: () => Promise<{ readonly messages: number; readonly measured: Measured }>,
): Promise<Measured> {
  const before = await usageOf(pids);
  const { messages, measured } = await work();
  const after = await usageOf(pids);
  return pids.length === 0 ? measured : { ...measured, ...spent(before, after, messages) };
}

/** Throws when PUBACKs came that were not due or not in order: such numbers are worth nothing. */
export function checkPubacks({ outOfOrder, notDue }: LoadResult): void {
  if (outOfOrder + notDue > 0) {
    throw new Error(`${outOfOrder} PUBACKs out of order, ${notDue} not due`);
  }
}
