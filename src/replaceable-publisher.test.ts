import { expect, test } from 'vitest';
import { FakePublisher } from '../test/helpers/fake-publisher.ts';
import type { PublisherListener } from './delivery/ports.ts';
import { ReplaceablePublisher } from './replaceable-publisher.ts';

/** A replaceable publisher that is open, and what its lane was told. */
function opened(): { publisher: ReplaceablePublisher; first: FakePublisher; told: string[] } {
  const told: string[] = [];
  const first = new FakePublisher();
  const publisher = new ReplaceablePublisher(first);
  const listener: PublisherListener = {
    onOpen: () => void told.push('open'),
    onClosed: () => void told.push('closed'),
    onBlocked: () => void told.push('blocked'),
    onUnblocked: () => void told.push('unblocked'),
  };
  publisher.start(listener);
  first.open();
  return { publisher, first, told };
}

test('the lane is blocked at once, and the old publisher goes when all in flight is answered', async () => {
  const { publisher, first, told } = opened();
  const next = new FakePublisher();
  let inFlight = 1;
  const replaced = publisher.replace(next, () => inFlight);
  expect(told).toEqual(['open', 'blocked']);
  expect([first.stopped, next.started]).toEqual([false, false]);
  inFlight = 0;
  await replaced;
  expect(told).toEqual(['open', 'blocked', 'closed']);
  expect([first.stopped, next.started]).toEqual([true, true]);
  next.open();
  expect(told.at(-1)).toBe('open');
});

test('nothing that the old publisher tells meanwhile makes the lane publish', async () => {
  const { publisher, first, told } = opened();
  let inFlight = 1;
  const replaced = publisher.replace(new FakePublisher(), () => inFlight);
  first.unblock();
  first.close();
  first.open();
  inFlight = 0;
  await replaced;
  expect(told).toEqual(['open', 'blocked', 'closed']);
});

test('of several replacements in a row only the last is started', async () => {
  const { publisher } = opened();
  const [second, third] = [new FakePublisher(), new FakePublisher()];
  await Promise.all([publisher.replace(second, () => 0), publisher.replace(third, () => 0)]);
  expect([second.started, third.started]).toEqual([false, true]);
});

test('a publisher that was stopped starts no other one', async () => {
  const { publisher, first } = opened();
  const next = new FakePublisher();
  const replaced = publisher.replace(next, () => 1);
  await publisher.stop();
  await replaced;
  expect([first.stopped, next.started]).toEqual([true, false]);
});
