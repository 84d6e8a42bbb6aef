/** The AMQP reply code (404, 403, 406, 320 …) that amqplib left on an error; absent for other faults. */
export function replyCodeOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'number' ? error.code : undefined;
}
