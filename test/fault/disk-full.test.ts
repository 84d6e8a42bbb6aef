import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { connectAsync } from 'mqtt';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { DeliveryLedger, format } from '../helpers/ledger.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { createSite, type Site } from '../helpers/site.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;
const DISK_BYTES = 40 * MIB;
const FILLER_BYTES = 26 * MIB;
const PAYLOAD = 'x'.repeat(4 * 1024);
const WINDOW = 50;
const PATIENCE_MS = 30_000;

/** A disk of its own, small enough to be filled. */
async function smallDisk(): Promise<string> {
  const folder = await tempDir('disk');
  await run('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', folder]);
  onTestFinished(async () => {
    await run('umount', ['--lazy', folder]);
  });
  return folder;
}

/** A device that always has a window of messages under way, until it is told to stop. */
async function startDevice(site: Site, ledger: DeliveryLedger): Promise<{ stop(): void }> {
  const url = `mqtt://127.0.0.1:${site.mqttPort}`;
  const client = await connectAsync(url, {
    clientId: 'device',
    clean: false,
    reconnectPeriod: 100,
  });
  onTestFinished(() => client.endAsync(true));
  let counter = 0;
  let isSending = true;
  const sendNext = (): void => {
    if (!isSending) return;
    counter += 1;
    const id = `device/${counter}`;
    ledger.attempted(id);
    const payload = JSON.stringify({ device: 'device', counter, padding: PAYLOAD });
    client.publishAsync('devices/device/telemetry/bulk', payload, { qos: 1 }).then(
      () => {
        ledger.acknowledged(id);
        sendNext();
      },
      () => undefined, // ended with the test
    );
  };
  for (let sent = 0; sent < WINDOW; sent += 1) sendNext();
  return {
    stop: () => {
      isSending = false;
    },
  };
}

async function isWritable(site: Site): Promise<boolean> {
  return (await site.metrics()).get('tidegate_store_writable') === 1;
}

// Without a reserve the disk fills to the last byte and LevelDB's writes fail; with one they never begin.
test.skipIf(process.getuid?.() !== 0).for([0, 2 * MIB])(
  'a full disk stops PUBACKs; freed, all goes on without a restart and survives a SIGKILL (reserve %i)',
  async (reserveBytes) => {
    const disk = await smallDisk();
    const filler = `${disk}/filler`;
    await writeFile(filler, Buffer.alloc(FILLER_BYTES));
    const site = await createSite({
      amqpUrl: sharedAmqpUrl(),
      config: { store: { path: `${disk}/store`, reserveBytes, ballastBytes: 2 * MIB } },
    });
    await site.start();
    await site.proxy.cut();
    const ledger = new DeliveryLedger();
    const device = await startDevice(site, ledger);

    const isFull = async (): Promise<void> => expect(await isWritable(site)).toBe(false);
    await eventually(isFull, { withinMs: PATIENCE_MS, everyMs: 20 });
    const whenFull = ledger.verdict().acknowledged;
    await rm(filler);
    await eventually(
      async () => {
        expect(await isWritable(site)).toBe(true);
        expect(ledger.verdict().acknowledged).toBeGreaterThan(whenFull + 500);
      },
      { withinMs: PATIENCE_MS, everyMs: 20 },
    );
    await site.gateway.kill();
    await site.start();
    await site.proxy.restore();
    site.consume((message) => {
      const { counter } = JSON.parse(message.content.toString()) as { counter: number };
      const { messageId } = message.properties;
      ledger.delivered({ id: `device/${counter}`, messageId, deviceKey: 'device', counter });
    });
    device.stop();
    await eventually(() => expect(ledger.verdict().acknowledged).toBe(ledger.verdict().attempted), {
      withinMs: PATIENCE_MS,
    });
    await site.drained();
    const verdict = ledger.verdict();
    process.stdout.write(`disk full, reserve ${reserveBytes}: ${format(verdict)}\n`);
    expect(whenFull).toBeGreaterThan(0);
    expect(verdict).toMatchObject({ lost: 0, unexpected: 0, confused: 0, reordered: 0 });
  },
);
