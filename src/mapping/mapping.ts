import { GatewayError } from '../shared/errors.ts';
import {
  compileProperties,
  type PropertiesSpec,
  type PropertyTemplates,
  type ReportFault,
} from './message-properties.ts';
import { MAX_ROUTING_KEY_BYTES } from './routing-key.ts';
import { compileTemplate, type Template } from './template.ts';
import { parseTopicFilter, type TopicFilter } from './topic-filter.ts';

/** Without a template the key is the topic, which a template writes with '/' and '.' swapped. */
const DEFAULT_ROUTING_KEY = `\${topic}`;

/** A mapping as the config gives it, as far as it says which topics go where. */
export interface RouteSpec extends PropertiesSpec {
  /** Names the lane; unique. */
  readonly name: string;
  /** Topic filter, its wildcards perhaps named: `devices/+device/telemetry/#metric`. */
  readonly filter: string;
  /** Routing key template. Default: the topic with '/' and '.' swapped (lossless). */
  readonly routingKey?: string;
}

/** One thing that is wrong with one mapping, and what to do. */
export interface MappingFault {
  readonly mapping: string;
  /** Keys inside the mapping, such as `headers`, `kind`. */
  readonly path: readonly string[];
  readonly message: string;
}

/** A mapping that is ready to route. */
export interface Mapping {
  readonly name: string;
  readonly filter: TopicFilter;
  readonly template: Template;
  /** Absent when the mapping sets no properties and no headers. */
  readonly properties?: PropertyTemplates;
}

/**
 * Compiles all mappings, in order.
 * @throws {GatewayError} CONFIG_INVALID with every fault of every mapping; its cause is the `MappingFault[]`.
 */
export function compileMappings(specs: readonly RouteSpec[], gatewayId: string): Mapping[] {
  const faults: MappingFault[] = [];
  const names = new Set<string>();
  const mappings: Mapping[] = [];
  for (const spec of specs) {
    const report: ReportFault = (path, message) => {
      faults.push({ mapping: spec.name, path, message });
    };
    if (names.has(spec.name)) report(['name'], 'is used twice; each mapping needs its own');
    names.add(spec.name);
    const mapping = compileMapping(spec, gatewayId, report);
    if (mapping !== undefined) mappings.push(mapping);
  }
  if (faults.length > 0) {
    const lines = faults.map(
      ({ mapping, path, message }) => `mapping "${mapping}": ${path.join('.')}: ${message}`,
    );
    throw new GatewayError('CONFIG_INVALID', lines.join('\n'), faults);
  }
  return mappings;
}

function compileMapping(
  spec: RouteSpec,
  gatewayId: string,
  report: ReportFault,
): Mapping | undefined {
  const parsed = parseTopicFilter(spec.filter);
  if (!parsed.ok) for (const fault of parsed.faults) report(['filter'], fault);
  // Also with a broken filter the template is looked at, to report all faults at once.
  const scope = parsed.ok ? parsed.filter : { captureNames: parsed.captureNames, minTopicBytes: 0 };
  const compiled = compileTemplate(spec.routingKey ?? DEFAULT_ROUTING_KEY, { ...scope, gatewayId });
  if (!compiled.ok) for (const fault of compiled.faults) report(['routingKey'], fault);
  const properties = compileProperties(spec, { ...scope, gatewayId }, report);
  if (!parsed.ok || !compiled.ok) return undefined;
  const { fixedBytes } = compiled.template;
  if (fixedBytes > MAX_ROUTING_KEY_BYTES)
    report(['routingKey'], tooLong(fixedBytes, spec.routingKey));
  const mapping = { name: spec.name, filter: parsed.filter, template: compiled.template };
  return properties === undefined ? mapping : { ...mapping, properties };
}

function tooLong(bytes: number, routingKey: string | undefined): string {
  const limit = `has at least ${bytes} bytes for every message, AMQP allows ${MAX_ROUTING_KEY_BYTES}`;
  const cure = routingKey === undefined ? 'give the mapping a shorter one' : 'shorten it';
  return `${limit}; ${cure}`;
}
