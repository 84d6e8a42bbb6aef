import { z } from 'zod';
import { bytes, choice, count, DAY_MS, durationMs, type Shape } from './fields.ts';
import type { BackfillConfig, LimitsConfig, WhenFull } from './types.ts';

const KIB_BYTES = 1024;
const GIB_BYTES = 1024 ** 3;
const TIB_BYTES = 1024 ** 4;
const TEN_YEARS_MS = 3650 * DAY_MS;
const MOST_MESSAGES = 1_000_000_000;

/** Schema of `limits`: how much one lane may hold. */
export const limitsSchema: z.ZodType<LimitsConfig> = z.strictObject({
  maxMessages: z.exactOptional(
    count({ description: 'Most messages of the lane in the store', min: 1, max: MOST_MESSAGES }),
  ),
  maxBytes: z.exactOptional(
    bytes({ description: 'Most bytes of the lane in the store', min: KIB_BYTES, max: TIB_BYTES }),
  ),
  maxAgeMs: z.exactOptional(
    durationMs({
      description:
        'Age at which a stored message is dropped as expired, in time that is known to have passed, whatever the wall clock says',
      min: 1000,
      max: TEN_YEARS_MS,
    }),
  ),
} satisfies Shape<LimitsConfig>);

/** Schema of `whenFull`: what a lane does at its limit, or when the store is full. */
export const whenFullSchema: z.ZodType<WhenFull> = choice(
  '`block` holds the PUBACK back, `reject` closes the connection of the device, `drop-oldest` and `drop-newest` give a message up and name it in the gap manifest; messages of QoS 0 go first, from nine tenths of the limit on',
  ['block', 'reject', 'drop-oldest', 'drop-newest'],
);

/** Schema of `delivery.backfill`. */
export const backfillSchema: z.ZodType<BackfillConfig> = z.strictObject({
  maxInFlightMessages: count({
    description: 'Most messages in flight from backlogs, shared among all lanes that catch up',
    min: 1,
    max: 1_000_000,
  }).default(2000),
  targetConfirmMs: durationMs({
    description:
      'Confirm latency above which a lane that catches up lowers its window; on a slow link twice the shortest latency seen, if that is more',
    min: 1,
    max: 60_000,
  }).default(100),
  maxStartDelayMs: durationMs({
    description:
      'Longest random wait before a lane catches up after an outage; at most a tenth of the outage',
    min: 0,
    max: DAY_MS,
  }).default(10_000),
  maxMessagesPerSecond: z.exactOptional(
    count({
      description: 'Most messages a second from backlogs, over all lanes',
      min: 1,
      max: 10_000_000,
    }),
  ),
  maxBytesPerSecond: z.exactOptional(
    bytes({
      description: 'Most bytes a second from backlogs, over all lanes',
      min: KIB_BYTES,
      max: 100 * GIB_BYTES,
    }),
  ),
} satisfies Shape<BackfillConfig>);
