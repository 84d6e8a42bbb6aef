import type { AedesPersistence } from './aedes-internals.ts';

/**
 * Most messages that wait in memory for one session's local subscriptions. A subscriber that never comes back must not
 * take the gateway down; other MQTT servers cut at the same number.
 */
const MAX_QUEUED_MESSAGES = 1000;

/**
 * Bounds what waits in memory for local subscribers of a persistent session; more is left out and told. What goes to
 * the broker does not pass here.
 */
export function limitOfflineQueues(persistence: AedesPersistence, onFull: () => void): void {
  const enqueue = persistence.outgoingEnqueueCombi.bind(persistence);
  const clear = persistence.outgoingClearMessageId.bind(persistence);
  const queued = new Map<string, number>();

  const takesOneMore = ({ clientId }: { readonly clientId: string }): boolean => {
    const count = queued.get(clientId) ?? 0;
    if (count >= MAX_QUEUED_MESSAGES) {
      onFull();
      return false;
    }
    queued.set(clientId, count + 1);
    return true;
  };
  persistence.outgoingEnqueueCombi = (sessions, packet) =>
    enqueue(sessions.filter(takesOneMore), packet);
  persistence.outgoingClearMessageId = async (client, packet) => {
    const cleared = await clear(client, packet);
    if (cleared === undefined) return undefined;
    const left = (queued.get(client.id) ?? 1) - 1;
    if (left > 0) queued.set(client.id, left);
    else queued.delete(client.id);
    return cleared;
  };
}
