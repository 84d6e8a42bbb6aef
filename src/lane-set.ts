import { isDeepStrictEqual } from 'node:util';
import type { AmqpConnection } from './amqp/connection.ts';
import { LanePublisher } from './amqp/lane-publisher.ts';
import type { GatewayClock } from './clock/gateway-clock.ts';
import type { Config, DeliveryConfig, MappingConfig } from './config/types.ts';
import { BackfillGovernor } from './delivery/backfill.ts';
import type { GapManifest } from './delivery/gap-manifest.ts';
import { Lane } from './delivery/lane.ts';
import { LaneBudgets } from './delivery/lane-budgets.ts';
import type { LaneParts } from './delivery/lane-parts.ts';
import type { Log } from './observe/log.ts';
import { ReplaceablePublisher } from './replaceable-publisher.ts';
import type { LevelStore } from './store/level-store.ts';

/** What a mapping says of its lane. */
export type LaneSpec = Pick<
  MappingConfig,
  'name' | 'exchange' | 'exchanges' | 'queues' | 'onUnroutable' | 'onReject' | 'limits' | 'whenFull'
>;

/** What a mapping that says nothing of its limits has. */
type Defaults = Pick<DeliveryConfig, 'limits' | 'whenFull'>;

/** What a lane does with a message that finds no queue or no room. Read at each decision, so that a reload takes effect. */
type Policies = Pick<LaneParts, 'onUnroutable' | 'onReject' | 'limits' | 'whenFull'>;

/** What each lane has for itself. */
type OwnParts = Pick<LaneParts, 'name' | 'log' | 'parkedBefore' | 'publisher' | 'storeFullness'>;

export interface LaneSetParts {
  readonly config: Pick<Config, 'gateway' | 'amqp' | 'delivery'>;
  readonly store: LevelStore;
  readonly connection: AmqpConnection;
  readonly gaps: GapManifest;
  readonly clock: Pick<GatewayClock, 'elapsedMs' | 'ageMs'>;
  readonly log: Log;
  /** No message of that lane is on its way to it. */
  readonly isIdle: (lane: string) => boolean;
}

/** A lane with what can be changed about it while it runs. */
interface HeldLane {
  readonly lane: Lane;
  readonly publisher: ReplaceablePublisher;
  spec: LaneSpec;
  policies: Policies;
}

/** How often a lane whose mapping is gone is looked at, whether it has drained. */
const LOOK_EVERY_MS = 250;
/** Of a lane that has nothing in flight any more. */
const END_LIMIT_MS = 2_000;

/** The lanes of the gateway: starts them, changes them while they run, ends those that have lost their mapping. */
export class LaneSet {
  /** By name of the mapping; also those that drain after it was removed. */
  readonly byName: Map<string, Lane> = new Map();
  readonly #parts: LaneSetParts;
  readonly #backfill: BackfillGovernor;
  readonly #budgets: LaneBudgets;
  readonly #held = new Map<string, HeldLane>();
  readonly #retired = new Set<string>();
  readonly #ending = new Map<string, Promise<void>>();
  /** Of lanes that have ended: a lane of that name goes on counting. */
  readonly #lastSeqs = new Map<string, number>();
  #looking: NodeJS.Timeout | undefined;
  #isHeldStill = false;

  constructor(parts: LaneSetParts) {
    this.#parts = parts;
    this.#backfill = new BackfillGovernor(parts.config.delivery.backfill);
    this.#budgets = new LaneBudgets(parts.config.delivery.maxInFlightBytes);
  }

  /** Starts looking after lanes that have lost their mapping. */
  start(): void {
    this.#looking = setInterval(() => this.#endDrained(), LOOK_EVERY_MS);
  }

