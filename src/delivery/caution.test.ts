import { expect, test } from 'vitest';
import { NO_RECEIPT } from '../shared/receipt.ts';
import { Caution } from './caution.ts';
import { arrivedEntry } from './entry.ts';

function entry(seq: number) {
  const identity = { gatewayId: 'g', epoch: 1, seq, routingKey: 'a', receivedAtMs: 1 };
  const rest = { qos: 1, dup: false, retain: false, clientId: 'c' } as const;
  const message = { ...identity, ...rest, topic: 'a', payload: Buffer.alloc(1) };
  return arrivedEntry(message, NO_RECEIPT);
}

test('messages go out one by one until the last suspect is settled, also when it gets a later place than it seemed', () => {
  const caution = new Caution();
  const [suspect, other] = [entry(1), entry(2)];
  caution.extendTo(suspect, 3);
  expect(caution.isNeeded(3)).toBe(true);
  expect(caution.isNeeded(4)).toBe(false);
  other.offset = 9;
  caution.appended(other);
  expect(caution.isNeeded(4)).toBe(false);
  suspect.offset = 7; // released messages were put before it
  caution.appended(suspect);
  expect(caution.isNeeded(7)).toBe(true);
  expect(caution.isNeeded(8)).toBe(false);
});
