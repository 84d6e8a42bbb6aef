import { z } from 'zod';
import { bytes, count, DAY_MS, durationMs, type Shape } from './fields.ts';
import type { MqttLimitsConfig } from './types.ts';

const KIB_BYTES = 1024;
const GIB_BYTES = 1024 ** 3;
const MILLION = 1_000_000;
const LONGEST_EXPIRY_DAYS = 365;

/** Schema of `mqtt.limits`: what devices can make the MQTT server keep in memory. */
export const mqttLimitsSchema: z.ZodType<MqttLimitsConfig> = z.strictObject({
  maxRetainedMessages: count({
    description:
      'Most topic names with a retained message; one above it is forwarded, not retained',
    min: 0,
    max: MILLION,
  }).default(10_000),
  maxRetainedBytes: bytes({
    description: 'Most memory of the retained messages',
    min: 0,
    max: GIB_BYTES,
  }).prefault('16MiB'),
  maxSubscriptionsPerClient: count({
    description: 'Most subscriptions of one client; one above it gets SUBACK 0x80',
    min: 0,
    max: MILLION,
  }).default(100),
  maxSubscriptionBytes: bytes({
    description:
      'Most memory of the subscriptions of all clients, at an estimated 1024 bytes each and 600 for each level',
    min: 0,
    max: GIB_BYTES,
  }).prefault('32MiB'),
  maxFilterBytes: bytes({
    description: 'Longest topic filter; a longer one gets SUBACK 0x80',
    min: 1,
    max: 65_535,
  }).prefault('1KiB'),
  maxSessions: count({
    description:
      'Most persistent sessions (clean session 0); above it the one that is away the longest ends',
    min: 1,
    max: MILLION,
  }).default(10_000),
  sessionExpiryMs: durationMs({
    description: 'Time a persistent session is kept after its connection',
    min: 1000,
    max: LONGEST_EXPIRY_DAYS * DAY_MS,
  }).default(7 * DAY_MS),
  maxQueuedBytes: bytes({
    description: 'Most memory of what waits for local subscribers; what comes above it they miss',
    min: 64 * KIB_BYTES,
    max: GIB_BYTES,
  }).prefault('16MiB'),
  maxQueuedBytesPerClient: bytes({
    description: 'The same for one subscriber',
    min: 16 * KIB_BYTES,
    max: GIB_BYTES,
  }).prefault('1MiB'),
  maxWillBytes: bytes({
    description:
      'Most memory of the wills and user names of all connections; a CONNECT above it gets CONNACK 0x03',
    min: 64 * KIB_BYTES,
    max: GIB_BYTES,
  }).prefault('16MiB'),
} satisfies Shape<MqttLimitsConfig>);
