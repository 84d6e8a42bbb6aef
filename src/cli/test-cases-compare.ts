import { isDeepStrictEqual } from 'node:util';
import type { DryOutcome, DryPublish, LaneOutcome } from './dry-run.ts';
import type { ExpectedBody, ExpectedFields, ExpectedLane } from './test-cases-file.ts';

type ExpectedPublish = Extract<ExpectedLane, { kind: 'published' }>;

/** How what became of a message differs from what was expected, a sentence each; empty if it does not. */
export function differences(expected: readonly ExpectedLane[], outcome: DryOutcome): string[] {
  if (outcome.kind === 'too-large') return ['the payload is larger than mqtt.maxPayloadBytes'];
  const lanes = outcome.kind === 'mapped' ? outcome.lanes : [];
  const missing = expected.filter((one) => !lanes.some(({ lane }) => lane === one.lane));
  return [
    ...missing.map(({ lane }) => `${lane}: expected, but the mapping does not get the message`),
    ...lanes.flatMap((actual) => {
      const wanted = expected.find(({ lane }) => lane === actual.lane);
      if (wanted !== undefined) return laneDifferences(wanted, actual);
      // What is filtered goes nowhere, so it need not be written down.
      return actual.kind === 'filtered' ? [] : [`${actual.lane}: not expected, ${told(actual)}`];
    }),
  ];
}

function laneDifferences(wanted: ExpectedLane, actual: LaneOutcome): string[] {
  const { lane } = wanted;
  if (wanted.kind !== actual.kind)
    return [`${lane}: expected to be ${wanted.kind}, ${told(actual)}`];
  if (wanted.kind === 'parked' && actual.kind === 'parked') {
    if (wanted.reason === actual.reason) return [];
    return [`${lane}: expected to be parked as ${wanted.reason}, ${told(actual)}`];
  }
  if (wanted.kind !== 'published' || actual.kind !== 'published') return [];
  return publishDifferences(wanted, actual.publish).map((text) => `${lane}: ${text}`);
}

function publishDifferences(wanted: ExpectedPublish, actual: DryPublish): string[] {
  return [
    ...valueDifference('exchange', wanted.exchange, actual.exchange),
    ...valueDifference('routingKey', wanted.routingKey, actual.routingKey),
    ...fieldDifferences('properties', wanted.properties, actual.properties),
    ...fieldDifferences('headers', wanted.headers, actual.headers),
    ...bodyDifference(wanted.body, actual.body),
  ];
}

function fieldDifferences(
  what: string,
  wanted: ExpectedFields = {},
  actual: Readonly<Record<string, unknown>>,
): string[] {
  return Object.entries(wanted).flatMap(([name, value]) => {
    const found = Object.hasOwn(actual, name) ? actual[name] : null;
    return valueDifference(`${what}.${name}`, value, found);
  });
}

function bodyDifference(wanted: ExpectedBody | undefined, actual: Buffer): string[] {
  if (wanted === undefined) return [];
  if (wanted.kind === 'bytes') {
    if (wanted.bytes.equals(actual)) return [];
    return [`body: expected ${shownBytes(wanted.bytes)}, is ${shownBytes(actual)}`];
  }
  const json = parsed(actual);
  if (json === undefined) return [`body: expected JSON, is ${shownBytes(actual)}`];
  return valueDifference('body', wanted.value, json.value);
}

function valueDifference(what: string, wanted: unknown, actual: unknown): string[] {
  if (wanted === undefined || isDeepStrictEqual(wanted, actual)) return [];
  return [`${what}: expected ${shown(wanted)}, is ${shown(actual)}`];
}

function shown(value: unknown): string {
  return value === null ? 'not set' : JSON.stringify(value);
}

function shownBytes(bytes: Buffer): string {
  const text = bytes.toString();
  return Buffer.from(text).equals(bytes)
    ? JSON.stringify(text)
    : `base64 ${bytes.toString('base64')}`;
}

function parsed(body: Buffer): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(body.toString()) };
  } catch {
    return undefined;
  }
}

function told(outcome: LaneOutcome): string {
  switch (outcome.kind) {
    case 'filtered':
      return 'is filtered';
    case 'parked':
      return `is parked: ${outcome.reason}: ${outcome.detail}`;
    case 'published': {
      const { exchange, routingKey } = outcome.publish;
      return `is published to exchange "${exchange}" with the key "${routingKey}"`;
    }
  }
}
