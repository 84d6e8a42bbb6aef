import { expect, test } from 'vitest';
import { Outbox, type OutgoingMessage, type QoS } from './outbox.ts';

function message(counter: number, qos: QoS = 1): OutgoingMessage {
  return { counter, topic: 'devices/d/telemetry/t', payload: `${counter}`, qos };
}

function filled(count: number, limits = { capacity: 100, window: 100 }): Outbox {
  const outbox = new Outbox(limits);
  for (let counter = 1; counter <= count; counter++) outbox.add(message(counter));
  return outbox;
}

function counters(outbox: Outbox): number[] {
  return outbox.inFlight().map((entry) => entry.message.counter);
}

test('messages leave in the order in which they came', () => {
  const outbox = filled(3);
  expect([outbox.takeNext(), outbox.takeNext(), outbox.takeNext()].map((m) => m?.counter)).toEqual([
    1, 2, 3,
  ]);
  expect(outbox.takeNext()).toBeUndefined();
});

test('no more than the window is in flight, and an acknowledgement lets the next one go', () => {
  const outbox = filled(3, { capacity: 10, window: 2 });
  outbox.takeNext();
  outbox.takeNext();
  expect(outbox.takeNext()).toBeUndefined();
  outbox.settle(1);
  expect(outbox.takeNext()?.counter).toBe(3);
});

test('what is in flight keeps its order, also when a later one is acknowledged first', () => {
  const outbox = filled(4);
  for (let i = 0; i < 4; i++) outbox.takeNext();
  outbox.settle(2);
  expect(counters(outbox)).toEqual([1, 3, 4]);
});

test('when it is full the oldest unsent message gives way, never one in flight', () => {
  const outbox = filled(4, { capacity: 4, window: 2 });
  outbox.takeNext();
  outbox.takeNext();
  expect(outbox.add(message(5))?.counter).toBe(3);
  expect(outbox.size).toBe(4);
  expect(counters(outbox)).toEqual([1, 2]);
  outbox.settle(1);
  expect(outbox.takeNext()?.counter).toBe(4);
});

test('when all of it is in flight, the new message gives way', () => {
  const outbox = filled(2, { capacity: 2, window: 2 });
  outbox.takeNext();
  outbox.takeNext();
  expect(outbox.add(message(3))?.counter).toBe(3);
  expect(outbox.size).toBe(2);
});

test('[MQTT-4.3.3-1] PUBREC is counted once and the message stays until PUBCOMP', () => {
  const outbox = filled(1);
  outbox.takeNext();
  expect(outbox.markReceived(1)).toBe(true);
  expect(outbox.markReceived(1)).toBe(false);
  expect(outbox.inFlight()).toMatchObject([{ progress: 'received' }]);
  expect(outbox.settle(1)?.message.counter).toBe(1);
  expect(outbox.settle(1)).toBeUndefined();
  expect(outbox.size).toBe(0);
});

test('a lost connection takes QoS 0 messages with it and nothing else', () => {
  const outbox = new Outbox({ capacity: 10, window: 10 });
  for (const each of [message(1), message(2, 0), message(3, 2)]) outbox.add(each);
  for (let i = 0; i < 3; i++) outbox.takeNext();
  outbox.forgetQos0();
  expect(counters(outbox)).toEqual([1, 3]);
});
