import { expect, test } from 'vitest';
import { laneMessage } from '../../test/helpers/publisher-recorder.ts';
import { GATEWAY_HEADERS } from '../shared/message.ts';
import { propertiesOf } from './amqp-message.ts';

const RUN = '6f1e0b8a92c4d7e5';

test('a message says where it is from, and that it is to be kept', () => {
  const message = laneMessage(2, 'b', { clientId: 'd2', epoch: 4, run: RUN, receivedAtMs: 1999 });
  expect(propertiesOf(message, 'telemetry')).toEqual({
    deliveryMode: 2,
    messageId: `site-a/telemetry/4-${RUN}.2`,
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
      'x-run': RUN,
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
  const sent = propertiesOf(laneMessage(1, 'a', { amqp, fromStore: true }), 'telemetry');
  expect(sent).toMatchObject({ ...properties, appId: 'tidegate' });
  expect(sent.headers).toMatchObject({ ...headers, 'x-seq': 1, 'x-backlog': true });
});

test('the headers that no mapping may set are those of the gateway', () => {
  const { headers } = propertiesOf(laneMessage(1, 'a', { run: RUN }), 'telemetry');
  expect(Object.keys(headers)).toEqual(GATEWAY_HEADERS);
});

test('what 0.1.0 stored goes out without a run, as it did there', () => {
  const { headers, messageId } = propertiesOf(laneMessage(2, 'a'), 'telemetry');
  expect(messageId).toBe('site-a/telemetry/3.2');
  expect(Object.keys(headers)).toEqual(GATEWAY_HEADERS.filter((name) => name !== 'x-run'));
});
