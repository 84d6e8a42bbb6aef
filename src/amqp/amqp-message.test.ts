import { expect, test } from 'vitest';
import { laneMessage } from '../../test/helpers/publisher-recorder.ts';
import { GATEWAY_HEADERS, type MessageProperties } from '../shared/message.ts';
import { messageIdOf, PublishOptionsFiller } from './amqp-message.ts';

test('the message-id is gateway, lane, epoch and seq', () => {
  expect(messageIdOf(laneMessage(42, 'key'), 'telemetry')).toBe('site-a/telemetry/3.42');
});

test('nothing of one message is left in the next', () => {
  const filler = new PublishOptionsFiller('telemetry');
  const first = { dup: true, retain: true, qos: 2, fromStore: true } as const;
  const { headers } = filler.fill(laneMessage(1, 'a', first), 'one');
  expect(headers).toMatchObject({ 'x-mqtt-publish-qos': 2, 'x-mqtt-dup': true, 'x-backlog': true });
  const second = { clientId: 'd2', epoch: 4, receivedAtMs: 1999 };
  expect(filler.fill(laneMessage(2, 'b', second), 'two')).toEqual({
    mandatory: true,
    persistent: true,
    messageId: 'two',
    timestamp: 1,
    appId: 'tidegate',
    headers: {
      'x-mqtt-topic': 'devices/d1/b',
      'x-mqtt-publish-qos': 1,
      'x-mqtt-dup': false,
      'x-mqtt-retain': false,
      'x-client-id': 'd2',
      'x-gateway-id': 'site-a',
      'x-lane': 'telemetry',
      'x-epoch': 4,
      'x-seq': 2,
      'x-received-at': 1999,
      'x-backlog': false,
    },
  });
});

test('the properties and headers of a mapping stand beside those of the gateway', () => {
  const amqp = {
    contentType: 'application/json',
    contentEncoding: 'gzip',
    priority: 7,
    expiration: '60000',
    type: 'reading',
    correlationId: 'c-1',
    replyTo: 'answers',
    headers: { kind: 'temp', value: 21.5, alarm: false },
  };
  const { headers, ...properties } = amqp;
  const filled = new PublishOptionsFiller('telemetry').fill(laneMessage(1, 'a', { amqp }), 'one');
  expect(filled).toMatchObject({ ...properties, messageId: 'one', appId: 'tidegate' });
  expect(filled.headers).toMatchObject({ ...headers, 'x-seq': 1, 'x-lane': 'telemetry' });
});

test('properties and headers are those of the message, whatever was sent before it', () => {
  const amqps: (MessageProperties | undefined)[] = [
    undefined,
    { type: 'a' },
    { type: 'b' },
    { headers: { x: 1 } },
    { headers: { x: 2 } },
    { headers: { y: 2, x: 1 } },
    { type: 'c', priority: 1, headers: { y: 'two' } },
  ];
  const filler = new PublishOptionsFiller('telemetry');
  for (const [seq, before] of amqps.entries()) {
    for (const amqp of amqps) {
      for (const sent of [before, amqp]) {
        const message = laneMessage(seq, 'k', sent === undefined ? {} : { amqp: sent });
        const expected = new PublishOptionsFiller('telemetry').fill(message, 'id');
        expect(filler.fill(message, 'id')).toStrictEqual(expected);
      }
    }
  }
});

test('the headers that no mapping may set are those of the gateway', () => {
  const { headers } = new PublishOptionsFiller('telemetry').fill(laneMessage(1, 'a'), 'one');
  expect(Object.keys(headers ?? {})).toEqual(GATEWAY_HEADERS);
});
