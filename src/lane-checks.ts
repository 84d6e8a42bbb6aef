import { isDeepStrictEqual } from 'node:util';
import type { Config } from './config/types.ts';
import type { ProcessProgram } from './payload/checking-process.ts';
import { PayloadChecks } from './payload/payload-checks.ts';
import { type PayloadRule, ruleOf } from './payload/rule.ts';
import { ReplaceableCheck } from './replaceable-check.ts';

/** The rules of all mappings that do not take payloads as they are. Reads their schema files. */
export function payloadRules({ mappings, gateway, mqtt }: Config): PayloadRule[] {
  const context = { gatewayId: gateway.id, maxBodyBytes: mqtt.maxPayloadBytes };
  return mappings.flatMap((mapping) => ruleOf(mapping, context) ?? []);
}

export interface LaneChecksOptions {
  readonly maxPendingBytes: number;
  /** Default: the built program. Tests give the source. */
  readonly program?: ProcessProgram;
  readonly onTrouble: (mappings: readonly string[], reason: string) => void;
}

/** The payload checks of all lanes, which can be replaced while messages flow. */
export class LaneChecks {
  /** By name of the mapping; a lane that has none takes payloads as they are. */
  readonly byLane: Map<string, ReplaceableCheck> = new Map();
  readonly #options: LaneChecksOptions;
  #rules: readonly PayloadRule[];
  #current: PayloadChecks;
  /** Those that were replaced too, until they are not needed any more. */
  readonly #open = new Set<PayloadChecks>();

  constructor(rules: readonly PayloadRule[], options: LaneChecksOptions) {
    this.#rules = rules;
    this.#options = options;
    this.#current = this.#create(rules);
    for (const [lane, check] of this.#current.byLane) {
      this.byLane.set(lane, new ReplaceableCheck(check));
    }
  }

  start(): void {
    this.#current.start();
  }

  /** Ends all processes; what is not checked by then is told `closed`. */
  async close(): Promise<void> {
    await Promise.all([...this.#open].map((checks) => checks.close()));
  }

  /** The lane has no message on its way through its check. */
  isIdle(lane: string): boolean {
    return this.byLane.get(lane)?.isIdle !== false;
  }

  /** Other rules from this call on, in each lane behind the messages that are under way. */
  replace(rules: readonly PayloadRule[]): void {
    if (isDeepStrictEqual(rules, this.#rules)) return;
    const before = this.#current;
    this.#rules = rules;
    this.#current = this.#create(rules);
    this.#current.start();
    for (const lane of this.#current.byLane.keys()) {
      if (!this.byLane.has(lane)) this.byLane.set(lane, new ReplaceableCheck(undefined));
    }
    const replaced = [...this.byLane].map(([lane, check]) =>
      check.replace(this.#current.byLane.get(lane)),
    );
    void Promise.all(replaced).then(async () => {
      for (const [lane, check] of this.byLane) if (check.isPlain) this.byLane.delete(lane);
      await before.close();
      this.#open.delete(before);
    });
  }

  /** Of what may be pending, half may wait to be checked: a stalled mapping must not refuse the messages of others. */
  #create(rules: readonly PayloadRule[]): PayloadChecks {
    const { maxPendingBytes, ...rest } = this.#options;
    const checks = new PayloadChecks({ rules, maxHeldBytes: maxPendingBytes / 2, ...rest });
    this.#open.add(checks);
    return checks;
  }
}
