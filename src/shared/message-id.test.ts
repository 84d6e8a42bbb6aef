import { expect, test } from 'vitest';
import { messageIdOf } from './message-id.ts';

const RUN = '6f1e0b8a92c4d7e5';

test('a message-id is gateway, lane, epoch, run and seq', () => {
  const message = { gatewayId: 'site-a', epoch: 3, run: RUN, seq: 42 };
  expect(messageIdOf(message, 'telemetry')).toBe(`site-a/telemetry/3-${RUN}.42`);
});

test('two runs never share a message-id, however the counters stand', () => {
  const message = { gatewayId: 'site-a', epoch: 2, seq: 1 };
  const ids = [RUN, '0000000000000001', undefined].map((run) =>
    messageIdOf(run === undefined ? message : { ...message, run }, 'telemetry'),
  );
  expect(new Set(ids).size).toBe(3);
});

test('what 0.1.0 stored keeps the message-id that it had there', () => {
  const message = { gatewayId: 'site-a', epoch: 3, seq: 42 };
  expect(messageIdOf(message, 'telemetry')).toBe('site-a/telemetry/3.42');
});

test('the longest message-id that the config allows fits into an AMQP short string', () => {
  const gatewayId = 'ä'.repeat(64); // 128 bytes, as many as gateway.id may have
  const message = { gatewayId, epoch: 2 ** 32 - 1, run: RUN, seq: Number.MAX_SAFE_INTEGER };
  expect(Buffer.byteLength(messageIdOf(message, 'x'.repeat(64)))).toBeLessThanOrEqual(255);
});
