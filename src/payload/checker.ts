import { type Captures, matchTopic, parseTopicFilter } from '../mapping/topic-filter.ts';
import {
  compileExpression,
  compileSchema,
  type Expression,
  OUT_OF_TIME,
  thrownText,
  type Validate,
} from './compile.ts';
import { isNestedDeeper } from './nesting.ts';
import { type CheckFailure, type CheckResult, type CheckTask, tookTooLong } from './protocol.ts';
import type { PayloadRule } from './rule.ts';

/** Levels of a payload; what works on it takes some stack for each. */
const MAX_DEPTH = 100;

/** Characters of a detail: for a person to see what is wrong, kept with each parked message. */
const MAX_DETAIL_LENGTH = 500;

/** Fatal, so that bytes which are not UTF-8 fail instead of turning different values into the same text. */
const utf8 = new TextDecoder('utf-8', { fatal: true });

const MICROSECONDS_PER_MS = 1000;

const PASSED: CheckResult = { kind: 'passed' };
const FILTERED: CheckResult = { kind: 'filtered' };

/** Checks and shapes the payloads of one mapping. It may take for ever: who calls it limits that from outside. */
export class Checker {
  readonly #rule: PayloadRule;
  readonly #captures: (topic: string) => Captures | undefined;
  readonly #validate: Validate | undefined;
  readonly #when: Expression | undefined;
  readonly #transform: Expression | undefined;

  /** @throws {CompileFault} for a rule that `payloadFaults` would have refused. */
  constructor(rule: PayloadRule) {
    this.#rule = rule;
    const parsed = parseTopicFilter(rule.filter);
    this.#captures = (topic) => (parsed.ok ? matchTopic(parsed.filter, topic) : undefined);
    this.#validate = rule.schema === undefined ? undefined : compileSchema(rule.schema);
    this.#when = rule.when === undefined ? undefined : compileExpression(rule.when, rule.timeoutMs);
    this.#transform =
      rule.transform === undefined ? undefined : compileExpression(rule.transform, rule.timeoutMs);
  }

  /** Never rejects. */
  async check(task: CheckTask): Promise<CheckResult> {
    const parsed = parse(task.payload);
    if (!parsed.ok) return failed('payload_invalid', parsed.detail);
    const { value } = parsed;
    const misfit = this.#misfit(value);
    if (misfit !== undefined) return failed('payload_invalid', misfit);
    if (this.#when === undefined && this.#transform === undefined) return PASSED;
    const bindings = this.#bindings(task);
    if (this.#when !== undefined) {
      const refusal = await this.#decide(this.#when, value, bindings);
      if (refusal !== undefined) return refusal;
    }
    if (this.#transform === undefined) return PASSED;
    return this.#shape(this.#transform, value, bindings);
  }

  #misfit(value: unknown): string | undefined {
    try {
      return this.#validate?.(value);
    } catch (error) {
      return `the schema cannot be applied: ${thrownText(error)}`;
    }
  }

  /** What stands against the message; undefined when it may pass. A field that is missing makes a comparison nothing. */
  async #decide(
    when: Expression,
    value: unknown,
    bindings: Bindings,
  ): Promise<CheckResult | undefined> {
    try {
      const answer = await this.#evaluate(when, value, bindings);
      if (answer === true) return undefined;
      if (answer === false || answer === undefined) return FILTERED;
      return failed('when_failed', 'gives neither true nor false');
    } catch (error) {
      return this.#failure('when_failed', error);
    }
  }

  async #shape(transform: Expression, value: unknown, bindings: Bindings): Promise<CheckResult> {
    try {
      const result = await this.#evaluate(transform, value, bindings);
      if (result === undefined) return FILTERED;
      const body = bodyText(result);
      const bytes = Buffer.byteLength(body);
      if (bytes <= this.#rule.maxBodyBytes) return { kind: 'passed', body };
      const limit = `the limit is ${this.#rule.maxBodyBytes} (mqtt.maxPayloadBytes)`;
      return failed('transform_failed', `gives ${bytes} bytes; ${limit}`);
    } catch (error) {
      return this.#failure('transform_failed', error);
    }
  }

  /** Time in which this process did not run, or by which the clock was set, does not count: it is tried again. */
  async #evaluate(expression: Expression, value: unknown, bindings: Bindings): Promise<unknown> {
    for (;;) {
      const before = process.cpuUsage();
      try {
        return await expression.evaluate(value, bindings);
      } catch (error) {
        const { user, system } = process.cpuUsage(before);
        const spentMs = (user + system) / MICROSECONDS_PER_MS;
        if (!isOutOfTime(error) || spentMs >= this.#rule.timeoutMs / 2) throw error;
      }
    }
  }

  #failure(reason: 'when_failed' | 'transform_failed', error: unknown): CheckResult {
    if (!isOutOfTime(error)) return failed(reason, thrownText(error));
    return failed('payload_timeout', tookTooLong(this.#rule.timeoutMs));
  }

  #bindings(task: CheckTask): Record<string, unknown> {
    return {
      topic: task.topic,
      client: task.clientId,
      username: task.username,
      gateway: this.#rule.gatewayId,
      receivedAt: task.receivedAtMs,
      capture: Object.fromEntries(this.#captures(task.topic) ?? []),
    };
  }
}

type Bindings = Readonly<Record<string, unknown>>;

type Parsed =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly detail: string };

function parse(payload: Uint8Array): Parsed {
  if (isNestedDeeper(payload, MAX_DEPTH)) {
    return { ok: false, detail: `the payload is nested deeper than ${MAX_DEPTH} levels` };
  }
  try {
    return { ok: true, value: JSON.parse(utf8.decode(payload)) };
  } catch {
    return { ok: false, detail: 'the payload is not JSON' };
  }
}

function failed(reason: CheckFailure, detail: string): CheckResult {
  return { kind: 'failed', reason, detail: detail.slice(0, MAX_DETAIL_LENGTH) };
}

function isOutOfTime(error: unknown): boolean {
  return (
    typeof error === 'object' && error !== null && 'code' in error && error.code === OUT_OF_TIME
  );
}

/** Text as it is, all else as JSON. Throws for what would arrive as something else than it was. */
function bodyText(result: unknown): string {
  if (typeof result === 'string') {
    if (/\p{Surrogate}/u.test(result)) throw new Error('gives text with half a surrogate pair');
    return result;
  }
  return JSON.stringify(result, exactly);
}

/** A replacer for JSON.stringify that refuses what JSON cannot carry, or parsing has already changed. */
function exactly(_key: string, value: unknown): unknown {
  if (typeof value === 'object' && value !== null) {
    const isFunction = '_jsonata_function' in value || '_jsonata_lambda' in value;
    if (isFunction) throw new Error('gives a function');
  }
  if (typeof value !== 'number') return value;
  if (!Number.isFinite(value)) throw new Error('gives a number that JSON does not have');
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
    throw new Error('gives an integer beyond 2^53; send it as text');
  }
  return value;
}
