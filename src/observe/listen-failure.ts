import { errorText, GatewayError } from '../shared/errors.ts';

/** What to do about each way a listener can fail to start. */
const ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process has that port: stop it, or set another port',
  EACCES:
    'this user may not use that port: take one from 1024 on, or allow it (CAP_NET_BIND_SERVICE)',
  EADDRNOTAVAIL: 'this machine has no such address: set the host to one of its own, or to 0.0.0.0',
  ENOTFOUND: 'the host name is unknown: set the host to an address of this machine',
};

/** The error for a listener that could not start, as one sentence that says what to do. */
export function listenFailure(
  section: string,
  host: string,
  port: number,
  cause: unknown,
): GatewayError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const advice = ADVICE[code] ?? errorText(cause);
  const at = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  return new GatewayError(
    'LISTENER_FAILED',
    `The ${section} listener cannot use ${at} because ${advice} (section \`${section}\` of the config).`,
    cause,
  );
}
