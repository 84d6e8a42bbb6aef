import { expect, test } from 'vitest';
import { DeliveryLedger } from '../../test/helpers/ledger.ts';
import { emptyTally, fleetTally } from '../tally.ts';
import { isProven, type Outcome, report } from './report.ts';

/** Two messages of one device, acknowledged; those named are delivered. */
function outcome(
  delivered: readonly number[],
  messageIdOf = (counter: number) => `m${counter}`,
): Outcome {
  const ledger = new DeliveryLedger();
  for (const counter of [1, 2]) {
    ledger.attempted(`d#${counter}`);
    ledger.acknowledged(`d#${counter}`);
  }
  for (const counter of delivered) {
    ledger.delivered({
      id: `d#${counter}`,
      messageId: messageIdOf(counter),
      deviceKey: 'd',
      counter,
    });
  }
  return {
    verdict: ledger.verdict(),
    tally: fleetTally([{ ...emptyTally('d'), sent: 2, acknowledged: 2 }]),
    strangers: 0,
    peakBacklog: 0,
    examplesOfLost: ledger.lostIds(),
  };
}

test('all acknowledged and delivered in order is proven', () => {
  expect(isProven(outcome([1, 2]))).toBe(true);
  expect(report(outcome([1, 2]))).toContain('NOTHING LOST: all 2 acknowledged messages');
  expect(report(outcome([1, 2]))).toContain('in order');
});

test('one acknowledged message that is missing fails and is named', () => {
  expect(isProven(outcome([1]))).toBe(false);
  expect(report(outcome([1]))).toContain('LOST: 1 of 2');
  expect(report(outcome([1]))).toContain('d#2');
});

test('order is not claimed when it was not kept', () => {
  expect(report(outcome([2, 1]))).toContain('1 out of order');
});

test('two messages under one message-id fail: a consumer that dedupes would drop one', () => {
  const confused = outcome([1, 2], () => 'same');
  expect(isProven(confused)).toBe(false);
  expect(report(confused)).toContain('NOT PROVEN');
});

test('a run in which nothing was acknowledged proves nothing', () => {
  const empty = outcome([]);
  const verdict = { ...empty.verdict, acknowledged: 0, lost: 0 };
  expect(isProven({ ...empty, verdict })).toBe(false);
});
