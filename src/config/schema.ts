import { hostname } from 'node:os';
import { z } from 'zod';
import { bytes, choice, count, DAY_MS, durationMs, host, port, type Shape } from './fields.ts';
import { backfillSchema, limitsSchema, whenFullSchema } from './limits-schema.ts';
import { gapsSchema, mappingsSchema } from './mapping-schema.ts';
import { mqttLimitsSchema } from './mqtt-limits-schema.ts';
import type {
  AdminConfig,
  AmqpConfig,
  AmqpTlsConfig,
  Config,
  DeliveryConfig,
  GatewayConfig,
  LogConfig,
  MqttConfig,
  MqttListenerConfig,
  ReconnectConfig,
  RoutingConfig,
  ShutdownConfig,
  StoreConfig,
  WindowConfig,
} from './types.ts';

/** A reload takes over what changed in it; all else takes a restart. */
const LIVE = { 'x-reload': 'live' };

const KIB_BYTES = 1024;
const MIB_BYTES = 1024 ** 2;
const GIB_BYTES = 1024 ** 3;
const TIB_BYTES = 1024 ** 4;
const ID_LENGTH = 64;
// A message-id is a short string of 255 bytes (AMQP 0-9-1 §4.2.5.3): the id, 64 for the lane, 10 for the epoch, 16 each for run
// and seq, and 4 between them.
const ID_BYTES = 128;

/** Host name as an id: consumers split a message-id at its first '/'. */
function defaultId(): string {
  return hostname().replaceAll('/', '-').slice(0, ID_LENGTH) || 'tidegate';
}

const gatewaySchema: z.ZodType<GatewayConfig> = z.strictObject({
  id: z
    .string()
    .regex(/^[^/\p{Cc}]{1,64}$/u, "expected 1 to 64 characters without '/' and control characters")
    .refine(
      (id) => Buffer.byteLength(id) <= ID_BYTES,
      `expected at most ${ID_BYTES} bytes in UTF-8`,
    )
    .optional()
    .transform((id) => id ?? defaultId())
    .meta({
      description: 'Name of this gateway, unique among all that publish to the same broker',
      'x-default': 'the host name',
    }),
} satisfies Shape<GatewayConfig>);

const listenerSchema: z.ZodType<MqttListenerConfig> = z.strictObject({
  host: host({ description: 'Address to listen on' }).default('127.0.0.1'),
  port: port({ description: 'TCP port to listen on' }).default(1883),
} satisfies Shape<MqttListenerConfig>);

const mqttSchema: z.ZodType<MqttConfig> = z
  .strictObject({
    listeners: z
      .array(listenerSchema)
      .min(1)
      .max(16)
      .prefault([{ host: '127.0.0.1', port: 1883 }])
      .meta({ description: 'Where devices connect' }),
    maxPayloadBytes: bytes({
      description:
        'Largest payload of a PUBLISH; a larger one is acknowledged, counted as refused and not passed on',
      min: 1,
      max: 128 * MIB_BYTES,
    }).prefault('256KiB'),
    connectTimeoutMs: durationMs({
      description: 'Time a new connection has to send its CONNECT',
      min: 100,
      max: 600_000,
    }).default(5000),
    maxConnections: count({
      description: 'Most connections at a time, over all listeners',
      min: 1,
      max: 1_000_000,
    }).default(10_000),
    maxPendingBytes: bytes({
      description:
        'Most payload that is accepted and not yet safe, over all clients; above it a PUBLISH is refused by closing its connection',
      min: 64 * KIB_BYTES,
      max: 16 * GIB_BYTES,
    }).prefault('64MiB'),
    maxInflightQos2: count({
      description: 'Most QoS 2 messages of one client between PUBREC and PUBREL',
      min: 1,
      max: 65_535,
    }).default(100),
    drainTimeoutMs: durationMs({
      description: 'Time a subscriber may leave its socket full before its connection is closed',
      min: 1000,
      max: DAY_MS,
    }).default(60_000),
    limits: mqttLimitsSchema.prefault({}),
  } satisfies Shape<MqttConfig>)
  .refine((mqtt) => mqtt.maxPendingBytes >= mqtt.maxPayloadBytes, {
    path: ['maxPendingBytes'],
    error: 'must be at least mqtt.maxPayloadBytes, or the largest payload never gets in',
  });

