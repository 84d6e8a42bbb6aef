import { expect, test } from 'vitest';
import { configSchema } from './config/schema.ts';
import type { Config } from './config/types.ts';
import { planReload, reloadedConfig } from './reload-plan.ts';

function configOf(keys: object): Config {
  return configSchema.parse(keys);
}

function mapping(name: string, keys: object = {}): object {
  return { name, filter: `${name}/#`, exchange: { name }, ...keys };
}

test('a plan names the mappings that come, go and change, and the keys of a change', () => {
  const before = configOf({ mappings: [mapping('a'), mapping('b'), mapping('c')] });
  const after = configOf({
    mappings: [
      mapping('c'),
      mapping('b', { routingKey: 'x', exchange: { name: 'y' } }),
      mapping('d'),
    ],
  });
  expect(planReload(before, after)).toEqual({
    added: ['d'],
    removed: ['a'],
    changed: [{ mapping: 'b', keys: ['exchange.name', 'routingKey'] }],
    keys: ['order of mappings'],
    restartKeys: [],
  });
});

test('the same config changes nothing', () => {
  const nothing = { added: [], removed: [], changed: [], keys: [], restartKeys: [] };
  expect(planReload(configOf({}), configOf({}))).toEqual(nothing);
});

test('keys that take a restart are named and stay as they were; the others are taken over', () => {
  const before = configOf({ gateway: { id: 'a' }, delivery: { mode: 'adaptive' } });
  const after = configOf({
    gateway: { id: 'b' },
    mqtt: { listeners: [{ port: 1 }] },
    routing: { match: 'first' },
    delivery: { mode: 'disk-first', limits: { maxMessages: 5 }, whenFull: 'reject' },
    mappings: [mapping('a')],
  });
  const plan = planReload(before, after);
  expect(plan.restartKeys).toEqual(['gateway.id', 'mqtt.listeners', 'delivery.mode']);
  const live = ['delivery.limits.maxMessages', 'delivery.whenFull', 'routing.match'];
  expect(plan.keys).toEqual(live);
  const { delivery, routing, mappings } = after;
  expect(reloadedConfig(before, after)).toEqual({
    ...before,
    routing,
    mappings,
    delivery: { ...before.delivery, limits: delivery.limits, whenFull: 'reject' },
  });
});

test('a limit that is taken out is none any more', () => {
  const before = configOf({ delivery: { limits: { maxMessages: 5 } } });
  expect(reloadedConfig(before, configOf({})).delivery.limits).toEqual({});
});