  /** Ends all lanes; see {@link Lane.stop}. */
  async stop(signal: AbortSignal): Promise<void> {
    clearInterval(this.#looking);
    await Promise.all([...this.byName.values()].map((lane) => lane.stop(signal)));
    await Promise.all(this.#ending.values());
  }

  /**
   * Lanes that take messages, and are not of the set yet; all of them or none.
   * @throws what the store throws.
   */
  async create(
    specs: readonly LaneSpec[],
    defaults: Defaults,
    storeFullness: () => number = () => this.#parts.store.fullness,
  ): Promise<HeldLane[]> {
    for (const { name } of specs) await this.#ending.get(name);
    const { store } = this.#parts;
    const logs = await store.lanes(specs.map(({ name }) => name));
    const parked = await Promise.all(specs.map(({ name }) => store.parkedCount(name)));
    return specs.flatMap((spec, index) => {
      const [log, parkedBefore = 0] = [logs[index], parked[index]];
      if (log === undefined) return [];
      return this.#start(spec, defaults, { name: spec.name, log, parkedBefore, storeFullness });
    });
  }

  #start(spec: LaneSpec, defaults: Defaults, own: Omit<OwnParts, 'publisher'>): HeldLane {
    const publisher = new ReplaceablePublisher(this.#publisher(spec));
    const policies = policiesOf(spec, defaults);
    let held: HeldLane | undefined;
    const parts = this.#laneParts({ ...own, publisher }, () => held?.policies ?? policies);
    held = { lane: new Lane(parts), publisher, spec, policies };
    held.lane.start();
    return held;
  }

  /** The lane belongs to the set from now on. */
  add(held: HeldLane): void {
    this.#held.set(held.spec.name, held);
    this.byName.set(held.spec.name, held.lane);
  }

  /** True if a mapping of that name gets the lane that is there. */
  has(name: string): boolean {
    return this.#held.has(name);
  }

  /**
   * The lane of that name goes on under this mapping. Limits and policies hold from this call on; with another exchange or
   * other queues nothing is published from this call on until they are there. Backlog, order and seq stay.
   */
  change(spec: LaneSpec, defaults: Defaults): void {
    const held = this.#held.get(spec.name);
    if (held === undefined) return;
    this.#retired.delete(spec.name);
    held.policies = policiesOf(spec, defaults);
    const isSame = isDeepStrictEqual(topologyOf(held.spec), topologyOf(spec));
    held.spec = spec;
    if (!isSame) void held.publisher.replace(this.#publisher(spec), () => held.lane.window.size);
  }

  /** The lane has lost its mapping: it gets nothing new, drains, and then ends. */
  retire(name: string): void {
    this.#retired.add(name);
  }

  /** Until the returned function is called no lane ends. */
  holdStill(): () => void {
    this.#isHeldStill = true;
    return () => {
      this.#isHeldStill = false;
    };
  }

  /** The last seq of each lane that has ended. */
  get endedLastSeqs(): ReadonlyMap<string, number> {
    return this.#lastSeqs;
  }

  /** The policies are read from the lane's parts at each decision. */
  #laneParts(own: OwnParts, policies: () => Policies): LaneParts {
    const { store, config, gaps, clock, log } = this.#parts;
    const lastSeq = this.#lastSeqs.get(own.name);
    return {
      ...own,
      ...(lastSeq === undefined ? {} : { lastSeq }),
      get onUnroutable() {
        return policies().onUnroutable;
      },
      get onReject() {
        return policies().onReject;
      },
      get limits() {
        return policies().limits;
      },
      get whenFull() {
        return policies().whenFull;
      },
      gatewayId: config.gateway.id,
      epoch: store.epoch,
      run: store.run,
      elapsedMs: () => clock.elapsedMs(),
      ageMs: (message) => clock.ageMs(message),
      config: config.delivery,
      backfill: this.#backfill.lane(config.delivery.window.maxMessages),
      budgets: this.#budgets,
      gaps,
      confirmTimeoutMs: config.amqp.confirmTimeoutMs,
      onEvent: (event, detail) => log.info({ event, ...detail }, 'lane'),
    };
  }

  #publisher(spec: LaneSpec): LanePublisher {
    const { connection, config, log } = this.#parts;
    return new LanePublisher({
      lane: spec.name,
      connection,
      topology: spec,
      reconnect: config.amqp.reconnect,
      onTrouble: (err) =>
        log.warn({ event: 'lane-trouble', lane: spec.name, err }, 'the lane is closed'),
    });
  }

  #endDrained(): void {
    if (this.#isHeldStill) return;
    for (const name of this.#retired) {
      const lane = this.byName.get(name);
      const isDrained = lane?.isAllSafe && lane.backlogMessages + lane.waitingMessages === 0;
      if (lane === undefined || !isDrained || !this.#parts.isIdle(name)) continue;
      this.#retired.delete(name);
      this.#held.delete(name);
      this.#ending.set(name, this.#end(lane));
    }
  }

  async #end(lane: Lane): Promise<void> {
    await lane.stop(AbortSignal.timeout(END_LIMIT_MS));
    this.#lastSeqs.set(lane.name, lane.lastSeq);
    this.byName.delete(lane.name);
    this.#ending.delete(lane.name);
    const { name, parkedMessages } = lane;
    this.#parts.log.info(
      { event: 'lane-ended', lane: name, parkedMessages },
      'the lane of a removed mapping has drained',
    );
  }
}

function policiesOf(spec: LaneSpec, defaults: Defaults): Policies {
  return {
    onUnroutable: spec.onUnroutable,
    onReject: spec.onReject,
    limits: spec.limits ?? defaults.limits,
    whenFull: spec.whenFull ?? defaults.whenFull,
  };
}

function topologyOf({ exchange, exchanges, queues }: LaneSpec): object {
  return { exchange, exchanges, queues };
}
