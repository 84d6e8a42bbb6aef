import { expect, test } from 'vitest';
import { configSchema } from '../config/schema.ts';
import { checkMappings } from './mapping-checks.ts';

/** Findings about these mappings, each as `level mappings: text`. */
function findings(mappings: readonly object[], match: 'all' | 'first' = 'all'): string[] {
  const config = configSchema.parse({ routing: { match }, mappings });
  return checkMappings(config).map(
    ({ level, mappings: names, text }) => `${level} ${names.join()}: ${text}`,
  );
}

const exchange = { name: 'e' };

test('mappings that part or go to different exchanges or keys give no findings', () => {
  const mappings = [
    { name: 'a', filter: 'a/#', exchange },
    { name: 'b', filter: 'b/+', exchange },
    { name: 'c', filter: '#', exchange: { name: 'other' } },
    { name: 'd', filter: 'a/+x', exchange, routingKey: `own.key.\${x}` },
  ];
  expect(findings(mappings)).toEqual([]);
});

test('a mapping of topics that no device may publish to never matches', () => {
  const mappings = [{ name: 'a', filter: '$SYS/#', exchange }];
  expect(findings(mappings)).toEqual([expect.stringMatching(/^warning a: never matches/)]);
});

test('a mapping behind one that takes all of its topics gets nothing, if only the first gets a message', () => {
  const mappings = [
    { name: 'wide', filter: 'devices/#', exchange },
    { name: 'narrow', filter: 'devices/+/alarm', exchange: { name: 'alarms' } },
  ];
  expect(findings(mappings, 'first')).toEqual([
    expect.stringMatching(/^warning narrow,wide: never gets a message/),
  ]);
  expect(findings(mappings)).toEqual([]);
  expect(findings(mappings.toReversed(), 'first')).toEqual([]);
});

test('two mappings of the same topics to the same exchange and key send each message twice', () => {
  const twice = [expect.stringMatching(/^warning a,b: both send topics such as devices\/x\/t/)];
  const a = { name: 'a', filter: 'devices/+/t', exchange };
  const b = { name: 'b', filter: 'devices/#rest', exchange, routingKey: `devices.\${rest}` };
  expect(findings([a, b])).toEqual(twice);
  expect(findings([a, { ...b, routingKey: `other.\${rest}` }])).toEqual([]);
  const fanout = { name: 'f', type: 'fanout' };
  const toFanout = [
    { ...a, exchange: fanout },
    { ...b, exchange: fanout, routingKey: 'other' },
  ];
  expect(findings(toFanout)).toEqual(twice);
  const apart = [
    { ...a, when: 'x = 1' },
    { ...b, when: 'x = 2' },
  ];
  expect(findings(apart)).toEqual([]);
});

test('a key that is the default key of a topic of another mapping is told', () => {
  const mappings = [
    { name: 'plain', filter: 'a/+/c', exchange },
    { name: 'made', filter: 'other/+x', exchange, routingKey: `a.\${x}.c` },
  ];
  expect(findings(mappings)).toEqual([
    'warning made,plain: topic other/x of made gets the key a.x.c, which is the default key of topic a/x/c of plain',
  ]);
});

test('an exchange or a queue that two mappings declare in two ways is a fault', () => {
  const queue = { name: 'q', type: 'quorum' };
  const mappings = [
    { name: 'a', filter: 'a', exchange, queues: [queue] },
    { name: 'b', filter: 'b', exchange: { name: 'e', type: 'fanout' }, queues: [queue] },
    { name: 'c', filter: 'c', exchange, queues: [{ ...queue, arguments: { 'x-max-length': 5 } }] },
  ];
  const found = findings(mappings);
  expect(found).toHaveLength(4);
  expect(found[0]).toMatch(/^fault a,b: exchange "e" is declared in two ways.*topic.*fanout/);
  expect(found[1]).toMatch(/^fault a,c: queue "q" is declared in two ways.*x-max-length/);
});
