import type { TestProject } from 'vitest/node';
import { startRabbitNode } from './rabbitmq-node.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** URL of the node that all tests of a run share; what a test declares there has a name of its own. */
    amqpUrl: string;
  }
}

/**
 * Starts the shared node for the first project that needs it, and keeps it until the end of the run.
 * A test gets it with `sharedAmqpUrl()`; one that stops, freezes or limits a node starts its own.
 */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | void> {
  const root = project.vitest.getRootProject();
  if (root.getProvidedContext().amqpUrl !== undefined) return;
  const node = await startRabbitNode();
  root.provide('amqpUrl', node.url);
  return () => node.stop();
}
