import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { connectDevice } from '../helpers/limited-site.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { createSite, type Site } from '../helpers/site.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const PATIENCE = { withinMs: 30_000 };

/** A consumer that knows nothing but message-ids: of two messages with one id it takes the first. */
function dedupe(site: Site): { readonly taken: string[]; readonly ids: Set<string> } {
  const [taken, ids]: [string[], Set<string>] = [[], new Set()];
  site.consume(({ content, properties }) => {
    if (ids.has(properties.messageId)) return;
    ids.add(properties.messageId);
    taken.push(content.toString());
  });
  return { taken, ids };
}

async function publish(site: Site, ...payloads: string[]): Promise<void> {
  const device = await connectDevice(site);
  for (const payload of payloads) {
    await device.publishAsync('devices/d/telemetry/t', payload, { qos: 1 });
  }
  await device.endAsync();
}

/** A run from start to stop, in which these are acknowledged. */
async function run(site: Site, ...payloads: string[]): Promise<void> {
  await site.start();
  await publish(site, ...payloads);
  expect(await site.gateway.stop()).toBe(0);
}

/** The folder of a stopped gateway, kept elsewhere. */
async function backUp(site: Site): Promise<string> {
  const backup = join(await tempDir(), 'backup');
  await cp(site.storeDir, backup, { recursive: true, preserveTimestamps: true });
  return backup;
}

async function putBack(site: Site, backup: string): Promise<void> {
  await rm(site.storeDir, { recursive: true, force: true });
  await cp(backup, site.storeDir, { recursive: true, preserveTimestamps: true });
}

test('a consumer that knows only message-ids misses nothing of a gateway whose store is put back from a backup', async () => {
  const site = await createSite({ amqpUrl: sharedAmqpUrl() });
  await run(site, 'one', 'two');
  const backup = await backUp(site);
  const consumer = dedupe(site);
  await run(site, 'three');
  await putBack(site, backup);
  await run(site, 'FIVE');
  await site.start();
  await site.drained();
  await eventually(() => {
    for (const payload of ['one', 'two', 'three', 'FIVE'])
      expect(consumer.taken).toContain(payload);
  }, PATIENCE);
  expect(consumer.ids.size).toBe(4);
});

test('a consumer that knows only message-ids misses nothing of two gateways with a copy of one store', async () => {
  const site = await createSite({ amqpUrl: sharedAmqpUrl() });
  await run(site, 'before');
  const clone = await createSite({
    amqpUrl: sharedAmqpUrl(),
    mapping: { exchange: { name: site.queue, type: 'topic' }, queues: [] },
  });
  await putBack(clone, await backUp(site));
  const consumer = dedupe(site);
  await Promise.all([site.start(), clone.start()]);
  await publish(site, 'of the first');
  await publish(clone, 'of the second');
  await site.drained();
  await eventually(() => {
    expect(consumer.taken.sort()).toEqual(['before', 'of the first', 'of the second']);
  }, PATIENCE);
});

test('a consumer that knows only message-ids misses nothing of a gateway that begins with a new store', async () => {
  const site = await createSite({ amqpUrl: sharedAmqpUrl() });
  const consumer = dedupe(site);
  await run(site, 'old');
  await site.start(); // what has not reached the broker in the first run does now
  await site.drained();
  expect(await site.gateway.stop()).toBe(0);
  await rm(site.storeDir, { recursive: true });
  await run(site, 'new');
  await site.start();
  await site.drained();
  await eventually(() => expect(consumer.taken).toEqual(['old', 'new']), PATIENCE);
});
