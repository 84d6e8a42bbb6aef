import { expect, test } from 'vitest';
import type { Checked } from './payload/check-queue.ts';
import type { PayloadCheck } from './payload/payload-checks.ts';
import { ReplaceableCheck } from './replaceable-check.ts';
import type { DeviceMessage } from './shared/message.ts';

/** A check whose answers come when the test says so. */
class SlowCheck implements PayloadCheck {
  readonly isFull = false;
  readonly waiting: Checked[] = [];
  check(_message: DeviceMessage, checked: Checked): void {
    this.waiting.push(checked);
  }
  answer(): void {
    this.waiting.shift()?.({ kind: 'passed' });
  }
}

const MESSAGE: DeviceMessage = {
  topic: 'a',
  payload: Buffer.alloc(0),
  qos: 1,
  dup: false,
  retain: false,
  clientId: 'c',
  receivedAtMs: 0,
};

test('messages behind a replacement wait until those ahead are through the old check', async () => {
  const [before, after] = [new SlowCheck(), new SlowCheck()];
  const check = new ReplaceableCheck(before);
  const through: number[] = [];
  const send = (nth: number): void => check.check(MESSAGE, () => void through.push(nth));
  send(1);
  const replaced = check.replace(after);
  send(2);
  expect(after.waiting).toHaveLength(0);
  expect(check.isIdle).toBe(false);
  before.answer();
  await replaced;
  expect(after.waiting).toHaveLength(1);
  after.answer();
  expect(through).toEqual([1, 2]);
  expect(check.isIdle).toBe(true);
});

test('a check that is taken away lets messages pass, behind those that are being checked', async () => {
  const before = new SlowCheck();
  const check = new ReplaceableCheck(before);
  const through: number[] = [];
  const send = (nth: number): void => check.check(MESSAGE, () => void through.push(nth));
  send(1);
  const replaced = check.replace(undefined);
  send(2);
  before.answer();
  await replaced;
  send(3);
  expect(through).toEqual([1, 2, 3]);
});

test('a second replacement takes the place of the first, and both are told', async () => {
  const [before, skipped, after] = [new SlowCheck(), new SlowCheck(), new SlowCheck()];
  const check = new ReplaceableCheck(before);
  check.check(MESSAGE, () => undefined);
  const replaced = [check.replace(skipped), check.replace(after)];
  check.check(MESSAGE, () => undefined);
  before.answer();
  await Promise.all(replaced);
  expect([skipped.waiting.length, after.waiting.length]).toEqual([0, 1]);
});
