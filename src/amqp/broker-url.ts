import type { Options } from 'amqplib';
import { GatewayError } from '../shared/errors.ts';

/** One broker address, taken apart. */
export interface BrokerUrl {
  /** For logs, metrics and errors: without the password. */
  readonly redacted: string;
  /** Virtual host as people write it, `/` by default. */
  readonly vhost: string;
  readonly secure: boolean;
  /** What amqplib connects with; a `?heartbeat=` in the URL is in it. */
  readonly target: Options.Connect;
}

/**
 * Takes an AMQP URI apart (RabbitMQ docs/uri-spec). Without user and password it is guest and guest.
 * @throws {GatewayError} CONFIG_INVALID when it is none; the text never holds the password.
 */
export function parseBrokerUrl(text: string): BrokerUrl {
  try {
    return takeApart(new URL(text));
  } catch {
    // Neither the text nor the cause: both may hold the password.
    throw new GatewayError(
      'CONFIG_INVALID',
      'an AMQP URL is not of the form amqp(s)://user:password@host:port/vhost',
    );
  }
}

function takeApart(url: URL): BrokerUrl {
  const secure = url.protocol === 'amqps:';
  if (!secure && url.protocol !== 'amqp:') throw new TypeError('protocol');
  if (url.hostname === '') throw new TypeError('host');
  const anonymous = url.username === '' && url.password === '';
  const user = anonymous ? 'guest' : decodeURIComponent(url.username);
  const escapedVhost = url.pathname.slice(1);
  const heartbeat = url.searchParams.get('heartbeat');
  return {
    redacted: `${url.protocol}//${encodeURIComponent(user)}@${url.host}${url.pathname}`,
    vhost: escapedVhost === '' ? '/' : decodeURIComponent(escapedVhost),
    secure,
    target: {
      protocol: secure ? 'amqps' : 'amqp',
      hostname: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? (secure ? 5671 : 5672) : Number(url.port),
      username: user,
      password: anonymous ? 'guest' : decodeURIComponent(url.password),
      vhost: escapedVhost, // amqplib takes the escapes out itself
      ...(heartbeat === null ? {} : { heartbeat: Number(heartbeat) }),
    },
  };
}
