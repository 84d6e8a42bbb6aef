import { isReserved, type TopicFilter } from './topic-filter.ts';

interface Node<T> {
  /** A Map, as a level may be `__proto__`. */
  readonly literals: Map<string, Node<T>>;
  /** Behind a `+` level. */
  single: Node<T> | undefined;
  /** Of the filters that end here. */
  readonly ending: T[];
  /** Of the filters whose `#` stands here. */
  readonly open: T[];
}

/**
 * Topic filters by level, so that a lookup walks the levels of the topic instead of the list of filters.
 * It visits only nodes whose whole way down matches: at most 2^levels, never more than there are.
 */
export class TopicTrie<T> {
  readonly #root: Node<T> = emptyNode();

  add(filter: TopicFilter, value: T): void {
    let node = this.#root;
    for (const level of filter.levels) {
      if (level.kind === 'multi') {
        node.open.push(value);
        return;
      }
      node = level.kind === 'literal' ? literalOf(node, level.text) : singleOf(node);
    }
    node.ending.push(value);
  }

  /** The values of all filters that match the topic (MQTT 3.1.1 §4.7), in no particular order. */
  match(topicLevels: readonly string[]): T[] {
    const found: T[] = [];
    let nodes: Node<T>[] = [this.#root];
    // Level by level rather than recursive: a filter may have 32,768 levels, more than the stack holds.
    for (const [index, text] of topicLevels.entries()) {
      const wildcards = index > 0 || !isReserved(topicLevels); // [MQTT-4.7.2-1]
      const next: Node<T>[] = [];
      for (const node of nodes) {
        const literal = node.literals.get(text);
        if (literal !== undefined) next.push(literal);
        if (!wildcards) continue;
        for (const value of node.open) found.push(value);
        if (node.single !== undefined) next.push(node.single);
      }
      nodes = next;
      if (nodes.length === 0) return found;
    }
    for (const node of nodes) {
      for (const value of node.ending) found.push(value);
      for (const value of node.open) found.push(value); // [MQTT-4.7.1-2]: `a/#` matches `a`
    }
    return found;
  }
}

function emptyNode<T>(): Node<T> {
  return { literals: new Map(), single: undefined, ending: [], open: [] };
}

function singleOf<T>(node: Node<T>): Node<T> {
  node.single ??= emptyNode();
  return node.single;
}

function literalOf<T>(node: Node<T>, text: string): Node<T> {
  const known = node.literals.get(text);
  if (known !== undefined) return known;
  const added = emptyNode<T>();
  node.literals.set(text, added);
  return added;
}
