import type { LaneMessage } from './message.ts';

/** What a message-id is made of. */
export type Identity = Pick<LaneMessage, 'gatewayId' | 'epoch' | 'run' | 'seq'>;

/** The identity of a message in one lane; the same at every delivery, so that consumers can dedupe by it. */
export function messageIdOf(message: Identity, lane: string): string {
  return `${messageIdHead(message, lane)}${message.seq}`;
}

/**
 * What the identities of all messages of a run begin with. What 0.1.0 stored has no run and keeps the id it had
 * there: it may have been delivered under it already.
 */
export function messageIdHead(message: Omit<Identity, 'seq'>, lane: string): string {
  const { gatewayId, epoch, run } = message;
  return `${gatewayId}/${lane}/${run === undefined ? epoch : `${epoch}-${run}`}.`;
}
