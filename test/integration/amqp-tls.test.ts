import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type Server } from 'node:tls';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { checkTls, readTlsFiles, type TlsFiles } from '../../src/amqp/tls-files.ts';
import { startConnection, startLane } from '../helpers/amqp-test-lane.ts';
import { eventually } from '../helpers/eventually.ts';
import { freePort } from '../helpers/free-port.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';

const PATIENCE = { withinMs: 20_000 };
let dir: string;

const pem = (name: string): string => join(dir, name);
const openssl = (...args: string[]): void => {
  execFileSync('openssl', args, { stdio: 'ignore', cwd: dir });
};

/** A certificate and key with this common name, signed by `ca`; negative days have expired. */
function issue(name: string, host: string, days: number): void {
  const subject = ['-subj', `/CN=${host}`, '-addext', `subjectAltName=DNS:${host}`];
  const request = ['req', '-newkey', 'rsa:2048', '-nodes', '-keyout', `${name}.key`];
  openssl(...request, '-out', `${name}.csr`, ...subject);
  const authority = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'];
  const copied = ['-copy_extensions', 'copy', '-days', String(days), '-out', `${name}.pem`];
  openssl('x509', '-req', '-in', `${name}.csr`, ...authority, ...copied);
}

afterAll(() => rmSync(dir, { recursive: true, force: true }));

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'tidegate-tls-'));
  for (const name of ['ca', 'other-ca']) {
    const files = ['-keyout', `${name}.key`, '-out', `${name}.pem`, '-days', '2'];
    openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...files, '-subj', `/CN=${name}`);
  }
  issue('good', 'localhost', 2);
  issue('expired', 'localhost', -1);
  issue('elsewhere', 'broker.example', 2);
  issue('client', 'site-a', 2);
});

interface TlsBroker {
  readonly url: string;
  readonly server: Server;
}

/** The shared broker, behind a TLS listener of that certificate. It may ask for ours. */
async function tlsBroker(certificate: string, requestCert = false): Promise<TlsBroker> {
  const brokerPort = Number(new URL(sharedAmqpUrl()).port);
  const [key, cert] = [
    readFileSync(pem(`${certificate}.key`)),
    readFileSync(pem(`${certificate}.pem`)),
  ];
  const ca = readFileSync(pem('ca.pem'));
  const server = createServer(
    { key, cert, ca, requestCert, rejectUnauthorized: requestCert },
    (client) => {
      const broker = connectTcp(brokerPort, '127.0.0.1');
      client.pipe(broker).pipe(client);
      for (const socket of [client, broker]) {
        socket.on('error', () => undefined);
        socket.on('close', () => {
          client.destroy();
          broker.destroy();
        });
      }
    },
  );
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, resolve));
  onTestFinished(() => {
    server.close();
  });
  const url = new URL(sharedAmqpUrl());
  return {
    url: `amqps://${url.username || 'guest'}:${url.password || 'guest'}@localhost:${port}`,
    server,
  };
}

const from = (files: TlsFiles) => ({ tls: () => readTlsFiles(files) });

test('a broker whose certificate is in order, and asks for ours, is connected to', async () => {
  const { url } = await tlsBroker('good', true);
  const files = { ca: pem('ca.pem'), cert: pem('client.pem'), key: pem('client.key') };
  checkTls({ urls: [url], tls: files });
  const { connection } = startConnection({ urls: [url], ...from(files) });
  await startLane(connection).recorder.told('open');

  const without = startConnection({ urls: [url], ...from({ ca: pem('ca.pem') }) });
  await eventually(() => expect(without.troubles.length).toBeGreaterThan(0), PATIENCE);
  expect(without.connection.state().connected).toBe(false);
});

test.each([
  ['expired', 'ca.pem', /certificate has expired \(CERT_HAS_EXPIRED\)/],
  ['elsewhere', 'ca.pem', /ERR_TLS_CERT_ALTNAME_INVALID/],
  ['good', 'other-ca.pem', /TLS failed: .*certificate/],
])(
  'a certificate %s against %s is refused, and the reason told',
  async (certificate, ca, reason) => {
    const { url } = await tlsBroker(certificate);
    const { connection, troubles } = startConnection({ urls: [url], ...from({ ca: pem(ca) }) });
    await eventually(() => expect(connection.state().lastError).toMatch(reason), PATIENCE);
    expect(troubles[0]).toMatchObject({ code: 'AMQP_UNREACHABLE' });
  },
);

test('serverName is the name that is expected', async () => {
  const { url } = await tlsBroker('elsewhere');
  const files = { ca: pem('ca.pem'), serverName: 'broker.example' };
  const { connection } = startConnection({ urls: [url], ...from(files) });
  await startLane(connection).recorder.told('open');
});

test('files that were changed are taken at the next attempt, and one that is gone is told', async () => {
  const { url } = await tlsBroker('good');
  const ca = pem('rotated.pem');
  const { connection } = startConnection({ urls: [url], ...from({ ca }) });
  const told = (text: string): Promise<void> =>
    eventually(() => expect(connection.state().lastError).toContain(text), PATIENCE);
  await told(`amqp.tls.ca: ${ca} cannot be read (ENOENT)`);
  copyFileSync(pem('other-ca.pem'), ca);
  await told('TLS failed');
  copyFileSync(pem('ca.pem'), ca);
  await startLane(connection).recorder.told('open');
});

test('a config whose files cannot be used is refused with the key', () => {
  const urls = ['amqps://broker.example'];
  const fault = (tls: TlsFiles, at: readonly string[] = urls): string => {
    try {
      checkTls({ urls: at, tls });
      return 'none';
    } catch (error) {
      return String(error);
    }
  };
  expect(fault({ ca: pem('nowhere.pem') })).toMatch(/amqp\.tls\.ca: .* cannot be read \(ENOENT\)/);
  expect(fault({ ca: pem('good.csr'), cert: '/dev/null', key: pem('good.key') })).toMatch(
    /amqp\.tls\.cert: \/dev\/null is no PEM file/,
  );
  expect(fault({ cert: pem('good.pem'), key: pem('client.key') })).toMatch(/key values mismatch/);
  expect(fault({ ca: pem('ca.pem') }, ['amqp://broker.example'])).toMatch(/has no effect/);
  expect(fault({ ca: pem('ca.pem') })).toBe('none');
});
