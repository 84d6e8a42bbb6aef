import type { DryPublish, LaneOutcome } from './dry-run.ts';
import type { Explanation, MappingExplanation } from './explain.ts';
import { printable } from './parked-text.ts';

const TICK = '✓';
const CROSS = '✗';

/** An explanation for people: a paragraph for each mapping. */
export function explanationText({ message, result, mappings }: Explanation): string {
  const { topic, payload, clientId, username } = message;
  const user = username === undefined ? '' : `, user name ${username}`;
  const head = `${topic} from client ${clientId}${user}, ${payload.length} bytes`;
  const lines = [head, '', ...mappings.flatMap(paragraph), ...conclusion(result)];
  return lines.map(printable).join('\n');
}

function conclusion(result: Explanation['result']): string[] {
  if (result === 'mapped') return [];
  const what =
    result === 'unmatched'
      ? 'No mapping matches: acknowledged, counted as unmatched, not passed on.'
      : 'The payload is larger than mqtt.maxPayloadBytes: acknowledged, counted as refused, not passed on.';
  return ['', what];
}

function paragraph(one: MappingExplanation): string[] {
  const isTaken = one.kind === 'takes' && one.outcome.kind !== 'filtered';
  const head = `${isTaken ? TICK : CROSS} ${one.mapping}  ${one.filter}`;
  return [head, ...details(one).map((line) => `    ${line}`)];
}

function details(one: MappingExplanation): string[] {
  if (one.kind === 'parts') return [one.why];
  if (one.kind === 'behind') {
    return [`matches, but ${one.taker} is before it and takes the message (routing.match: first)`];
  }
  const captures = Object.entries(one.captures).map(([name, value]) => `${name} = "${value}"`);
  const captured = captures.length === 0 ? [] : [`captures     ${captures.join(', ')}`];
  return [...captured, ...outcomeLines(one.outcome)];
}

function outcomeLines(outcome: LaneOutcome): string[] {
  switch (outcome.kind) {
    case 'filtered':
      return ['filtered: matches, but its `when` or `transform` lets the message out'];
    case 'parked':
      return [`parked: ${outcome.reason}: ${outcome.detail}`];
    case 'published':
      return publishLines(outcome.publish);
  }
}

function publishLines({ exchange, routingKey, properties, headers, body }: DryPublish): string[] {
  return [
    `exchange     ${exchange === '' ? '"" (the default exchange)' : exchange}`,
    `routing key  ${routingKey === '' ? '""' : routingKey}`,
    ...Object.entries(properties).map(([name, value]) => `property     ${name}: ${value}`),
    ...Object.entries(headers).map(([name, value]) => `header       ${name}: ${shown(value)}`),
    `body         ${body.length} bytes${bodyText(body)}`,
  ];
}

/** Text in quotes, so that its type is seen. */
function shown(value: string | number | boolean): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

function bodyText(body: Buffer): string {
  const mostBytes = 200;
  if (body.length === 0) return '';
  const text = textOf(body);
  if (text === undefined) return `: base64 ${body.subarray(0, mostBytes).toString('base64')}`;
  return `: ${text.length > mostBytes ? `${text.slice(0, mostBytes)}…` : text}`;
}

/** The body as text, if it is UTF-8. */
function textOf(body: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    return undefined;
  }
}

/** An explanation for scripts. Bodies are `bodyBase64`, and `bodyText` if they are UTF-8. */
export function explanationJson({ message, result, mappings }: Explanation): object {
  const { topic, clientId, username, payload } = message;
  const user = username === undefined ? {} : { username };
  return {
    topic,
    clientId,
    ...user,
    payloadBytes: payload.length,
    result,
    mappings: mappings.map((one) =>
      one.kind === 'takes' ? { ...one, outcome: outcomeJson(one.outcome) } : one,
    ),
  };
}

/** An outcome with its body in a form that JSON can carry. */
export function outcomeJson(outcome: LaneOutcome): object {
  if (outcome.kind !== 'published') return outcome;
  const { body, ...publish } = outcome.publish;
  const text = textOf(body);
  const bodies = { bodyBase64: body.toString('base64') };
  const all = text === undefined ? bodies : { ...bodies, bodyText: text };
  return { ...outcome, publish: { ...publish, ...all } };
}
