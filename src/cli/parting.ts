import { isReserved, type TopicFilter } from '../mapping/topic-filter.ts';

/** Where a topic name leaves a filter that does not match it, for people; undefined when it matches (MQTT 3.1.1 §4.7). */
export function partingOf(filter: TopicFilter, topic: string): string | undefined {
  const topicLevels = topic.split('/');
  if (filter.levels[0]?.kind !== 'literal' && isReserved(topicLevels)) {
    return 'a leading wildcard does not match topics that begin with "$"'; // [MQTT-4.7.2-1]
  }
  for (const [index, level] of filter.levels.entries()) {
    if (level.kind === 'multi') return undefined;
    const text = topicLevels[index];
    if (text === undefined) return `level ${index + 1}: the topic ends before it`;
    if (level.kind === 'literal' && level.text !== text) {
      return `level ${index + 1}: "${text}" is not "${level.text}"`;
    }
  }
  const rest = topicLevels[filter.levels.length];
  if (rest === undefined) return undefined;
  return `level ${filter.levels.length + 1}: the filter ends before it, the topic goes on with "${rest}"`;
}
