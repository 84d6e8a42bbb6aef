import type { DeviceMessage } from '../shared/message.ts';
import { JsonPayload } from './json-payload.ts';
import { compileMappings, type Mapping, type RouteSpec } from './mapping.ts';
import { checkRoutingKey, type RoutingKey } from './routing-key.ts';
import { TopicCache } from './topic-cache.ts';
import { type Captures, captureLevels } from './topic-filter.ts';
import { TopicTrie } from './topic-trie.ts';

/**
 * Routes in each of the two generations of the cache: the topics of a large site. Measured at 470 bytes a
 * route, so the two take 4 MB when full (850 bytes and 7 MB with topics of 500 characters).
 */
const CACHED_ROUTES = 4_096;

/** One lane a message goes to, with its AMQP routing key or why it has none. */
export interface Route {
  readonly lane: string;
  readonly key: RoutingKey;
}

export interface RouteOptions {
  readonly gatewayId: string;
  /** All mappings that match (default), or only the first of them. */
  readonly match?: 'all' | 'first';
  /** Routes in each generation of the cache. Default 4096. 0 = cache nothing. */
  readonly cachedRoutes?: number;
}

/** Finds the lanes of a message. Pure: the same message always gets the same routes. */
export interface RouteTable {
  /**
   * The routes of all mappings that match, in the order of the mappings; empty if none does. Never throws.
   * The array may be the same for many messages.
   */
  route(message: DeviceMessage): readonly Route[];
}

/**
 * Compiles the mappings; the lane of a mapping has its name. A lookup costs by the levels of the topic and
 * the mappings that match, not by the mappings there are.
 * @throws {GatewayError} CONFIG_INVALID with every fault of every mapping; its cause is the `MappingFault[]`.
 */
export function compileRoutes(mappings: readonly RouteSpec[], options: RouteOptions): RouteTable {
  return new TrieRouteTable(compileMappings(mappings, options.gatewayId), options);
}

/** A route that is the same for every message of a topic, or what it takes to render it for each. */
type Step = { readonly route: Route } | { readonly mapping: Mapping; readonly captures: Captures };

/** What depends on the topic only: the whole answer, or the steps to it if one needs more than the topic. */
type Plan = { readonly routes: readonly Route[] } | { readonly steps: readonly Step[] };

class TrieRouteTable implements RouteTable {
  readonly #mappings: readonly Mapping[];
  readonly #trie: TopicTrie<number>;
  readonly #firstOnly: boolean;
  readonly #cache: TopicCache<Plan>;

  constructor(mappings: readonly Mapping[], options: RouteOptions) {
    this.#mappings = mappings;
    this.#trie = new TopicTrie();
    for (const [index, mapping] of mappings.entries()) this.#trie.add(mapping.filter, index);
    this.#firstOnly = options.match === 'first';
    this.#cache = new TopicCache(options.cachedRoutes ?? CACHED_ROUTES, weightOf);
  }

  route(message: DeviceMessage): readonly Route[] {
    let plan = this.#cache.get(message.topic);
    if (plan === undefined) {
      plan = this.#plan(message);
      this.#cache.set(message.topic, plan);
    }
    if ('routes' in plan) return plan.routes;
    const payload = new JsonPayload(message.payload); // one for all mappings: it is parsed once
    return plan.steps.map((step) =>
      'route' in step ? step.route : renderRoute(step.mapping, step.captures, message, payload),
    );
  }

  #plan(message: DeviceMessage): Plan {
    const topicLevels = message.topic.split('/');
    const matching = this.#trie.match(topicLevels).sort((a, b) => a - b);
    if (this.#firstOnly) matching.splice(1);
    const payload = new JsonPayload(message.payload);
    const steps: Step[] = [];
    const routes: Route[] = [];
    for (const index of matching) {
      const mapping = this.#mappings[index];
      if (mapping === undefined) continue;
      const captures = captureLevels(mapping.filter, topicLevels);
      if (mapping.template.topicOnly) {
        const route = renderRoute(mapping, captures, message, payload);
        routes.push(route);
        steps.push({ route });
      } else {
        steps.push({ mapping, captures });
      }
    }
    return routes.length === steps.length ? { routes } : { steps };
  }
}

/** A topic that matches nothing takes room too. */
function weightOf(plan: Plan): number {
  return Math.max(1, 'routes' in plan ? plan.routes.length : plan.steps.length);
}

function renderRoute(
  mapping: Mapping,
  captures: Captures,
  message: DeviceMessage,
  payload: JsonPayload,
): Route {
  const rendered = mapping.template.render({ message, captures, payload });
  const key: RoutingKey = rendered.ok
    ? checkRoutingKey(rendered.text)
    : { ok: false, reason: 'template_failed', detail: rendered.detail };
  return { lane: mapping.name, key };
}
