import type { Config } from './config/types.ts';
import { type LaneChecks, payloadRules } from './lane-checks.ts';
import type { LaneSet } from './lane-set.ts';
import { compileRoutes, type Route, type RouteTable } from './mapping/route-table.ts';
import type { Log } from './observe/log.ts';
import type { ConfigSnapshot } from './observe/sources.ts';
import { planReload, type ReloadPlan, reloadedConfig } from './reload-plan.ts';
import { errorText } from './shared/errors.ts';
import type { DeviceMessage } from './shared/message.ts';

export interface LiveConfigParts {
  readonly config: Config;
  readonly lanes: LaneSet;
  readonly checks: LaneChecks;
  readonly log: Log;
}

/**
 * The config as it runs, and how another takes its place: as a whole, between two messages, or not at all. Routes, lanes
 * and payload checks change in the same turn of the event loop, so that no message meets half of each.
 */
export class LiveConfig {
  readonly #parts: LiveConfigParts;
  #config: Config;
  #routes: RouteTable;
  #reloading: Promise<void> = Promise.resolve();
  #isClosed = false;
  #applied = 0;
  #failed = 0;
  #lastError: string | undefined;
  #restartKeys: readonly string[] = [];

  /** @throws {GatewayError} CONFIG_INVALID for mappings that do not compile. */
  constructor(parts: LiveConfigParts) {
    this.#parts = parts;
    this.#config = parts.config;
    this.#routes = routesOf(parts.config);
  }

  /** The routes of a message, by the mappings as they are now. */
  route(message: DeviceMessage): readonly Route[] {
    return this.#routes.route(message);
  }

  /**
   * Replaces the config by what `load` gives, one reload after the other. Never rejects: when loading or applying fails,
   * the old config goes on as it was, and the log and {@link LiveConfig.snapshot} tell it.
   */
  reload(load: () => Config): Promise<void> {
    this.#reloading = this.#reloading.then(() => this.#tryReload(load));
    return this.#reloading;
  }

  /** Waits for a reload under way; none comes after it. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#reloading;
  }

  snapshot(): ConfigSnapshot {
    return {
      reloadsTotal: this.#applied,
      reloadFailuresTotal: this.#failed,
      reloadFailed: this.#lastError !== undefined,
      ...(this.#lastError === undefined ? {} : { reloadError: this.#lastError }),
      restartKeys: this.#restartKeys,
    };
  }

  async #tryReload(load: () => Config): Promise<void> {
    if (this.#isClosed) return;
    const { log } = this.#parts;
    try {
      const loaded = load();
      const plan = planReload(this.#config, loaded);
      await this.#apply(reloadedConfig(this.#config, loaded), plan);
      this.#applied += 1;
      this.#lastError = undefined;
      this.#restartKeys = plan.restartKeys;
      log.info({ event: 'config-reloaded', ...plan }, 'the config is replaced');
      if (plan.restartKeys.length === 0) return;
      const text = 'keys that differ take a restart and are as they were';
      log.warn({ event: 'config-restart-needed', keys: plan.restartKeys }, text);
    } catch (error) {
      this.#failed += 1;
      this.#lastError = errorText(error);
      const faults = this.#lastError.split('\n');
      log.error(
        { event: 'config-reload-failed', faults },
        'the config is not replaced; the old one goes on',
      );
    }
  }

  /** What can fail or takes time comes first; the rest happens at once. */
  async #apply(config: Config, plan: ReloadPlan): Promise<void> {
    const { lanes, checks } = this.#parts;
    const routes = routesOf(config);
    const rules = payloadRules(config);
    const letGo = lanes.holdStill();
    try {
      const isNew = config.mappings.filter(({ name }) => !lanes.has(name));
      const created = await lanes.create(isNew, config.delivery);
      for (const lane of created) lanes.add(lane);
      for (const mapping of config.mappings) lanes.change(mapping, config.delivery);
      for (const name of plan.removed) lanes.retire(name);
      checks.replace(rules);
      this.#routes = routes;
      this.#config = config;
    } finally {
      letGo();
    }
  }
}

function routesOf({ mappings, gateway, routing }: Config): RouteTable {
  return compileRoutes(mappings, { gatewayId: gateway.id, match: routing.match });
}
