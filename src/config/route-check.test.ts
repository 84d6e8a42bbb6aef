import { expect, test } from 'vitest';
import { mappingsSchema } from './mapping-schema.ts';

const BASE = { name: 'm', filter: '#' };

/** `path: start of the message` of each fault. */
function faultsOf(mapping: object): string[] {
  const parsed = mappingsSchema.safeParse([{ ...BASE, ...mapping }]);
  const issues = parsed.success ? [] : parsed.error.issues;
  return issues.map(({ path, message }) => `${path.slice(1).join('.')}: ${message}`);
}

const exchange = (name: string, type = 'topic'): { name: string; type: string } => ({ name, type });

test.each([
  { exchange: exchange(''), routingKey: 'q', queues: [{ name: 'q' }] },
  { exchange: exchange(''), routingKey: 'q', queues: [{ name: 'q', bindings: [] }] },
  {
    exchange: exchange(''),
    routingKey: 'q',
    queues: [{ name: 'q', bindings: [{ exchange: 'x' }] }],
  },
  { exchange: exchange('x'), queues: [{ name: 'q' }], exchanges: [{ name: 'y', type: 'fanout' }] },
  { exchange: exchange('x'), queues: [{ name: 'q', bindings: [{ key: 'a.#' }, { key: 'b.#' }] }] },
  { exchange: exchange('x', 'direct'), queues: [{ name: 'q', bindingKey: 'k' }] },
  { exchange: exchange('x', 'direct'), queues: [{ name: 'q', bindings: [] }] },
  { exchange: exchange('x', 'direct'), queues: [{ name: 'q', bindings: [{ exchange: 'y' }] }] },
  { exchange: exchange('x', 'fanout'), queues: [{ name: 'q' }] },
  {
    exchange: { ...exchange('x', 'headers'), arguments: { 'alternate-exchange': 'rest' } },
    exchanges: [{ name: 'rest', type: 'fanout', bindings: [] }],
    queues: [
      { name: 'q', bindings: [{ arguments: { 'x-match': 'any', kind: 'alarm', level: 3 } }] },
      { name: 'rest', bindings: [{ exchange: 'rest' }], arguments: { 'x-max-length': 10 } },
    ],
  },
])('A mapping may route so (case %#)', (mapping) => {
  expect(faultsOf(mapping)).toEqual([]);
});

test.each([
  [{ exchange: exchange('') }, 'routingKey: the default exchange routes by the name of a queue'],
  [
    { exchange: { name: '', arguments: { 'alternate-exchange': 'x' } }, routingKey: 'q' },
    'exchange.arguments: the default exchange takes none',
  ],
  [
    { exchange: exchange(''), routingKey: 'q', queues: [{ name: 'q', bindingKey: 'q' }] },
    'queues.0.bindingKey: nothing can be bound to the default exchange',
  ],
  [
    { exchange: exchange(''), routingKey: 'q', queues: [{ name: 'q', bindings: [{ key: 'q' }] }] },
    'queues.0.bindings.0: nothing can be bound to the default exchange',
  ],
  [
    { exchange: exchange('x', 'direct'), queues: [{ name: 'q' }] },
    'queues.0: a direct exchange routes by equal keys',
  ],
  [
    { exchange: exchange('x', 'direct'), exchanges: [{ name: 'y', bindings: [{}] }] },
    'exchanges.0.bindings.0: a direct exchange routes by equal keys',
  ],
  [
    { exchange: exchange('x'), queues: [{ name: 'q', bindingKey: 'a', bindings: [] }] },
    'queues.0.bindingKey: stands beside `bindings`',
  ],
  [
    { exchange: exchange('x'), queues: [{ name: 'q', arguments: { 'x-queue-type': 'classic' } }] },
    'queues.0.arguments.x-queue-type: is given by the key `type`',
  ],
  [
    { exchange: exchange('x'), queues: [{ name: 'q', bindingKey: '°'.repeat(128) }] },
    'queues.0.bindingKey: expected at most 255 bytes',
  ],
  [{ exchange: exchange('x', 'x-delayed-message') }, 'exchange.type: Invalid option'],
  [{ exchange: exchange('x'), exchanges: [{ name: '' }] }, 'exchanges.0.name: Too small'],
])('The mapping %j is refused: %s', (mapping, text) => {
  expect(faultsOf(mapping)).toEqual([expect.stringContaining(text)]);
});
