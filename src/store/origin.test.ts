import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { tempDir } from '../../test/helpers/temp-dir.ts';
import type { RunNote } from '../delivery/ports.ts';
import { type StoreOrigin, traceOrigin } from './origin.ts';

const HERE = 'id=aaaaaaaaaaaaaaaa';
const ELSEWHERE = 'id=bbbbbbbbbbbbbbbb';
/** Made before this process, as the checkpoint of a store that was used before. */
const OLD_FILE = fileURLToPath(new URL('../../package.json', import.meta.url));

/** A store that this is known of, in its third run. */
class NotedStore {
  readonly epoch = 3;
  readonly runs = new Map<number, RunNote>();
  isBroken = false;

  constructor(...notes: RunNote[]) {
    for (const note of notes) this.runs.set(note.epoch, note);
  }

  async noteRun(change: Partial<RunNote>): Promise<void> {
    if (this.isBroken) throw new Error('ENOSPC');
    this.runs.set(this.epoch, { ...change, epoch: this.epoch });
  }
}

async function usedFolder(): Promise<string> {
  const folder = await tempDir();
  await symlink(OLD_FILE, join(folder, 'checkpoint'));
  return folder;
}

const trace = (store: NotedStore, folder: string, machine?: string): Promise<StoreOrigin> =>
  traceOrigin(store, folder, async () => machine);

/** When the checkpoint of that folder was made, as a run notes it. */
async function birthNotedIn(folder: string): Promise<string> {
  const store = new NotedStore();
  await trace(store, folder);
  return store.runs.get(3)?.birth ?? expect.fail('nothing was noted');
}

test('a store that nothing was noted in is of unknown origin, and has notes from then on', async () => {
  const store = new NotedStore({ epoch: 2, run: 'aaaaaaaaaaaaaaaa' });
  expect(await trace(store, await usedFolder(), HERE)).toBe('unknown');
  expect(store.runs.get(3)).toMatchObject({ machine: HERE, birth: expect.stringMatching(/^\d+$/) });
});

test.each<[string, StoreOrigin, Partial<RunNote>]>([
  ['on this machine, these files', 'same', { machine: HERE }],
  ['on a machine nobody could tell, these files', 'same', {}],
  ['on another machine, these files', 'moved', { machine: ELSEWHERE }],
  ['on another machine, other files', 'moved', { machine: ELSEWHERE, birth: '1' }],
  ['on this machine, other files', 'copied', { machine: HERE, birth: '1' }],
])('a store last used %s: %s', async (_where, origin, noted) => {
  const folder = await usedFolder();
  const birth = await birthNotedIn(folder);
  // The run before this one ended before it could note anything.
  const store = new NotedStore({ epoch: 1, birth, ...noted }, { epoch: 2 });
  expect(await trace(store, folder, HERE)).toBe(origin);
});

test('a checkpoint that was missing, or made anew by this start, tells nothing of copies', async () => {
  const folder = await tempDir();
  const noted = { epoch: 2, machine: HERE, birth: '1' };
  expect(await trace(new NotedStore(noted), folder, HERE)).toBe('unknown');
  await writeFile(join(folder, 'checkpoint'), '');
  expect(await trace(new NotedStore(noted), folder, HERE)).toBe('unknown');
});

test('a note that cannot be written stops nothing', async () => {
  const store = new NotedStore({ epoch: 2, machine: ELSEWHERE });
  store.isBroken = true;
  expect(await trace(store, await usedFolder(), HERE)).toBe('moved');
});
