import type { DeviceMessage, MessageProperties } from '../shared/message.ts';
import { JsonPayload } from './json-payload.ts';
import { compileMappings, type Mapping, type RouteSpec } from './mapping.ts';
import type { RenderedProperties } from './message-properties.ts';
import { checkRoutingKey, type RoutingKey } from './routing-key.ts';
import type { RenderInput } from './template.ts';
import { TopicCache } from './topic-cache.ts';
import { type Captures, captureLevels } from './topic-filter.ts';
import { TopicTrie } from './topic-trie.ts';

/**
 * Routes in each of the two generations of the cache: the topics of a large site. Measured at 470 bytes a
 * route, so the two take 4 MB when full (850 bytes and 7 MB with topics of 500 characters). A property or
 * header of a route counts as one more.
 */
const CACHED_ROUTES = 4_096;

/** One lane a message goes to, with its AMQP routing key, or why it cannot be published there. */
export interface Route {
  readonly lane: string;
  readonly key: RoutingKey;
  /** Absent when the mapping sets none. */
  readonly properties?: MessageProperties;
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

/** What it takes to render a route for each message of a topic. What the topic alone decides is rendered. */
interface Pending {
  readonly mapping: Mapping;
  readonly captures: Captures;
  readonly key?: RoutingKey;
  readonly properties?: RenderedProperties;
}

/** A route that is the same for every message of a topic, or the way to it. */
type Step = { readonly route: Route } | Pending;

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
      'route' in step ? step.route : renderRoute(step, { message, payload }),
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
      const input = { message, captures, payload };
      if (mapping.template.topicOnly && mapping.properties?.topicOnly !== false) {
        const route = renderRoute({ mapping, captures }, input);
        routes.push(route);
        steps.push({ route });
      } else {
        steps.push(pendingOf(mapping, input));
      }
    }
    return routes.length === steps.length ? { routes } : { steps };
  }
}

/** A topic that matches nothing takes room too. */
function weightOf(plan: Plan): number {
  let weight = 0;
  if ('routes' in plan) for (const route of plan.routes) weight += weightOfRoute(route);
  else for (const step of plan.steps) weight += weightOfStep(step);
  return Math.max(1, weight);
}

function weightOfStep(step: Step): number {
  return 'route' in step ? weightOfRoute(step.route) : 1 + (step.mapping.properties?.count ?? 0);
}

function weightOfRoute({ properties }: Route): number {
  if (properties === undefined) return 1;
  const { headers, ...others } = properties;
  return 1 + Object.keys(others).length + Object.keys(headers ?? {}).length;
}

function pendingOf(mapping: Mapping, input: RenderInput): Pending {
  const { template, properties } = mapping;
  return {
    mapping,
    captures: input.captures,
    ...(template.topicOnly ? { key: renderKey(mapping, input) } : {}),
    ...(properties?.topicOnly === true ? { properties: properties.render(input) } : {}),
  };
}

function renderRoute(pending: Pending, { message, payload }: Omit<RenderInput, 'captures'>): Route {
  const { mapping, captures } = pending;
  const input = { message, captures, payload };
  const lane = mapping.name;
  const key = pending.key ?? renderKey(mapping, input);
  if (!key.ok || mapping.properties === undefined) return { lane, key };
  const rendered = pending.properties ?? mapping.properties.render(input);
  if (rendered.ok) return { lane, key, properties: rendered.properties };
  return { lane, key: { ...rendered, routingKey: key.routingKey } };
}

function renderKey(mapping: Mapping, input: RenderInput): RoutingKey {
  const rendered = mapping.template.render(input);
  if (rendered.ok) return checkRoutingKey(rendered.text);
  return { ok: false, reason: 'template_failed', detail: `routingKey: ${rendered.detail}` };
}
