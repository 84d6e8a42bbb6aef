import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { LevelStore } from './level-store.ts';

const MIB_BYTES = 1024 ** 2;
const silent = { onFinding: () => {}, onTrouble: () => {}, onRecovered: () => {} };

async function newFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'tidegate-packet-ids-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

async function openStore(path: string): Promise<LevelStore> {
  const config = { path, maxBytes: 64 * MIB_BYTES, reserveBytes: 0, ballastBytes: 0 };
  const store = new LevelStore(config, silent);
  await store.open();
  onTestFinished(() => store.close());
  return store;
}

test('identifiers are found again after the store was opened again, those that were removed are not', async () => {
  const path = await newFolder();
  const first = await openStore(path);
  expect(await first.packetIds.load()).toEqual([]);
  await Promise.all([
    first.packetIds.add({ clientId: 'a', packetId: 1, fingerprint: 4_294_967_295 }),
    first.packetIds.add({ clientId: 'a', packetId: 65_535, fingerprint: 0 }),
    first.packetIds.add({ clientId: 'Straße 7', packetId: 1, fingerprint: 3 }),
    first.packetIds.add({ clientId: 'ab', packetId: 2, fingerprint: 4 }),
  ]);
  await first.packetIds.remove('a', [1]);
  await first.close();

  const second = await openStore(path);
  const found = await second.packetIds.load();
  expect(found).toHaveLength(3);
  expect(found).toContainEqual({ clientId: 'a', packetId: 65_535, fingerprint: 0 });
  expect(found).toContainEqual({ clientId: 'Straße 7', packetId: 1, fingerprint: 3 });
  expect(found).toContainEqual({ clientId: 'ab', packetId: 2, fingerprint: 4 });
  await second.packetIds.remove('a', [65_535]);
  await second.packetIds.remove('ab', []);
  expect(await second.packetIds.load()).toHaveLength(2);
});

test('changes take effect in the order of the calls', async () => {
  const { packetIds } = await openStore(await newFolder());
  void packetIds.add({ clientId: 'a', packetId: 1, fingerprint: 1 });
  void packetIds.remove('a', [1]);
  await packetIds.add({ clientId: 'a', packetId: 1, fingerprint: 2 });
  expect(await packetIds.load()).toEqual([{ clientId: 'a', packetId: 1, fingerprint: 2 }]);
});

test('a change of a store that is closed is rejected', async () => {
  const store = await openStore(await newFolder());
  await store.close();
  const late = store.packetIds.add({ clientId: 'a', packetId: 1, fingerprint: 1 });
  await expect(late).rejects.toMatchObject({ code: 'STORE_CLOSED' });
});
