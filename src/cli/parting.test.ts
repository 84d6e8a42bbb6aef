import fc from 'fast-check';
import { expect, test } from 'vitest';
import { matchTopic, parseTopicFilter, type TopicFilter } from '../mapping/topic-filter.ts';
import { partingOf } from './parting.ts';

function filterOf(text: string): TopicFilter {
  const parsed = parseTopicFilter(text);
  if (!parsed.ok) throw new Error(parsed.faults.join());
  return parsed.filter;
}

test.each([
  ['devices/+/alarm', 'devices/d1/alarm', undefined],
  ['a/#', 'a', undefined],
  ['devices/+/alarm', 'devices/d1/temp', 'level 3: "temp" is not "alarm"'],
  ['devices/+/alarm', 'devices/d1', 'level 3: the topic ends before it'],
  ['devices/+', 'devices/d1/x', 'level 3: the filter ends before it, the topic goes on with "x"'],
  ['#', '$SYS/x', 'a leading wildcard does not match topics that begin with "$"'],
])('the filter %s and the topic %s part thus: %s', (filter, topic, expected) => {
  expect(partingOf(filterOf(filter), topic)).toBe(expected);
});

test('there is a place where they part exactly if the filter does not match', () => {
  const level = fc.constantFrom('a', 'b', '', '$a');
  const topic = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join('/'));
  const filter = fc
    .tuple(
      fc.array(fc.oneof(level, fc.constant('+')), { minLength: 1, maxLength: 4 }),
      fc.boolean(),
    )
    .map(([levels, isOpen]) => [...levels, ...(isOpen ? ['#'] : [])].join('/'));
  fc.assert(
    fc.property(filter, topic, (filterText, topicText) => {
      fc.pre(filterText !== '' && topicText !== '');
      const compiled = filterOf(filterText);
      const isMatch = matchTopic(compiled, topicText) !== undefined;
      expect(partingOf(compiled, topicText) === undefined).toBe(isMatch);
    }),
  );
});
