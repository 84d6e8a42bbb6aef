import { type Inspected, inspectBroker, type Wanted } from '../amqp/inspection.ts';
import { readTlsFiles } from '../amqp/tls-files.ts';
import type { Config, MappingConfig } from '../config/types.ts';
import type { Finding } from './mapping-checks.ts';

/** Name of what the gap manifest needs, where others have the name of a mapping. */
const GAPS = 'gaps';

type Part = Pick<MappingConfig, 'name' | 'exchange' | 'exchanges' | 'queues'>;

/** Something a mapping needs at the broker. */
interface Need extends Wanted {
  readonly mapping: string;
  /** It is only named, as the source of a binding or an alternate exchange, and may come from anywhere. */
  readonly isReference: boolean;
}

/**
 * What is missing at the first broker that is reached, and what the gateway would declare there. Changes nothing there.
 * @throws {GatewayError} AMQP_UNREACHABLE when none is reached.
 */
export async function checkBroker({
  amqp,
  mappings,
  gaps,
}: Config): Promise<{ readonly url: string; readonly findings: readonly Finding[] }> {
  const needs = [...mappings, { name: GAPS, ...gaps }].flatMap(needsOf);
  const unique = new Map(needs.map((need) => [keyOf(need), wantedOf(need, needs)]));
  const options = {
    urls: amqp.urls,
    heartbeatMs: amqp.heartbeatMs,
    connectTimeoutMs: amqp.connectTimeoutMs,
    connectionName: 'tidegate check',
    tls: () => readTlsFiles(amqp.tls ?? {}),
  };
  const { url, found } = await inspectBroker(options, [...unique.values()]);
  const byKey = new Map(found.map((one) => [keyOf(one.wanted), one]));
  const findings = needs.flatMap((need) => {
    const one = byKey.get(keyOf(need));
    const isDeclared = needs.some((other) => keyOf(other) === keyOf(need) && other.declares);
    return one === undefined ? [] : findingsOf(need, one, isDeclared);
  });
  return { url, findings };
}

function needsOf({ name: mapping, exchange, exchanges = [], queues }: Part): Need[] {
  const declares = exchange.declare;
  const own = { mapping, declares, publishes: false, isReference: false };
  const named = [...exchanges, ...queues].flatMap(({ bindings = [] }) =>
    bindings.flatMap(({ exchange: source }) => source ?? []),
  );
  const argued = [exchange, ...exchanges].flatMap(({ arguments: given }) => {
    const alternate = given?.['alternate-exchange'];
    return typeof alternate === 'string' ? [alternate] : [];
  });
  const references = new Set([...named, ...argued].filter((name) => name !== ''));
  return [
    { ...own, kind: 'exchange', name: exchange.name, publishes: true },
    ...exchanges.map(({ name }): Need => ({ ...own, kind: 'exchange', name })),
    ...queues.map(({ name }): Need => ({ ...own, kind: 'queue', name })),
    ...[...references].map((name): Need => {
      return { ...own, kind: 'exchange', name, declares: false, isReference: true };
    }),
  ];
}

function keyOf({ kind, name }: Wanted): string {
  return `${kind} ${name}`;
}

/** All that any mapping wants to know of it. */
function wantedOf({ kind, name }: Need, needs: readonly Need[]): Wanted {
  const same = needs.filter((need) => keyOf(need) === keyOf({ ...need, kind, name }));
  return {
    kind,
    name,
    declares: same.some(({ declares }) => declares),
    publishes: same.some(({ publishes }) => publishes),
  };
}

function findingsOf(need: Need, found: Inspected, isDeclared: boolean): Finding[] {
  const { mapping, kind, name, declares, publishes } = need;
  const what = name === '' ? 'the default exchange' : `${kind} "${name}"`;
  const tell = (level: Finding['level'], text: string): Finding => {
    return { level, mappings: [mapping], text: `${what} ${text}` };
  };
  const rights =
    publishes && found.mayPublish === false
      ? [tell('fault', 'may not be published to: the user has no write permission')]
      : [];
  if (declares) {
    if (found.mayDeclare === false) {
      const cure = found.isThere ? 'give it, or set "declare: false"' : 'it is not there either';
      return [...rights, tell('fault', `may not be declared: no configure permission; ${cure}`)];
    }
    return found.isThere ? rights : [...rights, tell('note', 'is not there; `run` declares it')];
  }
  if (found.isThere || isDeclared) return rights;
  const why = need.isReference ? 'no mapping declares it' : '"declare: false" leaves it to others';
  return [...rights, tell('fault', `is not there, and ${why}`)];
}
