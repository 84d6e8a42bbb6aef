import type { Random } from '../../firmware-sim/random.ts';
import type { Plan } from './combinations-plan.ts';

/** What most messages go to, together with {@link COPY}. */
export const TELEMETRY = 'telemetry';
export const COPY = 'copy';
/** What the others go to, alone. */
export const OTHER = 'other';
/** Takes what `telemetry` takes, when a reload has not removed it. */
export const EXTRA = 'extra';
/** The lanes that stay all the time. */
export const LANES: readonly string[] = [TELEMETRY, COPY, OTHER];
export const GAPS = 'gaps';

const MIB_BYTES = 1024 * 1024;
/** Of the 40 MiB of the disk. Enough to open on a full one, mostly. */
const BALLAST_BYTES = 8 * MIB_BYTES;

/** Enough new names at once to fill what is left of a page of LevelDB's log, often. */
const SPARES = 15;
const SPARE = 'spare-';
const SPARE_NAME_CHARS = 60;
const MANY = 1_000_000_000;

interface Limits {
  readonly maxMessages?: number;
  readonly maxAgeMs?: number;
  readonly maxBytes?: number;
}

interface Mapping {
  readonly name: string;
  readonly exchange: { readonly name: string; readonly type: string };
  readonly limits?: Limits;
  readonly whenFull?: string;
}

interface SiteConfig {
  readonly mappings: readonly Mapping[];
}

export interface ConfigOptions {
  /** Begins the names of all queues and exchanges. */
  readonly id: string;
  readonly plan: Plan;
  readonly amqpUrl: string;
  readonly store: string;
  readonly mqtt: number;
  readonly admin: number;
}

/** The config a site begins with. What it waits for is short, so that 10 s are long. */
export function configOf({ id, plan, amqpUrl, store, mqtt, admin }: ConfigOptions): SiteConfig {
  const config = {
    gateway: { id: 'site' },
    store: { path: store, reserveBytes: 0, ballastBytes: BALLAST_BYTES },
    admin: { port: admin },
    mqtt: { listeners: [{ host: '127.0.0.1', port: mqtt }] },
    amqp: {
      urls: [amqpUrl],
      reconnect: { minMs: 50, maxMs: 500 },
      heartbeatMs: 2_000,
      connectTimeoutMs: 2_000,
      confirmTimeoutMs: 3_000,
    },
    delivery: {
      mode: plan.mode,
      directAfterMs: 200,
      parkedRetryMs: 1_000,
      backfill: { maxStartDelayMs: 500 },
    },
    gaps: {
      exchange: { name: `${id}-${GAPS}` },
      queues: [{ name: `${id}-${GAPS}`, type: 'classic' }],
    },
    shutdown: { timeoutMs: 2_000 },
    mappings: [...LANES, EXTRA].map((lane) => mappingOf(lane, id, plan)),
  };
  return config;
}

/** Whether the mapping that comes and goes is in that config. */
export function hasExtra(config: object): boolean {
  return (config as SiteConfig).mappings.some(({ name }) => name === EXTRA);
}

/** The config with that mapping. */
export function withExtra(config: object, original: object): object {
  const extra = (original as SiteConfig).mappings.filter(({ name }) => name === EXTRA);
  const { mappings } = config as SiteConfig;
  return hasExtra(config) ? config : { ...config, mappings: [...mappings, ...extra] };
}

/** Both exchanges that the queue of a lane may be bound to. */
export function exchangesOf(queue: string): readonly string[] {
  return [queue, `${queue}-b`];
}

type Mappings = readonly [Mapping, ...Mapping[]];
type Change = (now: Mappings, original: Mappings, random: Random) => readonly Mapping[];

/** What a reload may change. Nothing of it may lose a message. */
const CHANGES: readonly [Change, ...Change[]] = [
  (now, original) => {
    const others = now.filter(({ name }) => name !== EXTRA);
    return others.length < now.length
      ? others
      : [...now, ...original.filter(({ name }) => name === EXTRA)];
  },
  (now, _original, random) => [...now.filter(isNoSpare), ...spares(now[0], random)],
  ([first, ...others]) => [otherExchange(first), ...others],
  ([first, ...others]) => [otherLimits(first), ...others],
  ([first, ...others], [original]) => {
    const { whenFull = 'block' } = original;
    return [{ ...first, whenFull: first.whenFull === 'block' ? whenFull : 'block' }, ...others];
  },
];

/** The config with one random change. */
export function changed(config: object, original: object, random: Random): object {
  const change = CHANGES[Math.floor(random.between(0, CHANGES.length))] ?? CHANGES[0];
  const [now, first] = [config, original].map((one) => (one as { mappings: Mappings }).mappings);
  if (now === undefined || first === undefined) throw new Error('there are no mappings');
  return { ...config, mappings: change(now, first, random) };
}

/** Mappings that no device publishes to, with names that the store has never seen. */
function spares({ exchange }: Mapping, random: Random): Mapping[] {
  return Array.from({ length: SPARES }, () => {
    const name = `${SPARE}${Math.floor(random.between(0, MANY))}-`.padEnd(SPARE_NAME_CHARS, 'x');
    const spare = { name, filter: `${name}/#`, exchange };
    return spare;
  });
}

function isNoSpare({ name }: Mapping): boolean {
  return !name.startsWith(SPARE);
}

function mappingOf(lane: string, id: string, plan: Plan): Mapping {
  const { maxMessages, maxAgeMs, whenFull } = plan;
  const name = `${id}-${lane}`;
  const mapping = {
    name: lane,
    filter: `devices/+device/${lane === OTHER ? OTHER : TELEMETRY}`,
    exchange: { name, type: 'topic' },
    queues: [{ name, type: 'classic', bindingKey: '#' }],
    limits: {
      ...(maxMessages === undefined ? {} : { maxMessages }),
      ...(maxAgeMs === undefined ? {} : { maxAgeMs }),
    },
    whenFull,
  };
  return mapping;
}

function otherExchange(mapping: Mapping): Mapping {
  const { name } = mapping.exchange;
  const other = name.endsWith('-b') ? name.slice(0, -2) : `${name}-b`;
  return { ...mapping, exchange: { ...mapping.exchange, name: other } };
}

/** A limit that is never reached, and another each time. */
function otherLimits(mapping: Mapping): Mapping {
  const { maxBytes = 1024 * MIB_BYTES } = mapping.limits ?? {};
  return { ...mapping, limits: { ...mapping.limits, maxBytes: maxBytes + 1 } };
}
