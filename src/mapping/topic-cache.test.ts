import { expect, test } from 'vitest';
import { TopicCache } from './topic-cache.ts';

const one = (): number => 1;

test('The most recent topics of one generation are always there', () => {
  const cache = new TopicCache<number>(3, one);
  for (let n = 0; n < 100; n++) {
    cache.set(`t${n}`, n);
    for (let back = 0; back < 3 && back <= n; back++)
      expect(cache.get(`t${n - back}`)).toBe(n - back);
  }
});

test('What is asked for stays while what is not goes', () => {
  const cache = new TopicCache<number>(3, one);
  cache.set('hot', 1);
  for (let n = 0; n < 100; n++) {
    cache.set(`t${n}`, n);
    expect(cache.get('hot')).toBe(1);
  }
  expect(cache.get('t0')).toBeUndefined();
});

test('It never holds more than two generations, by weight', () => {
  const cache = new TopicCache<number>(10, (weight) => weight);
  for (let n = 0; n < 1_000; n++) {
    cache.set(`t${n}`, 1 + (n % 4));
    cache.get(`t${n - 7}`);
    expect(cache.size).toBeLessThanOrEqual(20);
  }
  cache.set('heavy', 11);
  expect(cache.get('heavy')).toBeUndefined();
});

test('A topic of more than 512 characters is not kept', () => {
  const cache = new TopicCache<number>(3, one);
  cache.set('x'.repeat(512), 1);
  cache.set('x'.repeat(513), 2);
  expect(cache.get('x'.repeat(512))).toBe(1);
  expect(cache.get('x'.repeat(513))).toBeUndefined();
});

test('Names of prototype members are topics like others', () => {
  const cache = new TopicCache<number>(3, one);
  for (const topic of ['__proto__', 'constructor']) {
    expect(cache.get(topic)).toBeUndefined();
    cache.set(topic, 1);
    expect(cache.get(topic)).toBe(1);
  }
});
