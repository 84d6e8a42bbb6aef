import fc from 'fast-check';
import { expect, test } from 'vitest';
import { matchTopic, parseTopicFilter, type TopicFilter } from '../mapping/topic-filter.ts';
import { commonTopic, covers } from './filter-relations.ts';

function filterOf(text: string): TopicFilter {
  const parsed = parseTopicFilter(text);
  if (!parsed.ok) throw new Error(parsed.faults.join());
  return parsed.filter;
}

const LEVELS = ['a', 'b', '', '$a', 'x'];
const level = fc.constantFrom(...LEVELS);
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { maxLength: 3 }), fc.boolean())
  .map(([levels, isOpen]) => [...levels, ...(isOpen ? ['#'] : [])].join('/'))
  .filter((text) => text !== '')
  .map(filterOf);

/** All topic names of up to four of the levels: more than the filters have, so that they tell `#` from `+`. */
const TOPICS = [1, 2, 3, 4]
  .reduce<string[][]>(
    (lists) => [
      ...lists,
      (lists.at(-1) ?? []).flatMap((head) => LEVELS.map((end) => `${head}/${end}`)),
    ],
    [LEVELS],
  )
  .flat()
  .filter((topic) => topic !== '');

const matches = (one: TopicFilter, topic: string): boolean => matchTopic(one, topic) !== undefined;

test('a filter covers another exactly if it matches all topic names that the other matches', () => {
  fc.assert(
    fc.property(filter, filter, (outer, inner) => {
      const isCovered = TOPICS.every((topic) => !matches(inner, topic) || matches(outer, topic));
      // Names of levels that no filter has are among the topics; so what holds for these holds for all.
      expect(covers(outer, inner)).toBe(isCovered);
    }),
    { numRuns: 1000, examples: [[filterOf('/+/#'), filterOf('/#')]] },
  );
});

test('two filters have a common topic name exactly if there is one that both match', () => {
  fc.assert(
    fc.property(filter, filter, (a, b) => {
      const topic = commonTopic(a, b);
      if (topic === undefined) {
        expect(TOPICS.find((one) => matches(a, one) && matches(b, one))).toBeUndefined();
      } else expect(matches(a, topic) && matches(b, topic)).toBe(true);
    }),
    { numRuns: 1000 },
  );
});
