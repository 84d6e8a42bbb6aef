import { errorText, GatewayError } from '../shared/errors.ts';
import type { BrokerUrl } from './broker-url.ts';

const NETWORK_FAULTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused; is the broker running and listening there?',
  ECONNRESET: 'the peer closed the connection; is it an AMQP port, and TLS on both sides or none?',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ENOTFOUND: 'the host name is unknown',
  EAI_AGAIN: 'the host name cannot be looked up now; is the name server reachable?',
  ETIMEDOUT: 'no answer from the host',
};

/** Tells in words why one attempt to connect failed, with the URL but without its password. */
export function connectError(error: unknown, url: BrokerUrl): GatewayError {
  return new GatewayError('AMQP_UNREACHABLE', `${url.redacted}: ${reasonOf(error, url)}`, error);
}

function reasonOf(error: unknown, url: BrokerUrl): string {
  const code = stringCodeOf(error);
  if (code !== undefined) {
    const known = NETWORK_FAULTS[code];
    if (known !== undefined) return `${known} (${code})`;
    return url.secure
      ? `TLS failed: ${errorText(error)} (${code})`
      : `${errorText(error)} (${code})`;
  }
  // amqplib gives faults of the opening handshake no code, so the words are all there is. Nothing is
  // decided on them, they only become clearer.
  const text = errorText(error);
  if (text.startsWith('Handshake terminated by server')) {
    return `login refused, check user name and password: ${text}`;
  }
  if (text.includes('ConnectionOpenOk')) {
    return `virtual host "${url.vhost}" refused: it does not exist, is down, or the user has no right to it`;
  }
  if (text.startsWith('Socket closed abruptly')) {
    return 'the peer closed the connection in the opening handshake; is it an AMQP port?';
  }
  return text;
}

/** Faults of Node.js have string codes. Several addresses of one name give an AggregateError with one. */
function stringCodeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
