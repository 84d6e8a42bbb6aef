import { AmqpConnection } from './amqp/connection.ts';
import type { IdClaim } from './amqp/id-claim.ts';
import { checkTls, readTlsFiles } from './amqp/tls-files.ts';
import { GatewayClock } from './clock/gateway-clock.ts';
import { askSystem } from './clock/sync-inquiry.ts';
import { SYSTEM_CLOCKS } from './clock/system-clocks.ts';
import type { Config } from './config/types.ts';
import type { Lane } from './delivery/lane.ts';
import { GAP_LANE, GapLane } from './gap-lane.ts';
import { createIdClaim } from './id-claim-log.ts';
import { CheckedRelease } from './ingest/checked-release.ts';
import { Ingest } from './ingest/ingest.ts';
import { LaneChecks, payloadRules } from './lane-checks.ts';
import { LaneSet } from './lane-set.ts';
import { LiveConfig } from './live-config.ts';
import { MqttServer } from './mqtt/server.ts';
import { createAdminRoutes } from './observe/admin-routes.ts';
import { AdminServer } from './observe/admin-server.ts';
import { assessHealth, type Health } from './observe/health.ts';
import { snapshotLane } from './observe/lane-snapshot.ts';
import type { Log } from './observe/log.ts';
import { createMetrics, type Metrics } from './observe/metrics.ts';
import { createParkedRoutes } from './observe/parked-routes.ts';
import type { SnapshotSources } from './observe/sources.ts';
import { traceAndWarn } from './origin-warning.ts';
import type { DeviceMessage } from './shared/message.ts';
import { LevelStore } from './store/level-store.ts';
import type { StoreOrigin } from './store/origin.ts';

/** What the process gives the gateway. */
export interface GatewayParts {
  readonly config: Config;
  readonly version: string;
  readonly log: Log & { readonly droppedTotal: number };
}

/**
 * The gateway as a whole, the only place that knows all parts. Opens them against the flow of the data
 * (store, broker, lanes, devices), so that nothing is accepted before it can be made safe, and closes them
 * with it.
 */
export class Gateway {
  readonly #config: Config;
  readonly #log: Log & { readonly droppedTotal: number };
  readonly #version: string;
  readonly #store: LevelStore;
  readonly #clock: GatewayClock;
  readonly #connection: AmqpConnection;
  readonly #idClaim: IdClaim;
  readonly #lanes: LaneSet;
  readonly #gaps: GapLane;
  readonly #checks: LaneChecks;
  readonly #live: LiveConfig;
  readonly #release: CheckedRelease;
  readonly #ingest: Ingest;
  readonly #mqtt: MqttServer;
  readonly #metrics: Metrics;
  readonly #admin: AdminServer;
  #storeOrigin: StoreOrigin = 'unknown';
  #isListening = false;

