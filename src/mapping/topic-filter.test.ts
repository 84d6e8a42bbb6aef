import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { matchTopic, parseTopicFilter, type TopicFilter } from './topic-filter.ts';

/** Filter, topic, and the captures of a match as [name, value] pairs; `false` for no match. */
type Case = readonly [string, string, false | readonly (readonly [string, string])[]];

const LONG = 'x'.repeat(65_535);

const LITERALS: readonly Case[] = [
  ['a', 'a', []],
  ['a', 'b', false],
  ['a', 'A', false],
  ['a', 'a/b', false],
  ['a/b', 'a/b', []],
  ['a/b', 'a', false],
  ['a/b', 'a/b/c', false],
  ['a.b', 'a.b', []],
  ['a.b', 'a/b', false],
  ['a b', 'a b', []],
  ['a b', 'ab', false],
  [' ', ' ', []],
  ['*', '*', []],
  ['*', 'a', false],
  ['a/*/c', 'a/b/c', false],
  ['^a$', '^a$', []],
  ['(a|b)', 'a', false],
  ['température/°C', 'température/°C', []],
  ['température', 'temperature', false],
  ['\u00e9', 'e\u0301', false], // [MQTT-1.5.3-1] sets no normal form: compared as they are
  ['工場/温度', '工場/温度', []],
  ['🌊/🚪', '🌊/🚪', []],
  ['\ufeffa', '\ufeffa', []],
  ['\ufeffa', 'a', false],
  [LONG, LONG, []],
  [LONG, LONG.slice(1), false],
];

const EMPTY_LEVELS: readonly Case[] = [
  ['/', '/', []],
  ['/', '//', false],
  ['//', '//', []],
  ['/a', '/a', []],
  ['/a', 'a', false],
  ['a', '/a', false],
  ['a/', 'a/', []],
  ['a/', 'a', false],
  ['a', 'a/', false],
  ['a//b', 'a//b', []],
  ['a//b', 'a/b', false],
  ['a/b', 'a//b', false],
  ['+', '/', false],
  ['+/+', '/', []],
  ['+/+', '/a', []],
  ['/+', '/a', []],
  ['/+', '/', []],
  ['+', '/a', false],
  ['a/+', 'a/', []],
  ['a/+', 'a', false],
  ['a/+/b', 'a//b', []],
  [
    '+x/+y',
    '/',
    [
      ['x', ''],
      ['y', ''],
    ],
  ],
  ['#', '/', []],
  ['#x', '/', [['x', '/']]],
  ['#x', '//', [['x', '//']]],
  ['/#x', '/', [['x', '']]],
  ['/#x', '//a', [['x', '/a']]],
  ['a/#x', 'a/', [['x', '']]],
  ['a/#x', 'a//', [['x', '/']]],
];

const WILDCARDS: readonly Case[] = [
  ['+', 'a', []],
  ['+', 'a/b', false],
  ['+', '.', []],
  ['+', LONG, []],
  ['a/+', 'a/b', []],
  ['a/+', 'a/b/c', false],
  ['+/b', 'a/b', []],
  ['+/b', 'a/c', false],
  ['+/+', 'a/b', []],
  ['+/+/+', 'a/b', false],
  ['a/+/c', 'a/b/c', []],
  ['a/+/c', 'a/b/d', false],
  ['#', 'a', []],
  ['#', 'a/b/c', []],
  ['#', LONG, []],
  ['#', '/'.repeat(65_535), []],
  ['a/#', 'a', []], // [MQTT-4.7.1-2]
  ['a/#', 'a/b', []],
  ['a/#', 'a/b/c', []],
  ['a/#', 'ab', false],
  ['a/#', 'b/a', false],
  ['a/b/#', 'a', false],
  ['a/b/#', 'a/b', []],
  ['+/#', 'a', []],
  ['+/#', 'a/b', []],
  ['+/b/#', 'a/b', []],
  ['+/b/#', 'a/c/b', false],
  ['sport/tennis/player1/#', 'sport/tennis/player1', []], // MQTT 3.1.1 §4.7.1.2
  ['sport/tennis/player1/#', 'sport/tennis/player1/score/wimbledon', []],
  ['sport/+', 'sport', false], // MQTT 3.1.1 §4.7.1.3
  ['sport/+', 'sport/', []],
  ['+/+', '/finance', []],
  ['+', '/finance', false],
];

const RESERVED: readonly Case[] = [
  ['#', '$SYS', false], // [MQTT-4.7.2-1]
  ['#', '$SYS/uptime', false],
  ['#', '$', false],
  ['#all', '$SYS', false],
  ['+', '$SYS', false],
  ['+/uptime', '$SYS/uptime', false],
  ['+root/#', '$SYS/uptime', false],
  ['$SYS/#', '$SYS/uptime', []],
  ['$SYS/#', '$SYS', []],
  ['$SYS/+', '$SYS/uptime', []],
  ['$SYS/+/clients', '$SYS/broker/clients', []],
  ['$SYS/uptime', '$SYS/uptime', []],
  ['$SYS/#rest', '$SYS/$a/b', [['rest', '$a/b']]],
  ['a/+', 'a/$b', []],
  ['a/#', 'a/$b', []],
  ['/+', '/$b', []],
  ['+/+', '/$b', []],
  ['#', '/$SYS', []],
  ['#', 'a$', []],
];

