import type { ParkReason } from '../delivery/ports.ts';
import type { PayloadRule } from './rule.ts';

/** One message as the checking process gets it. */
export interface CheckTask {
  /** Index of its rule. */
  readonly rule: number;
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly clientId: string;
  readonly username?: string;
  readonly receivedAtMs: number;
}

/** Why a message is parked instead of being accepted by its lane. */
export type CheckFailure = Extract<
  ParkReason,
  'payload_invalid' | 'when_failed' | 'transform_failed' | 'payload_timeout' | 'payload_crashed'
>;

/** What became of one message. */
export type CheckResult =
  /** It goes to its lane with this body, or as it is. */
  | { readonly kind: 'passed'; readonly body?: string }
  /** It is not for this lane. */
  | { readonly kind: 'filtered' }
  | { readonly kind: 'failed'; readonly reason: CheckFailure; readonly detail: string };

/** What the gateway tells the process: its rules, once and first, then one batch at a time. */
export type ToProcess =
  | { readonly rules: readonly PayloadRule[] }
  | { readonly tasks: readonly CheckTask[] };

/** What the process tells: that it is ready, then results in the order of the tasks, in parts. */
export type FromProcess = { readonly ready: true } | { readonly results: readonly CheckResult[] };

/** Detail of `payload_timeout`. */
export function tookTooLong(timeoutMs: number): string {
  return `took longer than ${timeoutMs} ms (payload.timeoutMs)`;
}
