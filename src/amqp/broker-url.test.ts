import { expect, test } from 'vitest';
import { parseBrokerUrl } from './broker-url.ts';

test('the redacted form names user, host, port and virtual host, and not the password', () => {
  const url = parseBrokerUrl('amqp://site:s%23cret@broker.example:5673/%2Fplant?heartbeat=7');
  expect(url.redacted).toBe('amqp://site@broker.example:5673/%2Fplant');
  expect(url.vhost).toBe('/plant');
  expect(url.target).toMatchObject({
    username: 'site',
    password: 's#cret',
    port: 5673,
    heartbeat: 7,
  });
});

test.each([
  ['amqp://host', { username: 'guest', password: 'guest', port: 5672, hostname: 'host' }, '/'],
  ['amqps://u:p@host/', { username: 'u', password: 'p', port: 5671, protocol: 'amqps' }, '/'],
  ['amqp://u:%C3%BC@[::1]/%2f', { password: 'ü', hostname: '::1' }, '/'],
  ['amqp://u:p@host/plant', { vhost: 'plant' }, 'plant'],
])('%s is understood', (text, target, vhost) => {
  expect(parseBrokerUrl(text)).toMatchObject({ vhost, target });
});

test.each(['http://u:hidden@host', 'amqp://u:hidden@', 'u:hidden@host', 'amqp://u:hidden%@host'])(
  'a faulty URL is refused without showing its password',
  (text) => {
    expect(() => parseBrokerUrl(text)).toThrowError(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
    expect(() => parseBrokerUrl(text)).not.toThrowError(/hidden/);
  },
);