const CAPTURES: readonly Case[] = [
  ['+a', 'x', [['a', 'x']]],
  ['+_', 'x', [['_', 'x']]],
  ['+A9_z', 'x', [['A9_z', 'x']]],
  [
    '+a/+b',
    'x/y',
    [
      ['a', 'x'],
      ['b', 'y'],
    ],
  ],
  [
    '+a/+/+c',
    'x/y/z',
    [
      ['a', 'x'],
      ['c', 'z'],
    ],
  ],
  [
    '+a/+A',
    'x/y',
    [
      ['a', 'x'],
      ['A', 'y'],
    ],
  ],
  ['k/+a', 'k/x.y', [['a', 'x.y']]],
  ['k/+a', 'k/x y', [['a', 'x y']]],
  ['k/+a', 'k/ü🌊', [['a', 'ü🌊']]],
  ['k/+a', 'k/x/y', false],
  ['k/#a', 'k', [['a', '']]],
  ['k/#a', 'k/x', [['a', 'x']]],
  ['k/#a', 'k/x/y.z/w', [['a', 'x/y.z/w']]],
  ['#a', 'x/y', [['a', 'x/y']]],
  [
    'site/+line/+device/telemetry/#metric',
    'site/1/d-2/telemetry/a/b',
    [
      ['line', '1'],
      ['device', 'd-2'],
      ['metric', 'a/b'],
    ],
  ],
  [
    'site/+line/+device/telemetry/#metric',
    'site/1/d-2/telemetry',
    [
      ['line', '1'],
      ['device', 'd-2'],
      ['metric', ''],
    ],
  ],
  ['site/+line/+device/telemetry/#metric', 'site/1/d-2/status', false],
  ['+__proto__', 'x', [['__proto__', 'x']]],
  [
    '+constructor/+toString',
    'a/b',
    [
      ['constructor', 'a'],
      ['toString', 'b'],
    ],
  ],
  ['+a', '__proto__', [['a', '__proto__']]],
  ['__proto__/+a', '__proto__/constructor', [['a', 'constructor']]],
  ['__proto__', 'a', false],
  ['hasOwnProperty', 'hasOwnProperty', []],
];

function parsed(source: string): TopicFilter {
  const result = parseTopicFilter(source);
  if (!result.ok) throw new Error(result.faults.join('; '));
  return result.filter;
}

function short(text: string): string {
  return text.length > 60 ? `${text.slice(0, 20)}… (${text.length})` : text;
}

describe.each([
  ['literal levels', LITERALS],
  ['empty levels', EMPTY_LEVELS],
  ['wildcards', WILDCARDS],
  ['topics of the server', RESERVED],
  ['captures', CAPTURES],
])('A filter meets a topic: %s', (_title, cases) => {
  for (const [filter, topic, expected] of cases) {
    const verb = expected === false ? 'does not match' : 'matches';
    test(`"${short(filter)}" ${verb} "${short(topic)}"`, () => {
      const captures = matchTopic(parsed(filter), topic);
      expect(captures === undefined ? false : [...captures]).toEqual(expected);
    });
  }
});

test.each([
  ['', 'write "#" for all topics'],
  ['a+', 'must stand alone in its level'],
  ['a+/b', 'must stand alone in its level'],
  ['a/b#', 'must stand alone in its level'],
  ['++', 'must stand alone in its level'],
  ['##', 'must stand alone in its level'],
  ['+#', 'must stand alone in its level'],
  ['+name+', 'must stand alone in its level'],
  ['#/a', '"#" must be the last level'],
  ['a/#/b', '"#" must be the last level'],
  ['a/#/', '"#" must be the last level'],
  ['#rest/a', '"#" must be the last level'],
  ['+9', '"9" is not a capture name'],
  ['+a-b', '"a-b" is not a capture name'],
  ['+ ', '" " is not a capture name'],
  ['+é', '"é" is not a capture name'],
  ['+a.b', '"a.b" is not a capture name'],
  ['+a/+a', 'capture name "a" is used twice'],
  ['+a/#a', 'capture name "a" is used twice'],
  ['+__proto__/+__proto__', 'capture name "__proto__" is used twice'],
  ['a\0b', 'contains NUL'],
])('The filter %j is refused: %s', (source, text) => {
  const result = parseTopicFilter(source);
  expect(result.ok ? [] : result.faults).toEqual([expect.stringContaining(text)]);
});

test('[MQTT-4.7.3-3] A filter of 65,535 bytes is the longest, counted in UTF-8 and without capture names', () => {
  expect(parseTopicFilter(`${'x'.repeat(65_533)}/+name`).ok).toBe(true);
  expect(parseTopicFilter('é'.repeat(32_767)).ok).toBe(true);
  const result = parseTopicFilter('é'.repeat(32_768));
  expect(result.ok ? [] : result.faults).toEqual([expect.stringContaining('65536 bytes')]);
});

test('All faults of a filter are reported at once, with the captures that could be read', () => {
  const result = parseTopicFilter('a+/#x/+y/+y');
  expect(result).toMatchObject({ ok: false, captureNames: ['x', 'y'] });
  expect(result.ok ? 0 : result.faults.length).toBe(3);
});

test('No topic that matches has fewer bytes than the filter says', () => {
  const level = fc.constantFrom('', 'a', 'é', '+', '+');
  const filters = fc.tuple(fc.array(level, { minLength: 1, maxLength: 4 }), fc.boolean());
  const topics = fc.array(fc.constantFrom('', 'a', 'é'), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(filters, topics, ([levels, open], topicLevels) => {
      const source = [...levels, ...(open ? ['#'] : [])].join('/');
      const topic = topicLevels.join('/');
      fc.pre(source !== '' && topic !== '');
      const filter = parsed(source);
      if (matchTopic(filter, topic) === undefined) return;
      expect(Buffer.byteLength(topic)).toBeGreaterThanOrEqual(filter.minTopicBytes);
    }),
  );
});
