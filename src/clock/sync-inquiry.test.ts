import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { tempDir } from '../../test/helpers/temp-dir.ts';
import { askSystem } from './sync-inquiry.ts';

/** Of `chronyc -n -c tracking`, but for its last field. */
const TRACKING = 'C0248F97,192.36.143.151,2,1780000000.1,0.0,0.0,0.0,1.2,0.0,0.0,0.0,0.0,64.2';

/** Nothing but these commands is there; each is a shell script. */
async function commands(scripts: Readonly<Record<string, string>>): Promise<void> {
  const dir = await tempDir('commands');
  for (const [name, script] of Object.entries(scripts)) {
    await writeFile(join(dir, name), `#!/bin/sh\n${script}\n`);
    await chmod(join(dir, name), 0o755);
  }
  vi.stubEnv('PATH', dir);
  onTestFinished(() => void vi.unstubAllEnvs());
}

const NO_SYSTEMD = { timedatectl: 'echo "not booted with systemd" >&2; exit 1' };

test.each<[boolean | undefined, string, Readonly<Record<string, string>>]>([
  [true, 'timedatectl says yes', { timedatectl: 'echo yes' }],
  [false, 'timedatectl says no', { timedatectl: 'echo no', chronyc: `echo ${TRACKING},Normal` }],
  [true, 'chrony is synchronised', { ...NO_SYSTEMD, chronyc: `echo ${TRACKING},Normal` }],
  [false, 'chrony is not', { ...NO_SYSTEMD, chronyc: `echo '${TRACKING},Not synchronised'` }],
  [undefined, 'neither works', { ...NO_SYSTEMD, chronyc: 'exit 1' }],
  [undefined, 'there is none', {}],
])('the answer is %s when %s', async (answer, _when, scripts) => {
  await commands(scripts);
  expect(await askSystem(new AbortController().signal)).toBe(answer);
});

test('a command that does not end is given up', async () => {
  await commands({ timedatectl: 'while :; do :; done' });
  expect(await askSystem(AbortSignal.timeout(100))).toBe(undefined);
});
