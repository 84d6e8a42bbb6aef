import { inject } from 'vitest';
import type {} from './rabbit-global-setup.ts';

/**
 * AMQP URL of the RabbitMQ that the heavy test projects share. Only for tests that leave it as it is: names
 * of queues and exchanges carry something random, and nobody stops or limits it.
 */
export function sharedAmqpUrl(): string {
  return inject('amqpUrl');
}
