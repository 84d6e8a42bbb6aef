import type { TopicFilter } from '../mapping/topic-filter.ts';

/** What stands for any level in a topic that is made up. */
const ANY_LEVEL = 'x';

/** Whether every topic name that matches `inner` matches `outer` too (MQTT 3.1.1 §4.7). */
export function covers(outer: TopicFilter, inner: TopicFilter): boolean {
  const [first] = inner.levels;
  const isReserved = first?.kind === 'literal' && first.text.startsWith('$');
  if (isReserved && outer.levels[0]?.kind !== 'literal') return false; // [MQTT-4.7.2-1]
  const most = Math.max(outer.levels.length, inner.levels.length);
  for (let index = 0; index < most; index += 1) {
    const [out, inn] = [outer.levels[index], inner.levels[index]];
    if (out?.kind === 'multi') return true;
    if (out === undefined || inn === undefined) return false;
    if (inn.kind === 'multi') {
      // No topic name is empty, so `+/#` is the same as `#`, and `/+/#` as `/#` [MQTT-4.7.3-1].
      const hasMore =
        index === 0 || (index === 1 && first?.kind === 'literal' && first.text === '');
      return hasMore && out.kind === 'single' && outer.levels[index + 1]?.kind === 'multi';
    }
    if (out.kind === 'literal' && (inn.kind !== 'literal' || inn.text !== out.text)) return false;
  }
  return true;
}

/** A topic name that matches both, if there is one. */
export function commonTopic(a: TopicFilter, b: TopicFilter): string | undefined {
  const topic: string[] = [];
  const most = Math.max(a.levels.length, b.levels.length);
  for (let index = 0; index < most; index += 1) {
    const [one, other] = [levelAt(a, index), levelAt(b, index)];
    if (one === undefined || other === undefined) {
      // One has ended; the other may, if `#` is all that is left of it [MQTT-4.7.1-2].
      const rest = one ?? other;
      if (rest?.kind !== 'multi' || index === 0) return undefined;
      break;
    }
    const [text, otherText] = [textOf(one), textOf(other)];
    if (text !== undefined && otherText !== undefined && text !== otherText) return undefined;
    const level = text ?? otherText ?? ANY_LEVEL;
    const meetsWildcard = index === 0 && (text === undefined || otherText === undefined);
    if (meetsWildcard && level.startsWith('$')) return undefined; // [MQTT-4.7.2-1]
    topic.push(level);
  }
  const name = topic.join('/');
  return name === '' ? undefined : name; // [MQTT-4.7.3-1]
}

type Level = TopicFilter['levels'][number];

/** `#` stands for every level from its place on. */
function levelAt({ levels }: TopicFilter, index: number): Level | undefined {
  const last = levels.at(-1);
  return levels[index] ?? (last?.kind === 'multi' ? last : undefined);
}

function textOf(level: Level): string | undefined {
  return level.kind === 'literal' ? level.text : undefined;
}
