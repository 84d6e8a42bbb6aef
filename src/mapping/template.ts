import type { DeviceMessage } from '../shared/message.ts';
import type { JsonPayload } from './json-payload.ts';
import { nearestName } from './nearest-name.ts';
import { routingKeyOfTopic } from './routing-key.ts';
import type { Captures } from './topic-filter.ts';

/** What the places of a template are filled from. */
export interface RenderInput {
  readonly message: DeviceMessage;
  readonly captures: Captures;
  readonly payload: JsonPayload;
}

/** The text, or why this message gives none. */
export type Rendered =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly detail: string };

/** A template that can be rendered for any message its filter matches. */
export interface Template {
  /** No rendered text is shorter than this, in UTF-8 bytes. */
  readonly fixedBytes: number;
  /** What is in the text of every message, put together. */
  readonly fixedText: string;
  /** True if `fixedText` is the text of every message. */
  readonly isConstant: boolean;
  /** The path if the template is one `${json:…}` and nothing else, so that the value may keep its type. */
  readonly jsonPath?: readonly string[];
  /** True if the text depends on nothing but the topic, so that it may be cached by topic. */
  readonly topicOnly: boolean;
  render(input: RenderInput): Rendered;
}

/** The template, or everything that is wrong with it, each fault with what to do. */
export type CompiledTemplate =
  | { readonly ok: true; readonly template: Template }
  | { readonly ok: false; readonly faults: readonly string[] };

/** What is known about all messages of a template before the first arrives. */
export interface TemplateScope {
  readonly captureNames: readonly string[];
  readonly minTopicBytes: number;
  readonly gatewayId: string;
  /** False: what comes from the topic is written as it is. Default true, as a routing key needs it. */
  readonly swapsSeparators?: boolean;
}

interface Part {
  /** The text, where it is known before a message is. */
  readonly fixed?: string;
  readonly jsonPath?: readonly string[];
  readonly minBytes: number;
  readonly topicOnly: boolean;
  /** The text of this part, or the reason why there is none. */
  read(input: RenderInput): string | { readonly detail: string };
}

const BUILTIN_NAMES = ['topic', 'client', 'username', 'gateway', 'receivedAt'] as const;
const JSON_PREFIX = 'json:';
/** `$${` (escape), `${name}`, and a `${` that nothing closes. */
const PLACE = /\$\$\{|\$\{([^}]*)\}|\$\{/g;
const NO_USERNAME = { detail: 'the client has given no username' };

/**
 * Compiles a template: text with `${name}` for a capture of the filter, `${topic}`, `${client}`,
 * `${username}`, `${gateway}`, `${receivedAt}` (ms since 1970) and `${json:path.to.field}` of the JSON
 * payload; `$${` stands for the text `${`.
 *
 * What comes from the topic, `${topic}` and captures, is written with '/' and '.' swapped as in the default
 * routing key: `${device}.${metric}` gives `dev.a.b` for the metric `a/b`, and a dot inside a level becomes
 * '/', so that it does not split a word. Everything else is written as it is, and so is the topic where
 * `swapsSeparators` is false.
 *
 * A message without the username or the JSON field that the template names fails to render, by value.
 */
export function compileTemplate(source: string, scope: TemplateScope): CompiledTemplate {
  const parts: Part[] = [];
  const faults: string[] = [];
  let end = 0;
  for (const place of source.matchAll(PLACE)) {
    if (place.index > end) parts.push(literal(source.slice(end, place.index)));
    end = place.index + place[0].length;
    const part = partOf(place[0], place[1], scope);
    if (typeof part === 'string') faults.push(part);
    else parts.push(part);
  }
  if (end < source.length) parts.push(literal(source.slice(end)));
  if (source.includes('\0')) faults.push('contains NUL, which AMQP does not allow; remove it');
  return faults.length > 0 ? { ok: false, faults } : { ok: true, template: templateOf(parts) };
}

function templateOf(parts: readonly Part[]): Template {
  const [only] = parts;
  const jsonPath = parts.length === 1 ? only?.jsonPath : undefined;
  return {
    fixedBytes: parts.reduce((bytes, part) => bytes + part.minBytes, 0),
    fixedText: parts.map((part) => part.fixed ?? '').join(''),
    isConstant: parts.every((part) => part.fixed !== undefined),
    ...(jsonPath === undefined ? {} : { jsonPath }),
    topicOnly: parts.every((part) => part.topicOnly),
    render(input: RenderInput): Rendered {
      let text = '';
      for (const part of parts) {
        const piece = part.read(input);
        if (typeof piece !== 'string') return { ok: false, detail: piece.detail };
        text += piece;
      }
      return { ok: true, text };
    },
  };
}

/** The part for one place, or the fault as text. */
function partOf(place: string, name: string | undefined, scope: TemplateScope): Part | string {
  if (place === '$${') return literal('${');
  if (name === undefined)
    return `has a "\${" without "}"; close it, or write "$\${" for the text "\${"`;
  if (name.startsWith(JSON_PREFIX)) return jsonPart(name.slice(JSON_PREFIX.length));
  const isCapture = scope.captureNames.includes(name);
  const builtin = builtinPart(name, scope);
  if (isCapture && builtin !== undefined) {
    return `"\${${name}}" is a capture of the filter and also built in; rename the capture`;
  }
  if (isCapture) return capturePart(name, scope);
  return builtin ?? unknownName(name, scope.captureNames);
}

function unknownName(name: string, captureNames: readonly string[]): string {
  const known = [...captureNames, ...BUILTIN_NAMES];
  const list = known.map((each) => `\${${each}}`).join(', ');
  const nearest = nearestName(name, known);
  return `"\${${name}}" is unknown; did you mean "\${${nearest}}"? Known are ${list} and \${json:path.to.field}`;
}

function literal(text: string): Part {
  return { fixed: text, minBytes: Buffer.byteLength(text), topicOnly: true, read: () => text };
}

function builtinPart(name: string, scope: TemplateScope): Part | undefined {
  switch (name) {
    case 'topic':
      return {
        minBytes: scope.minTopicBytes, // swapping keeps the length
        topicOnly: true,
        read: ({ message }) => topicText(message.topic, scope),
      };
    case 'client':
      return { minBytes: 0, topicOnly: false, read: ({ message }) => message.clientId };
    case 'username':
      return {
        minBytes: 0,
        topicOnly: false,
        read: ({ message }) => message.username ?? NO_USERNAME,
      };
    case 'gateway':
      return literal(scope.gatewayId);
    case 'receivedAt':
      return { minBytes: 1, topicOnly: false, read: ({ message }) => String(message.receivedAtMs) };
    default:
      return undefined;
  }
}

function topicText(text: string, scope: TemplateScope): string {
  return scope.swapsSeparators === false ? text : routingKeyOfTopic(text);
}

function capturePart(name: string, scope: TemplateScope): Part {
  const read = ({ captures }: RenderInput): string => topicText(captures.get(name) ?? '', scope);
  return { minBytes: 0, topicOnly: true, read };
}

function jsonPart(pathText: string): Part | string {
  const path = pathText.split('.');
  if (path.includes('')) {
    return `"\${json:${pathText}}" has an empty field name; write \${json:path.to.field}`;
  }
  return {
    jsonPath: path,
    minBytes: 0,
    topicOnly: false,
    read({ payload }) {
      const found = payload.read(path);
      return found.ok ? String(found.value) : found;
    },
  };
}
