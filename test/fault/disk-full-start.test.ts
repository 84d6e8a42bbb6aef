import { expect, test } from 'vitest';
import { failuresOf, reportResult } from '../helpers/soak.ts';
import { createDiskFullRun } from './disk-full-run.ts';

const MIB_BYTES = 1024 * 1024;
/** Messages in the store when the disk is filled: more than LevelDB's log holds, and opening rewrites the log. */
const BACKLOG = 1_600;
/** As shipped. */
const BALLAST_BYTES = 16 * MIB_BYTES;

/** Why the gateway refused to start, undefined when it did start. */
async function refusalOf(start: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await start();
    return undefined;
  } catch (error) {
    return String(error);
  }
}

test.skipIf(process.getuid?.() !== 0).for([BALLAST_BYTES, 0])(
  'on a disk that is full at the start the gateway starts or says what to do, and works once there is room (ballast %i)',
  async (ballastBytes) => {
    const run = await createDiskFullRun({ reserveBytes: 0, ballastBytes });
    await run.begin();
    await run.site.proxy.cut();
    run.publish();
    await run.acknowledgedAtLeast(BACKLOG);
    await run.site.gateway.kill();
    await run.disk.fillWholly();

    const refusal = await refusalOf(() => run.site.start());
    if (refusal !== undefined) expect(refusal).toMatch(/free space/);
    await run.disk.free();
    if (refusal !== undefined) await run.site.start();
    await run.recovered();
    await run.killAndDrain();

    const verdict = run.ledger.verdict();
    const failures = failuresOf(verdict);
    const started = refusal === undefined ? 'started' : 'refused, saying what to do';
    reportResult({
      scenario: 'disk-full-start',
      title: 'The disk is full to the last byte when the gateway starts',
      rows: [{ name: `ballast ${ballastBytes}`, verdict, failures, extras: { started } }],
    });
    expect(failures).toEqual([]);
    if (ballastBytes > 0) expect(refusal).toBeUndefined();
  },
);