  constructor({ config, log, version }: GatewayParts) {
    this.#config = config;
    this.#log = log;
    this.#version = version;
    this.#store = new LevelStore(config.store, {
      onFinding: (finding) => this.#gaps.found(finding),
      onTrouble: (err) => log.error({ event: 'store-trouble', err }, 'the store cannot be written'),
      onRecovered: () => log.info({ event: 'store-recovered' }, 'the store can be written again'),
    });
    this.#clock = this.#createClock();
    this.#connection = new AmqpConnection({
      ...config.amqp,
      tls: () => readTlsFiles(config.amqp.tls ?? {}),
      onTrouble: (err) => log.warn({ event: 'amqp-trouble', err }, 'the broker is not reached'),
    });
    this.#idClaim = createIdClaim(config, this.#connection, log);
    this.#gaps = new GapLane({
      config,
      log,
      store: () => this.#store,
      lanes: () => this.#lanes,
    });
    this.#checks = this.#createChecks();
    this.#lanes = this.#createLanes();
    this.#live = new LiveConfig({ config, lanes: this.#lanes, checks: this.#checks, log });
    const checking = {
      route: (message: DeviceMessage) => this.#live.route(message),
      checks: this.#checks.byLane,
    };
    this.#release = new CheckedRelease(checking);
    this.#ingest = new Ingest({
      ...checking,
      lanes: this.#lanes.byName,
      maxPayloadBytes: config.mqtt.maxPayloadBytes,
      maxPendingBytes: config.mqtt.maxPendingBytes,
    });
    const sources = this.#sources();
    this.#metrics = createMetrics(sources, version);
    this.#mqtt = this.#createMqtt();
    this.#admin = this.#createAdmin(sources);
  }

  /**
   * Resolves when devices can connect. A broker that is away is no reason to fail.
   * @throws {GatewayError} CONFIG_INVALID, STORE_… or LISTENER_FAILED, with what to do; everything is closed again then.
   */
  async start(): Promise<{ readonly port: number; readonly host: string }[]> {
    try {
      checkTls(this.#config.amqp);
      await this.#store.open();
      this.#storeOrigin = await traceAndWarn(this.#store, this.#config, this.#log);
      await this.#clock.open(this.#store);
      this.#connection.start();
      if (this.#config.amqp.claimId) this.#idClaim.start();
      await this.#gaps.start();
      const { mappings, delivery } = this.#config;
      for (const lane of await this.#lanes.create(mappings, delivery)) this.#lanes.add(lane);
      this.#lanes.start();
      this.#warnOfOrphans();
      this.#checks.start();
      if (this.#config.admin.enabled) await this.#admin.start();
      await this.#mqtt.start();
      this.#isListening = true;
      return this.#mqtt.addresses();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Replaces the config while messages flow, wholly or not at all; see {@link LiveConfig.reload}. Never rejects. */
  reload(load: () => Config): Promise<void> {
    return this.#live.reload(load);
  }

  /** Stops taking messages, waits up to `shutdown.timeoutMs` for confirms and closes. Nothing is lost. */
  async stop(): Promise<void> {
    this.#isListening = false;
    await this.#live.close();
    const limit = AbortSignal.timeout(this.#config.shutdown.timeoutMs);
    this.#mqtt.stopAccepting();
    await this.#ingest.idle(limit); // what was read is acknowledged yet
    // Wills of the connections that close now are messages too: lanes end after them.
    await this.#mqtt.close();
    await this.#checks.close();
    await this.#lanes.stop(limit);
    await this.#gaps.lane?.stop(limit); // it takes what the others give up
    await this.#idClaim.stop();
    await this.#connection.stop();
    await this.#clock.stop();
    await this.#store.close(this.#lastSeqs());
    await this.#admin.close();
    this.#metrics.stop();
  }

  /** The last seq of each lane, if every message of this run is safe; otherwise nobody can say. */
  #lastSeqs(): ReadonlyMap<string, number> | undefined {
    const lanes = this.#allLanes();
    if (lanes.some((lane) => !lane.isAllSafe)) return undefined;
    const running = lanes.map((lane): [string, number] => [lane.name, lane.lastSeq]);
    return new Map([...this.#lanes.endedLastSeqs, ...running]);
  }

  /** Those of the mappings first. */
  #allLanes(): Lane[] {
    const ofMappings = [...this.#lanes.byName.values()];
    const { lane } = this.#gaps;
    return lane === undefined ? ofMappings : [...ofMappings, lane];
  }

  /** A mapping that was renamed or removed leaves its messages behind: that must not go unnoticed. */
  #warnOfOrphans(): void {
    const orphans = this.#store
      .laneNames()
      .filter((name) => name !== GAP_LANE && !this.#lanes.byName.has(name));
    if (orphans.length === 0) return;
    const text =
      'the store has lanes without a mapping; bring the mapping back to deliver what they hold';
    this.#log.warn({ event: 'orphaned-lanes', lanes: orphans }, text);
  }

  #createClock(): GatewayClock {
    return new GatewayClock({
      clocks: SYSTEM_CLOCKS,
      inquiry: askSystem,
      hasBacklog: () => this.#allLanes().some((lane) => lane.backlogMessages > 0),
      onStep: (byMs) => this.#log.warn({ event: 'clock-set', byMs }, 'the wall clock was set'),
      onQuality: (quality) =>
        this.#log.info({ event: 'clock-quality', quality }, 'what the wall clock is worth'),
    });
  }

  #createLanes(): LaneSet {
    return new LaneSet({
      config: this.#config,
      store: this.#store,
      connection: this.#connection,
      gaps: this.#gaps.manifest,
      clock: this.#clock,
      log: this.#log,
      isIdle: (lane) => this.#checks.isIdle(lane),
    });
  }

  #createChecks(): LaneChecks {
    return new LaneChecks(payloadRules(this.#config), {
      maxPendingBytes: this.#config.mqtt.maxPendingBytes,
      onTrouble: (mappings, reason) =>
        this.#log.warn(
          { event: 'payload-process', mappings, reason },
          'the process that checks payloads is started again',
        ),
    });
  }

  #createMqtt(): MqttServer {
    const metrics = this.#metrics;
    return new MqttServer({
      config: this.#config.mqtt,
      accept: (message, receipt) => this.#ingest.accept(message, receipt),
      packetIdStore: this.#store.packetIds,
      observer: {
        received: (qos, bytes) => metrics.received(qos, bytes),
        pubackLatency: (ms) => metrics.pubackLatency(ms),
        connectionOpened: () => metrics.connection('accepted'),
        connectionClosed: () => metrics.connection('closed'),
        refused: () => metrics.connection('refused'),
      },
      log: this.#log,
    });
  }

  #createAdmin(sources: SnapshotSources): AdminServer {
    const startedAtMs = performance.now();
    const routes = createAdminRoutes({
      version: this.#version,
      sources,
      metrics: this.#metrics,
      health: () => this.#health(),
      uptimeMs: () => performance.now() - startedAtMs,
    });
    const { host, port } = this.#config.admin;
    const parked = createParkedRoutes(() => this.#allLanes().map((lane) => this.#release.of(lane)));
    return new AdminServer({ host, port, routes: new Map([...routes, ...parked]), log: this.#log });
  }

  #health(): Health {
    const { connected, blockedReason } = this.#connection.state();
    const lanes = this.#allLanes();
    return assessHealth({
      listening: this.#isListening,
      storeWritable: this.#store.writable && !lanes.some((lane) => lane.waitingMessages > 0),
      storeOrigin: this.#storeOrigin,
      brokerConnected: connected,
      brokerBlocked: blockedReason !== undefined,
      clock: this.#clock.quality,
      idTaken: this.#idClaim.isTaken,
      lanes: lanes.map((lane) => ({ lane: lane.name, state: lane.state })),
    });
  }

  #sources(): SnapshotSources {
    return {
      lanes: () => this.#allLanes().map(snapshotLane),
      store: () => ({ ...this.#store.stats(), origin: this.#storeOrigin }),
      amqp: () => {
        const { connected, blockedReason, reconnects } = this.#connection.state();
        const { isTaken: idTaken } = this.#idClaim;
        const blocked = blockedReason !== undefined;
        return { connected, blocked, reconnectsTotal: reconnects, idTaken };
      },
      mqtt: () => ({ connections: this.#mqtt.connections }),
      ingest: () => {
        const ingest = this.#ingest.stats();
        const refusedTotal = { ...ingest.refusedTotal, ...this.#mqtt.limitedTotal };
        return { ...ingest, refusedTotal };
      },
      log: () => this.#log,
      config: () => this.#live.snapshot(),
      clock: () => ({ quality: this.#clock.quality, stepsTotal: this.#clock.steps }),
    };
  }
}
