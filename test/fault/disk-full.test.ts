import { expect, test } from 'vitest';
import { failuresOf, reportResult, scale } from '../helpers/soak.ts';
import { createDiskFullRun } from './disk-full-run.ts';

const MIB_BYTES = 1024 * 1024;
const BALLAST_BYTES = 2 * MIB_BYTES;
const RESERVES = [0, 2 * MIB_BYTES] as const;
/** Of both reserves together. */
const CYCLES = scale('disk-full-cycles', { short: 2, long: 20 });
const LIMIT_MS = 10 * 60_000;

test.skipIf(process.getuid?.() !== 0).for(RESERVES)(
  'a full disk stops PUBACKs; freed, all goes on without a restart and survives a SIGKILL (reserve %i)',
  { timeout: LIMIT_MS },
  async (reserveBytes) => {
    const run = await createDiskFullRun({ reserveBytes, ballastBytes: BALLAST_BYTES });
    await run.begin();
    const cycles = Math.ceil(CYCLES / RESERVES.length);
    for (let cycle = 0; cycle < cycles; cycle++) {
      await run.site.proxy.cut();
      await run.disk.fillMostly();
      const before = run.acknowledged;
      run.publish();
      await run.unwritable();
      expect(run.acknowledged).toBeGreaterThan(before);
      await run.disk.free();
      await run.recovered();
      await run.killAndDrain();
    }
    const verdict = run.ledger.verdict();
    const failures = failuresOf(verdict);
    reportResult({
      scenario: 'disk-full',
      title: 'The disk fills to the end, is freed, and a SIGKILL follows',
      rows: [{ name: `${cycles} cycles, reserve ${reserveBytes}`, verdict, failures }],
    });
    expect(failures).toEqual([]);
  },
);
