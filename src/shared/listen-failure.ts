import { errorText, GatewayError } from './errors.ts';

/** What to do about each way a listener can fail to start. */
const ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process has that port: stop it, or set another port',
  EACCES:
    'this user may not use that port: take one from 1024 on, or allow it (CAP_NET_BIND_SERVICE)',
  EADDRNOTAVAIL: 'this machine has no such address: set the host to one of its own, or to 0.0.0.0',
  ENOTFOUND: 'the host name is unknown: set the host to an address of this machine',
};

/** A listener as the config has it. */
export interface FailedListener {
  /** As people call it: `MQTT`, `admin`. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Where it stands in the config, to be read after the advice. */
  readonly place: string;
}

/** The error for a listener that could not start, as one sentence that says what to do. */
export function listenFailure(listener: FailedListener, cause: unknown): GatewayError {
  const { name, host, port, place } = listener;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const advice = ADVICE[code] ?? errorText(cause);
  const at = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const text = `The ${name} listener cannot use ${at} because ${advice} (${place}).`;
  return new GatewayError('LISTENER_FAILED', text, cause);
}
