import { expect, test } from 'vitest';
import { readInequivalence } from './inequivalent.ts';

const text = (what: string): string =>
  `Operation failed: QueueDeclare; 406 (PRECONDITION-FAILED) with message "PRECONDITION_FAILED - ${what}"`;

test.each([
  [
    "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received none but current is the value '1000' of type 'signedint'",
    { argument: 'x-message-ttl', there: '1000', here: 'none' },
  ],
  [
    "inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received the value '5' of type 'signedint' but current is none",
    { argument: 'x-max-length', there: 'none', here: '5' },
  ],
  [
    "inequivalent arg 'x-overflow' for queue 'it's' in vhost 'a b': received the value 'drop-head' of type 'longstr' but current is the value 'reject-publish' of type 'longstr'",
    { argument: 'x-overflow', there: 'reject-publish', here: 'drop-head' },
  ],
  [
    "inequivalent arg 'type' for exchange 'x' in vhost '/': received 'direct' but current is 'topic'",
    { argument: 'type', there: 'topic', here: 'direct' },
  ],
  [
    "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'true' but current is 'false'",
    { argument: 'durable', there: 'false', here: 'true' },
  ],
  [
    "inequivalent arg 'x-max-age' for queue 'q' in vhost '/': received the value '7' of type 'signedint' but current is the value '7' of type 'longstr'",
    {
      argument: 'x-max-age',
      there: "the value '7' of type 'longstr'",
      here: "the value '7' of type 'signedint'",
    },
  ],
])('What differs is read from: %s', (what, expected) => {
  expect(readInequivalence(text(what))).toEqual(expected);
  expect(readInequivalence(what)).toEqual(expected);
});

test.each([
  "invalid arg 'x-message-ttl' for queue 'q' in vhost '/': {value_negative,-1}",
  "no queue 'q' in vhost '/'",
  '',
])('Another refusal is none: %s', (what) => {
  expect(readInequivalence(text(what))).toBeUndefined();
});
