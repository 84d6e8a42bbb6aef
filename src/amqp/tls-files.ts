import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { errorText, GatewayError } from '../shared/errors.ts';
import type { TlsMaterial } from './dial.ts';

/** Key material of `amqps://` as paths of PEM files. */
export interface TlsFiles {
  /** Certificates to trust instead of the system's. */
  readonly ca?: string;
  /** Our own certificate and key, for brokers that ask for one. */
  readonly cert?: string;
  readonly key?: string;
  /** Name to expect in the broker's certificate. Default: the host of the URL. */
  readonly serverName?: string;
}

const FILES = ['ca', 'cert', 'key'] as const;

/**
 * Reads the files as they are now, so that a certificate that was renewed is taken by the next connection.
 * @throws {Error} naming the config key and the path of one that cannot be read.
 */
export function readTlsFiles(files: TlsFiles): TlsMaterial {
  const contents = FILES.flatMap((name) => {
    const path = files[name];
    return path === undefined ? [] : [[name, readPem(name, path)]];
  });
  const { serverName } = files;
  return {
    ...Object.fromEntries(contents),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

/**
 * Makes sure that the files can be used now, and that there is a connection to use them for.
 * @throws {GatewayError} CONFIG_INVALID, with the config key.
 */
export function checkTls({ urls, tls }: { urls: readonly string[]; tls?: TlsFiles }): void {
  if (tls === undefined) return;
  if (!urls.some((url) => url.startsWith('amqps:'))) {
    const text = 'amqp.tls has no effect: none of amqp.urls is amqps://';
    throw new GatewayError('CONFIG_INVALID', text);
  }
  let material: TlsMaterial;
  try {
    material = readTlsFiles(tls);
  } catch (error) {
    throw new GatewayError('CONFIG_INVALID', errorText(error), error);
  }
  try {
    createSecureContext(material);
  } catch (error) {
    const text = `amqp.tls: the files are no usable key material: ${errorText(error)}`;
    throw new GatewayError('CONFIG_INVALID', text, error);
  }
}

function readPem(name: string, path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : errorText(error);
    throw new Error(`amqp.tls.${name}: ${path} cannot be read (${code})`);
  }
  // Node takes any text for a list of certificates, and an empty list trusts nobody.
  if (text.includes('-----BEGIN ')) return text;
  throw new Error(`amqp.tls.${name}: ${path} is no PEM file`);
}
