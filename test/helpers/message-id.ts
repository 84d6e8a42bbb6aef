/** A message-id of a gateway that runs. */
const MESSAGE_ID = /^([^/]+\/[^/]+\/\d+)-[0-9a-f]{16}(\.\d+)$/;

/**
 * A message-id without its run, which no test can know: `site/telemetry/1.7`.
 * @throws {Error} when there is no run in it: only what 0.1.0 stored may have none.
 */
export function withoutRun(messageId: unknown): string {
  const [, upToEpoch, seq] = MESSAGE_ID.exec(String(messageId)) ?? [];
  if (upToEpoch === undefined) throw new Error(`${messageId} is no message-id with a run`);
  return `${upToEpoch}${seq}`;
}
