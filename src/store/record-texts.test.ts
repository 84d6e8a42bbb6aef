import { expect, test } from 'vitest';
import type { LaneMessage } from '../shared/message.ts';
import { encodeTexts, RecordTexts } from './record-texts.ts';

function messageOf(topic: string): LaneMessage {
  return {
    topic,
    payload: Buffer.alloc(0),
    qos: 1,
    dup: false,
    retain: false,
    clientId: 'device',
    receivedAtMs: 0,
    gatewayId: 'site',
    epoch: 1,
    seq: 1,
    routingKey: 'key',
  };
}

test('the texts of a topic are encoded once, and again when another client uses it', () => {
  const texts = new RecordTexts();
  const message = messageOf('devices/7/telemetry');
  const other = { ...message, clientId: 'another' };
  expect(texts.of(message)).toBe(texts.of(message));
  expect(texts.of(other)).toEqual(encodeTexts(other));
  expect(texts.of(message)).toEqual(encodeTexts(message));
});

test('long topics are not remembered: a device that makes up topics of 64 KB would fill the memory', () => {
  const texts = new RecordTexts();
  const message = messageOf('x'.repeat(65_535));
  const first = texts.of(message);
  const second = texts.of(message);
  expect(first === second).toBe(false);
  expect(second.equals(encodeTexts(message))).toBe(true);
});

test('what is remembered shares no memory with what is not', () => {
  const texts = new RecordTexts();
  const first = texts.of(messageOf('devices/1/telemetry'));
  const second = texts.of(messageOf('devices/2/telemetry'));
  expect(first.buffer === Buffer.from('gone soon').buffer).toBe(false);
  expect(first.buffer === second.buffer).toBe(true);
  expect(first).toEqual(encodeTexts(messageOf('devices/1/telemetry')));
});

test('topics without end, and one topic of many clients, are all encoded right', () => {
  const texts = new RecordTexts();
  for (let n = 0; n < 30_000; n += 1) {
    const message = messageOf(`devices/${n % 2 === 0 ? n : 'all'}/telemetry`);
    const named = { ...message, clientId: `device-${n}` };
    expect(texts.of(named).equals(encodeTexts(named))).toBe(true);
  }
});
