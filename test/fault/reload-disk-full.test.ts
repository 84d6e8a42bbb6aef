import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { DeliveryLedger } from '../helpers/ledger.ts';
import { sharedAmqpUrl } from '../helpers/shared-rabbit.ts';
import { createSite, type Site } from '../helpers/site.ts';
import { failuresOf } from '../helpers/soak.ts';
import { flood } from './flood-client.ts';
import { mountSmallDisk } from './small-disk.ts';

const MIB_BYTES = 1024 * 1024;
/** More names, and longer ones, than the last page of LevelDB's log has room for. */
const NEW_MAPPINGS = 80;
const NAME_CHARS = 60;
const BEFORE = 100;
const AFTER = 5_000;
const PADDING = randomBytes(100).toString('base64');
const PATIENCE = { withinMs: 30_000, everyMs: 20 };
const ENDS = ['SIGKILL', 'SIGTERM'] as const;

interface Payload {
  readonly client: string;
  readonly counter: number;
}

/** Publishes so many messages and resolves when all are acknowledged. */
function acknowledge(
  site: Site,
  ledger: DeliveryLedger,
  client: string,
  count: number,
): Promise<void> {
  return flood({
    port: site.mqttPort,
    clientId: client,
    messageCount: count,
    payload: (counter) => JSON.stringify({ client, counter, padding: PADDING }),
    onSent: (counter) => ledger.attempted(`${client}/${counter}`),
    onAcknowledged: (counter) => ledger.acknowledged(`${client}/${counter}`),
  });
}

/** Asks for a config with many mappings more, to which no device publishes. */
async function askForMore(site: Site): Promise<void> {
  const { mappings } = site.config as { mappings: readonly object[] };
  const more = Array.from({ length: NEW_MAPPINGS }, (_, index) => ({
    name: `spare-${index + 1}-`.padEnd(NAME_CHARS, 'x'),
    filter: `spare/${index + 1}/#`,
    exchange: { name: site.queue, type: 'topic' },
  }));
  const config = { ...site.config, mappings: [...mappings, ...more] };
  await writeFile(join(site.storeDir, '..', 'config.yaml'), JSON.stringify(config));
  process.kill(site.gateway.pid, 'SIGHUP');
}

function answerToReload(site: Site): string | undefined {
  return site.gateway
    .logs()
    .map(({ event }) => String(event))
    .find((event) => event.startsWith('config-reload'));
}

/** What was told of the store that only damage should tell. */
function findings(site: Site): string[] {
  return site.gateway
    .logs()
    .filter(({ event, kind, level }) => {
      const name = String(event);
      const isOfStore = name.startsWith('store-') && !/trouble|recovered|checkpoint/.test(name);
      return isOfStore || (name === 'gap' && kind !== 'epoch-ended') || level === 'fatal';
    })
    .map((line) => JSON.stringify(line));
}

test.skipIf(process.getuid?.() !== 0).for(ENDS)(
  'a reload that meets a full disk costs nothing that is acknowledged after it, over a %s',
  async (end) => {
    const disk = await mountSmallDisk();
    const store = { path: `${disk.folder}/store`, reserveBytes: 0, ballastBytes: 2 * MIB_BYTES };
    const site = await createSite({
      amqpUrl: sharedAmqpUrl(),
      config: { store, delivery: { mode: 'disk-first' } },
    });
    const ledger = new DeliveryLedger();
    await site.start();
    await site.proxy.cut();
    await acknowledge(site, ledger, 'before', BEFORE);
    await disk.fillWholly();
    await askForMore(site);
    await eventually(async () => {
      const isWritable = (await site.metrics()).get('tidegate_store_writable') === 1;
      expect(answerToReload(site) !== undefined || !isWritable, 'the disk is felt').toBe(true);
    }, PATIENCE);
    await disk.free();
    await eventually(() => expect(answerToReload(site)).toBeDefined(), PATIENCE);
    await acknowledge(site, ledger, 'after', AFTER);
    const found = findings(site);

    if (end === 'SIGKILL') await site.gateway.kill();
    else await site.gateway.stop();
    await site.start();
    await site.proxy.restore();
    site.consume((message) => {
      const { client, counter } = JSON.parse(message.content.toString()) as Payload;
      const { messageId } = message.properties;
      ledger.delivered({ id: `${client}/${counter}`, messageId, deviceKey: client, counter });
    });
    await site.drained();
    const verdict = ledger.verdict();
    expect([...failuresOf(verdict), ...found, ...findings(site)]).toEqual([]);
    expect(verdict.delivered).toBe(BEFORE + AFTER);
    expect(await site.laneMetric('damaged_total')).toBe(0);
  },
);