const storeSchema: z.ZodType<StoreConfig> = z.strictObject({
  path: z
    .string()
    .min(1)
    .default('./data')
    .meta({ description: 'Folder of the store; relative to the working directory' }),
  maxBytes: bytes({
    description:
      'Largest size of the store on disk, over all lanes; when it is reached each lane does as its `whenFull` says',
    min: 16 * MIB_BYTES,
    max: 16 * TIB_BYTES,
  }).prefault('2GiB'),
  reserveBytes: bytes({
    description: 'Free disk space that the store leaves to others',
    min: 0,
    max: TIB_BYTES,
  }).prefault('64MiB'),
  // LevelDB writes what its logs hold to tables as it opens: two logs of 4 MiB and a batch of 1 MiB each, at most.
  ballastBytes: bytes({
    description:
      'Size of a file that is given up to open the store on a full disk, which takes 12 MiB at most',
    min: 0,
    max: GIB_BYTES,
  }).prefault('16MiB'),
} satisfies Shape<StoreConfig>);

/** Whether it is a URL that amqplib can dial. */
function isAmqpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  return ['amqp:', 'amqps:'].includes(url.protocol) && url.hostname !== '';
}

const reconnectSchema: z.ZodType<ReconnectConfig> = z
  .strictObject({
    minMs: durationMs({
      description: 'First pause between two attempts; doubles, with jitter',
      min: 10,
      max: 600_000,
    }).default(200),
    maxMs: durationMs({ description: 'Longest pause', min: 10, max: DAY_MS }).default(30_000),
  } satisfies Shape<ReconnectConfig>)
  .refine((reconnect) => reconnect.maxMs >= reconnect.minMs, {
    path: ['maxMs'],
    error: 'must be at least minMs',
  });

function pemFile(description: string): z.ZodType<string> {
  return z
    .string()
    .min(1)
    .meta({ description: `${description}; path of a PEM file` });
}

const amqpTlsSchema: z.ZodType<AmqpTlsConfig> = z
  .strictObject({
    ca: z.exactOptional(pemFile('Certificates to trust instead of those of the system')),
    cert: z.exactOptional(pemFile('Own certificate, for brokers that ask for one')),
    key: z.exactOptional(pemFile('Private key of `cert`')),
    serverName: z.exactOptional(
      z.string().min(1).meta({
        description: 'Name to expect in the certificate of the broker; else the host of the URL',
      }),
    ),
  } satisfies Shape<AmqpTlsConfig>)
  .refine((tls) => (tls.cert === undefined) === (tls.key === undefined), {
    error: 'cert and key belong together: give both or none',
  });

const amqpSchema: z.ZodType<AmqpConfig> = z.strictObject({
  urls: z
    .array(z.string().refine(isAmqpUrl, 'expected a URL such as amqp://user:password@host:5672'))
    .min(1)
    .max(16)
    .default(['amqp://guest:guest@127.0.0.1:5672'])
    .meta({
      description:
        'Brokers in order of preference, `amqp://` or `amqps://`; user and password percent-encoded',
    }),
  tls: z.exactOptional(
    amqpTlsSchema.meta({
      description: 'Key material of `amqps://`, read at the start and again at each connect',
    }),
  ),
  heartbeatMs: durationMs({
    description: 'Heartbeat asked of the broker, in whole seconds (connection.tune)',
    min: 1000,
    max: 600_000,
    step: 1000,
  }).default(10_000),
  connectTimeoutMs: durationMs({
    description: 'Time a connection has to open before the next URL is tried',
    min: 100,
    max: 600_000,
  }).default(10_000),
  confirmTimeoutMs: durationMs({
    description:
      'Time for which the same message may be the oldest without its confirm, until the channel is recycled',
    min: 1000,
    max: DAY_MS,
  }).default(30_000),
  reconnect: reconnectSchema.prefault({}),
  claimId: z.boolean().default(true).meta({
    description:
      'Hold an exclusive queue `tidegate.gateway.ID` at the broker, so that a second gateway with the same id is noticed',
  }),
} satisfies Shape<AmqpConfig>);

