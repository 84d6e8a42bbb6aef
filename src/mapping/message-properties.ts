import type { PropertiesConfig } from '../config/types.ts';
import { GATEWAY_HEADERS, type HeaderValue, type MessageProperties } from '../shared/message.ts';
import { PROPERTY_CHECKS, type PropertyName } from './property-checks.ts';
import type { Unpublishable } from './routing-key.ts';
import {
  compileTemplate,
  type RenderInput,
  type Template,
  type TemplateScope,
} from './template.ts';

/** What a mapping says of the properties and headers of its messages. */
export interface PropertiesSpec {
  readonly properties?: PropertiesConfig;
  /** By name: a template, or a number or boolean that is passed on as it is. */
  readonly headers?: Readonly<Record<string, HeaderValue>>;
}

/** The properties for one message, or why it cannot have them. */
export type RenderedProperties =
  | { readonly ok: true; readonly properties: MessageProperties }
  | Unpublishable;

/** The properties and headers of a mapping, ready to be rendered. */
export interface PropertyTemplates {
  /** How many properties and headers there are. */
  readonly count: number;
  /** True if all of them depend on nothing but the topic. */
  readonly topicOnly: boolean;
  render(input: RenderInput): RenderedProperties;
}

/** Told of each fault of a spec, with the keys that lead to it. */
export type ReportFault = (path: readonly string[], message: string) => void;

/** The value for one message; the reason why there is none is thrown away with the message's route. */
type FieldValue = { readonly ok: true; readonly value: HeaderValue } | Unpublishable;

interface Field {
  readonly name: string;
  readonly topicOnly: boolean;
  read(input: RenderInput): FieldValue;
}

/** Longest name of a header in bytes: a field name is a short string (AMQP 0-9-1 §4.2.5.5). */
const MAX_HEADER_NAME_BYTES = 255;

/** No frame takes headers with more text than this, in characters; a device must not fill the store with them. */
const MAX_HEADERS_LENGTH = 65_536;

/** RabbitMQ takes these for lists of further routing keys and closes the channel for anything else. */
const SENDER_SELECTED = ['CC', 'BCC'];

/** Compiles what a mapping sets on its messages; undefined when that is nothing. Faults are reported. */
export function compileProperties(
  spec: PropertiesSpec,
  scope: TemplateScope,
  report: ReportFault,
): PropertyTemplates | undefined {
  const plain = { ...scope, swapsSeparators: false };
  const properties = Object.entries(spec.properties ?? {}).map(([name, source]) => {
    const path = ['properties', name];
    const template = compiled(String(source), plain, (fault) => report(path, fault));
    return (
      template && propertyField(name as PropertyName, template, (fault) => report(path, fault))
    );
  });
  const headers = Object.entries(spec.headers ?? {}).map(([name, source]) => {
    const path = ['headers', name];
    const fault = headerNameFault(name);
    if (fault !== undefined) report(path, fault);
    if (typeof source !== 'string') return constantField(name, source);
    const template = compiled(source, plain, (text) => report(path, text));
    return template && headerField(name, template);
  });
  if (properties.length + headers.length === 0) return undefined;
  return templatesOf(properties.filter(isField), headers.filter(isField));
}

function templatesOf(properties: readonly Field[], headers: readonly Field[]): PropertyTemplates {
  return {
    count: properties.length + headers.length,
    topicOnly: [...properties, ...headers].every((field) => field.topicOnly),
    render(input: RenderInput): RenderedProperties {
      const { values, failure } = readAll(properties, input);
      if (headers.length === 0) return rendered(values, failure);
      const all = readAll(headers, input);
      if (textLength(all.values) > MAX_HEADERS_LENGTH) return rendered(values, failure ?? TOO_LONG);
      return rendered({ ...values, headers: all.values }, failure ?? all.failure);
    },
  };
}

const TOO_LONG: Unpublishable = {
  ok: false,
  reason: 'property_invalid',
  detail: `the headers together have more than ${MAX_HEADERS_LENGTH} characters`,
};

function textLength(values: Readonly<Record<string, HeaderValue>>): number {
  let length = 0;
  for (const value of Object.values(values)) {
    if (typeof value === 'string') length += value.length;
  }
  return length;
}

function rendered(properties: MessageProperties, failure: Unpublishable | undefined) {
  return failure === undefined ? ({ ok: true, properties } as const) : { ...failure, properties };
}

/** The values that could be read, and why the first of the others could not be. */
function readAll(
  fields: readonly Field[],
  input: RenderInput,
): { readonly values: Record<string, HeaderValue>; readonly failure: Unpublishable | undefined } {
  const values: Record<string, HeaderValue> = {};
  let failure: Unpublishable | undefined;
  for (const field of fields) {
    const found = field.read(input);
    if (found.ok) values[field.name] = found.value;
    else failure ??= found;
  }
  return { values, failure };
}

function compiled(
  source: string,
  scope: TemplateScope,
  report: (fault: string) => void,
): Template | undefined {
  const result = compileTemplate(source, scope);
  if (result.ok) return result.template;
  for (const fault of result.faults) report(fault);
  return undefined;
}

function propertyField(
  name: PropertyName,
  template: Template,
  report: (fault: string) => void,
): Field {
  const { faultOf, check } = PROPERTY_CHECKS[name];
  const fault = faultOf(template);
  if (fault !== undefined) report(fault);
  return {
    name,
    topicOnly: template.topicOnly,
    read(input) {
      const rendered = template.render(input);
      if (!rendered.ok) return failed(`properties.${name}: ${rendered.detail}`);
      const checked = check(rendered.text);
      if (checked.ok) return checked;
      const detail = `properties.${name}: ${checked.detail}`;
      return { ok: false, reason: 'property_invalid', detail };
    },
  };
}

function headerField(name: string, template: Template): Field {
  const { topicOnly, jsonPath } = template;
  return {
    name,
    topicOnly,
    read(input) {
      if (jsonPath !== undefined) {
        const found = input.payload.read(jsonPath);
        return found.ok ? found : failed(`headers.${name}: ${found.detail}`);
      }
      const rendered = template.render(input);
      if (rendered.ok) return { ok: true, value: rendered.text };
      return failed(`headers.${name}: ${rendered.detail}`);
    },
  };
}

function constantField(name: string, value: HeaderValue): Field {
  const found: FieldValue = { ok: true, value };
  return { name, topicOnly: true, read: () => found };
}

function failed(detail: string): Unpublishable {
  return { ok: false, reason: 'template_failed', detail };
}

function headerNameFault(name: string): string | undefined {
  if (GATEWAY_HEADERS.includes(name)) return 'is set by the gateway; choose another name';
  if (SENDER_SELECTED.includes(name)) {
    return 'is a list of routing keys for RabbitMQ, which a template cannot give; choose another name';
  }
  const bytes = Buffer.byteLength(name);
  if (bytes === 0 || bytes > MAX_HEADER_NAME_BYTES) {
    return `the name has ${bytes} bytes, AMQP allows 1 to ${MAX_HEADER_NAME_BYTES}; choose another`;
  }
  return name === '__proto__' ? 'cannot be sent; choose another name' : undefined;
}

function isField(field: Field | undefined): field is Field {
  return field !== undefined;
}
