import { randomBytes } from 'node:crypto';
import { cp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { connectDevice } from '../helpers/limited-site.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { createSite, type Site } from '../helpers/site.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const PATIENCE = { withinMs: 30_000 };

/** A consumer that knows nothing but message-ids: of two messages with one id it takes the first. */
function dedupe(site: Site): { readonly taken: string[] } {
  const [taken, ids]: [string[], Set<string>] = [[], new Set()];
  site.consume(({ content, properties }) => {
    if (ids.has(properties.messageId)) return;
    ids.add(properties.messageId);
    taken.push(content.toString());
  });
  return { taken };
}

async function publish(site: Site, ...payloads: string[]): Promise<void> {
  const device = await connectDevice(site);
  for (const payload of payloads) {
    await device.publishAsync('devices/d/telemetry/t', payload, { qos: 1 });
  }
  await device.endAsync();
}

/** A run from start to stop, in which these are acknowledged and reach the broker. */
async function run(site: Site, ...payloads: string[]): Promise<void> {
  await site.start();
  await publish(site, ...payloads);
  await site.drained();
  expect(await site.gateway.stop()).toBe(0);
}

/** The folder of a stopped gateway, kept elsewhere. */
async function backUp(site: Site): Promise<string> {
  const backup = join(await tempDir(), 'backup');
  await cp(site.storeDir, backup, { recursive: true, preserveTimestamps: true });
  return backup;
}

/** What the gateway says of where its store comes from, since its last start. */
function originsTold(site: Site): unknown[] {
  const events = site.gateway.logs().map((line) => line['event']);
  return events.filter((event) => event === 'store-moved' || event === 'store-copied');
}

/** A command that runs another on what looks to it like another machine. Needs root. */
async function anotherMachine(): Promise<string[]> {
  const id = join(await tempDir(), 'machine-id');
  await writeFile(id, `${randomBytes(16).toString('hex')}\n`);
  const script = 'mount --bind "$0" /etc/machine-id && exec "$@"';
  return ['unshare', '--mount', 'sh', '-c', script, id];
}

async function putBack(site: Site, backup: string): Promise<void> {
  await rm(site.storeDir, { recursive: true, force: true });
  await cp(backup, site.storeDir, { recursive: true, preserveTimestamps: true });
}

test('a consumer that knows only message-ids misses nothing of a gateway whose store is put back from a backup', async () => {
  const site = await createSite({ amqpUrl: sharedAmqpUrl() });
  const consumer = dedupe(site);
  await run(site, 'one', 'two');
  const backup = await backUp(site);
  await run(site, 'three');
  expect(originsTold(site)).toEqual([]);
  await putBack(site, backup);
  await run(site, 'FIVE');
  expect(consumer.taken).toEqual(['one', 'two', 'three', 'FIVE']);
  expect(originsTold(site)).toEqual(['store-copied']);
  await site.start();
  expect(originsTold(site)).toEqual([]);
});

test('a consumer that knows only message-ids misses nothing of two gateways with a copy of one store', async () => {
  const site = await createSite({ amqpUrl: sharedAmqpUrl() });
  const consumer = dedupe(site);
  await run(site, 'before');
  const clone = await createSite({
    amqpUrl: sharedAmqpUrl(),
    mapping: { exchange: { name: site.queue, type: 'topic' }, queues: [] },
  });
  await putBack(clone, await backUp(site));
  await Promise.all([site.start(), clone.start([], { wrapper: await anotherMachine() })]);
  await publish(site, 'of the first');
  await publish(clone, 'of the second');
  await site.drained();
  await eventually(() => {
    expect(consumer.taken.sort()).toEqual(['before', 'of the first', 'of the second']);
  }, PATIENCE);
  expect(originsTold(site)).toEqual([]);
  expect(originsTold(clone)).toEqual(['store-moved']);
  const url = `http://127.0.0.1:${clone.adminPort}`;
  expect(await (await fetch(`${url}/readyz?verbose`)).text()).toContain('another machine');
  expect(await (await fetch(`${url}/api/status`)).json()).toMatchObject({
    store: { origin: 'moved' },
  });
  expect((await clone.metrics()).get('tidegate_store_moved')).toBe(1);
  expect((await site.metrics()).get('tidegate_store_moved')).toBe(0);
});

test('a consumer that knows only message-ids misses nothing of a gateway that begins with a new store', async () => {
  const site = await createSite({ amqpUrl: sharedAmqpUrl() });
  const consumer = dedupe(site);
  await run(site, 'old');
  await rm(site.storeDir, { recursive: true });
  await run(site, 'new');
  expect(consumer.taken).toEqual(['old', 'new']);
});
