import type { DeviceMessage } from '../shared/message.ts';

/** The message with the body that its check made; as it is without one. */
export function shaped<T extends DeviceMessage>(message: T, body: string | undefined): T {
  return body === undefined ? message : { ...message, payload: Buffer.from(body) };
}
