import { expect, test } from 'vitest';
import { redactUrls } from './redact.ts';

test.each([
  ['amqp://guest:guest@127.0.0.1:5672', 'amqp://guest:***@127.0.0.1:5672'],
  ['amqps://:secret@broker/vhost', 'amqps://:***@broker/vhost'],
  ['{"urls":["amqp://a:b@h1","amqp://c:d@h2"]}', '{"urls":["amqp://a:***@h1","amqp://c:***@h2"]}'],
  ['amqp://u:p@ss/w:rd@host is no URL', 'amqp://u:***@host is no URL'],
  [JSON.stringify('amqp://u:p"w\\d@host'), JSON.stringify('amqp://u:***@host')],
])('the password in %s is hidden', (text, expected) => {
  expect(redactUrls(text)).toBe(expected);
});

test.each([
  'amqp://guest@127.0.0.1:5672',
  'http://127.0.0.1:9180/metrics',
  'file:///opt/app/node_modules/@scope/x.js:3:7',
  'a:b@c',
])('%s has no password and stays as it is', (text) => {
  expect(redactUrls(text)).toBe(text);
});

test('a hostile text of a topic name cannot make the search slow', () => {
  const hostile = '://a:'.repeat(13_000);
  const startedAtMs = performance.now();
  redactUrls(hostile);
  // Bounded it takes some 30 ms; unbounded it takes seconds.
  expect(performance.now() - startedAtMs).toBeLessThan(500);
});
