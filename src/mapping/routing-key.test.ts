import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkRoutingKey, routingKeyOfTopic, topicOfRoutingKey } from './routing-key.ts';

test.each([
  ['a', 'a'],
  ['a/b', 'a.b'],
  ['a.b', 'a/b'],
  ['a/b.c/d', 'a.b/c.d'],
  ['/', '.'],
  ['.', '/'],
  ['//', '..'],
  ['./.', '/./'],
  ['/a/', '.a.'],
  ['a//b', 'a..b'],
  ['v1.2/x', 'v1/2.x'],
  ['a b/c', 'a b.c'],
  ['*/a', '*.a'],
  ['a*b', 'a*b'],
  ['#', '#'],
  ['température/°C', 'température.°C'],
  ['工場/温度', '工場.温度'],
  ['🌊/🚪.x', '🌊.🚪/x'],
  ['a\\b', 'a\\b'],
  ['$SYS/up', '$SYS.up'],
  ['__proto__/constructor', '__proto__.constructor'],
  ['x'.repeat(65_535), 'x'.repeat(65_535)],
  ['/'.repeat(65_535), '.'.repeat(65_535)],
])('The topic %j has the default key %j, and back', (topic, key) => {
  expect(routingKeyOfTopic(topic)).toBe(key);
  expect(topicOfRoutingKey(key)).toBe(topic);
});

test('The default key is reversible and unique for every valid topic', () => {
  const topics = fc
    .string({
      unit: fc.oneof(
        fc.constantFrom('/', '.', 'a', '$', '*', ' '),
        fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
      ),
      minLength: 1,
    })
    .filter((topic) => !/[\0+#]/.test(topic));
  fc.assert(
    fc.property(topics, (topic) => {
      const key = routingKeyOfTopic(topic);
      expect(topicOfRoutingKey(key)).toBe(topic);
      expect(Buffer.byteLength(key)).toBe(Buffer.byteLength(topic));
      expect(key.split('.').length).toBe(topic.split('/').length);
    }),
    { numRuns: 1_000 },
  );
});

test.each([
  ['', true],
  ['x'.repeat(255), true],
  ['x'.repeat(256), false],
  ['é'.repeat(127), true],
  ['é'.repeat(128), false],
  ['温'.repeat(85), true],
  [`${'温'.repeat(85)}x`, false],
  ['🌊'.repeat(63), true],
  ['🌊'.repeat(64), false],
  ['x'.repeat(65_535), false],
])('The limit is 255 bytes of UTF-8, not characters (case %#)', (text, fits) => {
  const key = checkRoutingKey(text);
  if (fits) expect(key).toEqual({ ok: true, routingKey: text });
  else {
    const detail = expect.stringContaining(`${Buffer.byteLength(text)} bytes`);
    expect(key).toEqual({ ok: false, reason: 'routing_key_too_long', detail });
  }
});

test('A key with NUL is none (AMQP 0-9-1 §4.2.5.3)', () => {
  expect(checkRoutingKey('a\0')).toMatchObject({ ok: false, reason: 'template_failed' });
});
