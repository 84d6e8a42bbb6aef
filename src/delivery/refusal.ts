import type { FailureAction } from '../config/types.ts';
import type { LaneCounters } from './lane-counters.ts';
import { type PublishOutcome, UNENCODABLE } from './ports.ts';

/** What to do with a message that the broker did not take. */
export interface Refusal {
  readonly action: FailureAction;
  readonly reason: 'unroutable' | 'rejected';
  /** The broker's words. */
  readonly detail: string;
}

/** What the lane's policies say about an answer that is no confirm; counts it. */
export function refusalOf(
  outcome: Exclude<PublishOutcome, { kind: 'confirmed' }>,
  policies: { readonly onUnroutable: FailureAction; readonly onReject: FailureAction },
  counters: LaneCounters,
): Refusal {
  if (outcome.kind === 'nacked') {
    counters.nacked += 1;
    return { action: policies.onReject, reason: 'rejected', detail: 'basic.nack' };
  }
  counters.returned += 1;
  const detail = outcome.replyText;
  // It fits into no frame: trying again would be in vain, and so would a queue.
  if (outcome.replyCode === UNENCODABLE) return { action: 'park', reason: 'rejected', detail };
  return { action: policies.onUnroutable, reason: 'unroutable', detail };
}
