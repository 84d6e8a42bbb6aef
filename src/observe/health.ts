import type { ClockQuality } from '../clock/clock-judge.ts';
import type { StoreOrigin } from '../store/origin.ts';
import type { LaneState } from './sources.ts';

/** What health is judged by. */
export interface HealthFacts {
  /** Every MQTT listener accepts connections. */
  readonly listening: boolean;
  readonly storeWritable: boolean;
  readonly storeOrigin: StoreOrigin;
  readonly brokerConnected: boolean;
  readonly brokerBlocked: boolean;
  readonly clock: ClockQuality;
  /** Another gateway with the same id is connected to the broker. */
  readonly idTaken: boolean;
  readonly lanes: readonly { readonly lane: string; readonly state: LaneState }[];
}

/** One thing looked at. `failed` takes readiness away, `degraded` does not. */
export interface HealthCheck {
  readonly status: 'ok' | 'degraded' | 'failed';
  /** For people. */
  readonly text: string;
}

export interface Health {
  /** The process can answer. Never false: a restart cures nothing that is judged here. */
  readonly live: true;
  /** Devices can publish and are acknowledged. */
  readonly ready: boolean;
  readonly status: 'ok' | 'degraded' | 'unready';
  readonly checks: Readonly<
    Record<'mqtt' | 'store' | 'broker' | 'lanes' | 'clock' | 'identity', HealthCheck>
  >;
}

/** A clock that nobody has confirmed takes nothing away: messages wait longer, none is given up for it. */
const CLOCK_TEXTS: Readonly<Record<ClockQuality, string>> = {
  synced: 'synchronised',
  corrected: 'synchronised, and set since the start',
  unsynced: 'not confirmed: messages age by the time that the gateway runs',
};

/**
 * Judges the gateway: ready when it can take messages and keep them, that is, it listens and its store can
 * be written. A broker that is away is what the store is there for, so that only degrades.
 */
export function assessHealth(facts: HealthFacts): Health {
  const checks: Health['checks'] = {
    mqtt: facts.listening ? ok('listening') : failed('not listening'),
    store: checkStore(facts),
    broker: checkBroker(facts),
    lanes: checkLanes(facts),
    clock: ok(CLOCK_TEXTS[facts.clock]),
    identity: facts.idTaken
      ? degraded('another gateway with this gateway.id is connected to the broker')
      : ok('no other gateway with this gateway.id is known'),
  };
  const all = Object.values(checks);
  const ready = all.every((check) => check.status !== 'failed');
  const perfect = all.every((check) => check.status === 'ok');
  return { live: true, ready, status: statusOf(ready, perfect), checks };
}

function statusOf(ready: boolean, perfect: boolean): Health['status'] {
  if (!ready) return 'unready';
  return perfect ? 'ok' : 'degraded';
}

/** Where the store comes from takes nothing away from it, so that only stands in the text. */
function checkStore({ storeWritable, storeOrigin }: HealthFacts): HealthCheck {
  if (!storeWritable) {
    return failed(
      'not writable or full: nothing is acknowledged that the broker has not confirmed',
    );
  }
  if (storeOrigin === 'moved') return ok('writable; was last used on another machine');
  return ok(storeOrigin === 'copied' ? 'writable; is a copy, or was put back' : 'writable');
}

function checkBroker(facts: HealthFacts): HealthCheck {
  if (!facts.brokerConnected) return degraded('not connected: messages wait in the store');
  if (facts.brokerBlocked) return degraded('connection blocked: messages wait in the store');
  return ok('connected');
}

function checkLanes(facts: HealthFacts): HealthCheck {
  const stalled = facts.lanes.filter((lane) => lane.state === 'stalled').map((lane) => lane.lane);
  return stalled.length > 0 ? degraded(`stalled: ${stalled.join(', ')}`) : ok('moving');
}

function ok(text: string): HealthCheck {
  return { status: 'ok', text };
}

function degraded(text: string): HealthCheck {
  return { status: 'degraded', text };
}

function failed(text: string): HealthCheck {
  return { status: 'failed', text };
}
