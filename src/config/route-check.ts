import type { z } from 'zod';
import type { BoundExchangeConfig, MappingConfig, QueueConfig } from './types.ts';

type Report = (path: (string | number)[], message: string) => void;

/** Refuses what the broker would take and what could never route as it is meant. */
export function refuseUselessRoutes(mapping: MappingConfig, context: z.RefinementCtx): void {
  const report: Report = (path, message) => context.addIssue({ code: 'custom', path, message });
  const isDefault = mapping.exchange.name === '';
  if (isDefault && mapping.routingKey === undefined) {
    report(
      ['routingKey'],
      'the default exchange routes by the name of a queue; give that name, or a template of it',
    );
  }
  if (isDefault && mapping.exchange.arguments !== undefined) {
    report(['exchange', 'arguments'], 'the default exchange takes none; leave them out');
  }
  for (const list of ['exchanges', 'queues'] as const) {
    for (const [index, bound] of (mapping[list] ?? []).entries()) {
      checkBindings(mapping, bound, (path, message) => report([list, index, ...path], message));
    }
  }
}

function checkBindings(
  { exchange }: MappingConfig,
  bound: QueueConfig | BoundExchangeConfig,
  report: Report,
): void {
  const { bindingKey, bindings } = bound;
  if (bindingKey !== undefined && bindings !== undefined) {
    report(['bindingKey'], 'stands beside `bindings`; write it as an entry of them: { key: … }');
    return;
  }
  if (bindingKey === undefined && bindings === undefined) {
    if (exchange.type === 'direct' && exchange.name !== '') report([], NO_KEY);
    return;
  }
  if (exchange.name === '' && bindingKey !== undefined) report(['bindingKey'], NO_BINDING);
  for (const [index, binding] of (bindings ?? []).entries()) {
    if (binding.exchange !== undefined) continue;
    if (exchange.name === '') report(['bindings', index], NO_BINDING);
    else if (exchange.type === 'direct' && binding.key === undefined) {
      report(['bindings', index], NO_KEY);
    }
  }
}

const NO_KEY = 'a direct exchange routes by equal keys: give the key that the messages have';
const NO_BINDING =
  'nothing can be bound to the default exchange, where each queue has its name as its key; leave it out';