const windowSchema: z.ZodType<WindowConfig> = z.strictObject({
  maxMessages: count({
    description: 'Most messages of one lane that are published and not confirmed',
    min: 1,
    max: 65_535,
  }).default(1000),
  maxBytes: bytes({
    description: 'The same by size; one message always fits',
    min: KIB_BYTES,
    max: GIB_BYTES,
  }).prefault('8MiB'),
} satisfies Shape<WindowConfig>);

const deliverySchema: z.ZodType<DeliveryConfig> = z.strictObject({
  mode: choice(
    '`adaptive` waits for the confirm and writes only when it is late; `disk-first` always writes before it forwards',
    ['adaptive', 'disk-first'],
  ).default('adaptive'),
  spillAfterMs: durationMs({
    description: 'Adaptive: time the confirm has before the message is written to the store',
    min: 1,
    max: 60_000,
  }).default(250),
  directAfterMs: durationMs({
    description:
      'Adaptive: time a lane must be caught up, with quick confirms, before it stops writing',
    min: 0,
    max: DAY_MS,
  }).default(1000),
  window: windowSchema.prefault({}),
  maxInFlightBytes: bytes({
    description:
      'Most memory of what is published and not confirmed, over all lanes; payloads count twice, as they are copied for the socket. One message always fits when nothing else is in flight',
    min: KIB_BYTES,
    max: 16 * GIB_BYTES,
  }).prefault('32MiB'),
  limits: limitsSchema.prefault({}).meta(LIVE),
  whenFull: whenFullSchema.default('block').meta(LIVE),
  backfill: backfillSchema.prefault({}),
  parkedRetryMs: durationMs({
    description:
      'Time between two attempts with the oldest message parked as unroutable; when it gets through, all of them follow',
    min: 100,
    max: DAY_MS,
  }).default(60_000),
} satisfies Shape<DeliveryConfig>);

const routingSchema: z.ZodType<RoutingConfig> = z.strictObject({
  match: choice(
    '`all`: a message goes to every mapping that matches its topic; `first`: only to the first of them in the list',
    ['all', 'first'],
  ).default('all'),
} satisfies Shape<RoutingConfig>);

const adminSchema: z.ZodType<AdminConfig> = z.strictObject({
  enabled: z
    .boolean()
    .default(true)
    .meta({ description: 'Serve health, metrics, status and parked messages' }),
  host: host({ description: 'Address to listen on' }).default('127.0.0.1'),
  port: port({ description: 'TCP port to listen on' }).default(9180),
} satisfies Shape<AdminConfig>);

const logSchema: z.ZodType<LogConfig> = z.strictObject({
  level: choice('Least level that is logged', [
    'trace',
    'debug',
    'info',
    'warn',
    'error',
    'fatal',
  ]).default('info'),
} satisfies Shape<LogConfig>);

const shutdownSchema: z.ZodType<ShutdownConfig> = z.strictObject({
  timeoutMs: durationMs({
    description:
      'Time for confirms still due when the gateway stops; what is left then is in the store',
    min: 0,
    max: 600_000,
  }).default(10_000),
} satisfies Shape<ShutdownConfig>);

/** Schema of the whole config file: strict, every key with a default. Parsing `{}` gives the defaults. */
export const configSchema: z.ZodType<Config> = z.strictObject({
  gateway: gatewaySchema.prefault({}),
  mqtt: mqttSchema.prefault({}),
  store: storeSchema.prefault({}),
  amqp: amqpSchema.prefault({}),
  delivery: deliverySchema.prefault({}),
  routing: routingSchema.prefault({}).meta(LIVE),
  mappings: mappingsSchema.meta({ ...mappingsSchema.meta(), ...LIVE }),
  gaps: gapsSchema.prefault({}),
  admin: adminSchema.prefault({}),
  log: logSchema.prefault({}),
  shutdown: shutdownSchema.prefault({}),
} satisfies Shape<Config>);
