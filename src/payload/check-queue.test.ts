import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../../test/helpers/eventually.ts';
import type { DeviceMessage } from '../shared/message.ts';
import { CheckQueue } from './check-queue.ts';
import type { PayloadRule } from './rule.ts';

/** Of the process: it is run from the source, which tsx has to compile first. */
const PROGRAM = { file: new URL('./process.ts', import.meta.url), execArgv: ['--import', 'tsx'] };
const PATIENCE = { withinMs: 30_000 };

const rule = (keys: Partial<PayloadRule>): PayloadRule => ({
  name: 'm',
  filter: '#',
  gatewayId: 'g',
  timeoutMs: 250,
  maxBodyBytes: 1_000_000,
  ...keys,
});

function message(value: unknown): DeviceMessage {
  const payload = Buffer.from(JSON.stringify(value));
  const rest = { qos: 1, dup: false, retain: false, clientId: 'c', receivedAtMs: 1 } as const;
  return { topic: 'a/b', payload, ...rest };
}

/** A queue with what it has told: the outcome of each message by its number, in order. */
function startQueue(rules: readonly PayloadRule[]) {
  const told: string[] = [];
  const troubles: string[] = [];
  const onTrouble = (reason: string): number => troubles.push(reason);
  const queue = new CheckQueue({ rules, program: PROGRAM, onTrouble });
  onTestFinished(() => queue.close());
  queue.start();
  const send = (value: unknown, index = 0): void => {
    const number = told.length + sent.count;
    sent.count += 1;
    queue.check(index, message(value), (outcome) => {
      sent.count -= 1;
      told.push(`${number} ${outcome.kind === 'failed' ? outcome.reason : outcome.kind}`);
    });
  };
  const sent = { count: 0 };
  return { queue, told, troubles, send };
}

/** Loops for ever when the payload says so. */
const LOOPS = 'n > 0 ? true : ($f := function($x) { $f($x + 1) }; $f(1))';
/** Takes 2^n steps for n letters that an other one follows. */
const CATASTROPHIC = `${'a'.repeat(50)}!`;
const CATASTROPHE = { properties: { text: { type: 'string', pattern: '^(a+)+$' } } };

test('messages come back in order, whatever becomes of them', async () => {
  const { told, send, queue } = startQueue([
    rule({ when: 'n > 1' }),
    rule({ schema: { required: ['n'] } }),
  ]);
  for (let n = 0; n < 300; n += 1) send(n % 3 === 2 ? {} : { n: n % 3 }, n % 3 === 2 ? 1 : 0);
  expect(queue.heldBytes).toBeGreaterThan(300 * 512);
  await eventually(() => expect(told.length).toBe(300), PATIENCE);
  const expected = ['filtered', 'filtered', 'payload_invalid'];
  expect(told).toEqual(told.map((_, n) => `${n} ${expected[n % 3]}`));
  expect(queue.heldBytes).toBe(0);
});

test('an expression that loops for ever ends by itself: the others of its batch do not notice', async () => {
  const { told, troubles, send } = startQueue([rule({ when: LOOPS })]);
  for (let n = 0; n < 20; n += 1) send({ n: n === 10 ? 0 : 1 });
  await eventually(() => expect(told.length).toBe(20), PATIENCE);
  expect(told).toEqual(told.map((_, n) => `${n} ${n === 10 ? 'payload_timeout' : 'passed'}`));
  expect(troubles).toEqual([]);
});

test('an expression that is lost in a pattern ends alone: those before and behind it go on', async () => {
  const { told, troubles, send } = startQueue([rule({ when: '$contains(text, /^(a+)+$/)' })]);
  for (let n = 0; n < 20; n += 1) send({ text: n === 10 ? CATASTROPHIC : 'aaa' });
  await eventually(() => expect(told.length).toBe(20), PATIENCE);
  expect(told).toEqual(told.map((_, n) => `${n} ${n === 10 ? 'payload_timeout' : 'passed'}`));
  expect(troubles).toEqual(Array(2).fill('ended: it took too long')); // in the batch, and alone
});

test('a catastrophic pattern ends alone', async () => {
  const { told, send } = startQueue([rule({ schema: CATASTROPHE })]);
  for (let n = 0; n < 5; n += 1) send({ text: n === 2 ? CATASTROPHIC : 'aaa' });
  await eventually(() => expect(told.length).toBe(5), PATIENCE);
  expect(told).toEqual(['0 passed', '1 passed', '2 payload_timeout', '3 passed', '4 passed']);
});

test('a payload that makes an expression take all memory ends that process only', async () => {
  const transform = '$length($pad("", n))';
  const { told, troubles, send } = startQueue([rule({ transform, timeoutMs: 10_000 })]);
  for (let n = 0; n < 5; n += 1) send({ n: n === 2 ? 500_000_000 : 3 });
  await eventually(() => expect(told.length).toBe(5), PATIENCE);
  expect(told).toEqual(['0 passed', '1 passed', '2 payload_crashed', '3 passed', '4 passed']);
  expect(troubles).toEqual(Array(2).fill('it ended (SIGABRT)'));
});

test('many messages that take long together, but each is in time, are no trouble', async () => {
  const when = '$sum([1..30000]) > 0';
  const { told, troubles, send } = startQueue([rule({ when })]);
  for (let n = 0; n < 60; n += 1) send({ n });
  await eventually(() => expect(told.length).toBe(60), PATIENCE);
  expect(told.every((text) => text.endsWith('passed'))).toBe(true);
  expect(troubles).toEqual([]);
});

test('what is not checked when it is closed is told so, also in a loop', async () => {
  const { queue, told, send } = startQueue([rule({ when: LOOPS, timeoutMs: 60_000 })]);
  send({ n: 1 });
  await eventually(() => expect(told).toEqual(['0 passed']), PATIENCE);
  send({ n: 0 });
  send({ n: 1 });
  await queue.close();
  send({ n: 1 });
  expect(told).toEqual(['0 passed', '1 closed', '2 closed', '3 closed']);
});

test('a process that cannot start is tried again, and holds its messages meanwhile', async () => {
  const troubles: string[] = [];
  const file = new URL('./no-such-file.js', import.meta.url);
  const onTrouble = (reason: string): number => troubles.push(reason);
  const parts = { rules: [rule({ when: 'true' })], program: { file, execArgv: [] }, onTrouble };
  const queue = new CheckQueue(parts);
  onTestFinished(() => queue.close());
  queue.start();
  let isTold = false;
  queue.check(0, message({}), () => {
    isTold = true;
  });
  await eventually(() => expect(troubles.length).toBeGreaterThan(1), PATIENCE);
  expect(troubles[0]).toBe('it ended (exit code 1)');
  expect(isTold).toBe(false);
});
