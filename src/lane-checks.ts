import type { Config } from './config/types.ts';
import type { ProcessProgram } from './payload/checking-process.ts';
import { PayloadChecks } from './payload/payload-checks.ts';
import { type PayloadRule, ruleOf } from './payload/rule.ts';

/** The rules of all mappings that do not take payloads as they are. Reads their schema files. */
export function payloadRules({ mappings, gateway, mqtt }: Config): PayloadRule[] {
  const context = { gatewayId: gateway.id, maxBodyBytes: mqtt.maxPayloadBytes };
  return mappings.flatMap((mapping) => ruleOf(mapping, context) ?? []);
}

export interface PayloadChecksOptions {
  readonly maxPendingBytes: number;
  /** Default: the built program. Tests give the source. */
  readonly program?: ProcessProgram;
  readonly onTrouble: (mappings: readonly string[], reason: string) => void;
}

/** Of what may be pending, half may wait to be checked: a stalled mapping must not refuse the messages of others. */
export function createPayloadChecks(
  rules: readonly PayloadRule[],
  { maxPendingBytes, ...rest }: PayloadChecksOptions,
): PayloadChecks {
  return new PayloadChecks({ rules, maxHeldBytes: maxPendingBytes / 2, ...rest });
}
