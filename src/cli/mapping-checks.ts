import { isDeepStrictEqual } from 'node:util';
import type { Config, MappingConfig } from '../config/types.ts';
import { compileRoutes, type RouteOptions } from '../mapping/route-table.ts';
import { topicOfRoutingKey } from '../mapping/routing-key.ts';
import { matchTopic, parseTopicFilter, type TopicFilter } from '../mapping/topic-filter.ts';
import type { DeviceMessage } from '../shared/message.ts';
import { commonTopic, covers } from './filter-relations.ts';

/** Something about a config that the schema does not see. */
export interface Finding {
  /** `fault`: it cannot work; `warning`: it works, and most likely not as it is meant. */
  readonly level: 'fault' | 'warning' | 'note';
  /** Names of the mappings it is about. */
  readonly mappings: readonly string[];
  readonly text: string;
}

interface Known extends MappingConfig {
  readonly parsed: TopicFilter;
}

/** Only the server publishes below it (mqtt/publish-check.ts). */
const SERVER_TOPICS = '$SYS';

/** Looks at the mappings of a config that the gateway would start with, each alone and each beside the others. */
export function checkMappings({ mappings, routing, gateway }: Config): Finding[] {
  const known = mappings.flatMap((mapping): Known[] => {
    const parsed = parseTopicFilter(mapping.filter);
    return parsed.ok ? [{ ...mapping, parsed: parsed.filter }] : [];
  });
  const options: RouteOptions = { gatewayId: gateway.id };
  const pairs = known.flatMap((first, index) =>
    known.slice(index + 1).map((second): [Known, Known] => [first, second]),
  );
  return [
    ...known.flatMap(neverMatches),
    ...(routing.match === 'first' ? shadowed(known) : []),
    ...(routing.match === 'all' ? pairs.flatMap((pair) => sendsTwice(pair, options)) : []),
    ...pairs.flatMap((pair) => collidingKeys(pair, options)),
    ...pairs.flatMap(differentDeclarations),
  ];
}

function neverMatches({ name, parsed }: Known): Finding[] {
  const [first] = parsed.levels;
  if (first?.kind !== 'literal' || first.text !== SERVER_TOPICS) return [];
  const text = `never matches: no device may publish below ${SERVER_TOPICS}/`;
  return [{ level: 'warning', mappings: [name], text }];
}

function shadowed(known: readonly Known[]): Finding[] {
  return known.flatMap(({ name, parsed, filter }, index) => {
    const taker = known.slice(0, index).find((earlier) => covers(earlier.parsed, parsed));
    if (taker === undefined) return [];
    const text = `never gets a message: ${taker.name} stands before it and takes all of ${filter} (routing.match: first)`;
    return [{ level: 'warning', mappings: [name, taker.name], text }];
  });
}

function sendsTwice([a, b]: [Known, Known], options: RouteOptions): Finding[] {
  const topic = commonTopic(a.parsed, b.parsed);
  if (topic === undefined || a.exchange.name !== b.exchange.name) return [];
  if (a.when !== undefined && b.when !== undefined) return []; // one may be there for what the other is not
  const isSame = a.exchange.type === 'fanout' || hasSameKey([a, b], topic, options);
  if (!isSame) return [];
  const text = `both send topics such as ${topic} to exchange "${a.exchange.name}" with the same key: each message goes there twice`;
  return [{ level: 'warning', mappings: [a.name, b.name], text }];
}

/** By what the gateway would render; a template that needs a payload is compared by its text. */
function hasSameKey([a, b]: [Known, Known], topic: string, options: RouteOptions): boolean {
  const [first, second] = [keyOf(a, topic, options), keyOf(b, topic, options)];
  if (first === undefined || second === undefined) return a.routingKey === b.routingKey;
  return first === second;
}

/** A key that is made of a template and is the default key of another topic: consumers cannot tell the two by it. */
function collidingKeys([a, b]: [Known, Known], options: RouteOptions): Finding[] {
  return [
    [a, b],
    [b, a],
  ].flatMap(([plain, made]): Finding[] => {
    if (plain?.routingKey !== undefined || made?.routingKey === undefined) return [];
    if (plain === undefined || plain.exchange.name !== made.exchange.name) return [];
    if (['fanout', 'headers'].includes(plain.exchange.type)) return [];
    const topic = commonTopic(made.parsed, made.parsed);
    const key = topic === undefined ? undefined : keyOf(made, topic, options);
    const other = key === undefined || key === '' ? undefined : topicOfRoutingKey(key);
    if (topic === undefined || other === undefined || other === topic) return [];
    if (matchTopic(plain.parsed, other) === undefined) return [];
    const text = `topic ${topic} of ${made.name} gets the key ${key}, which is the default key of topic ${other} of ${plain.name}`;
    return [{ level: 'warning', mappings: [made.name, plain.name], text }];
  });
}

function keyOf(mapping: Known, topic: string, options: RouteOptions): string | undefined {
  const [route] = compileRoutes([mapping], options).route(sampleOf(topic));
  return route?.key.ok ? route.key.routingKey : undefined;
}

function sampleOf(topic: string): DeviceMessage {
  const rest = { qos: 1, dup: false, retain: false, clientId: 'client', receivedAtMs: 0 } as const;
  return { topic, payload: Buffer.alloc(0), username: 'user', ...rest };
}

/** The broker keeps the first declaration and refuses the other: that lane never opens. */
function differentDeclarations([a, b]: [Known, Known]): Finding[] {
  if (!a.exchange.declare || !b.exchange.declare) return [];
  return [...declarationsOf(a)].flatMap(([what, declaration]): Finding[] => {
    const other = declarationsOf(b).get(what);
    if (other === undefined || isDeepStrictEqual(other, declaration)) return [];
    const text = `${what} is declared in two ways, ${JSON.stringify(declaration)} and ${JSON.stringify(other)}: the broker refuses one of them`;
    return [{ level: 'fault', mappings: [a.name, b.name], text }];
  });
}

function declarationsOf({ exchange, exchanges = [], queues }: Known): Map<string, object> {
  const all = new Map<string, object>();
  for (const { name, type, arguments: given = {} } of [exchange, ...exchanges]) {
    if (name !== '') all.set(`exchange "${name}"`, { type, arguments: given });
  }
  for (const { name, type, arguments: given } of queues) {
    all.set(`queue "${name}"`, { type, arguments: given });
  }
  return all;
}
