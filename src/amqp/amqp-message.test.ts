import { expect, test } from 'vitest';
import { laneMessage } from '../../test/helpers/publisher-recorder.ts';
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
