/**
 * Uses a store in every way that writes, one after the other, and says on standard output what was told to be durable.
 * A call on `<folder>/phase/<name>` marks in a trace where each way begins. Run: `node write-sweep-driver.mjs FOLDER`.
 */
import { accessSync } from 'node:fs';
import { join } from 'node:path';
import { LevelStore } from '../../dist/store/level-store.js';

const [folder] = process.argv.slice(2);
const LANE = 'lane';
/** What is given up when the disk fails is asked for again, as the gateway does. */
const TRIES = 5;
const NOTE = {
  reason: 'unroutable',
  detail: 'NO_ROUTE',
  firstAttemptMs: 1,
  lastAttemptMs: 1,
  attempts: 1,
};

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const findings = [];
const store = new LevelStore(
  { path: join(folder, 'store'), maxBytes: 1024 ** 3, reserveBytes: 0, ballastBytes: 0 },
  { onFinding: (found) => findings.push(found.kind), onTrouble: () => {}, onRecovered: () => {} },
);

function message(seq) {
  const payload = Buffer.from(`payload ${seq}`);
  const rest = { qos: 1, dup: false, retain: false, clientId: 'c', receivedAtMs: 1, elapsedMs: 1 };
  return {
    gatewayId: 'g',
    epoch: store.epoch,
    run: store.run,
    seq,
    routingKey: 'k',
    topic: 't',
    payload,
    ...rest,
  };
}

async function phase(name, act) {
  try {
    accessSync(join(folder, 'phase', name));
  } catch {
    // It is not there: only the call counts.
  }
  for (let tries = 1; ; tries += 1) {
    try {
      return await act();
    } catch (error) {
      if (tries === TRIES) throw error;
    }
  }
}

let log;
const append = async (seq) => {
  await new Promise((appended, failed) => log.append(message(seq), { appended, failed }));
  say({ appended: seq });
};

await phase('start', () => store.open());
await phase('naming', async () => {
  await store.lanes(['other', LANE]);
  log = await store.lane(LANE);
});
await phase('append', async () => {
  for (const seq of [1, 2, 3, 4, 5]) await append(seq);
});
await phase('packet-id', async () => {
  await store.packetIds.add({ clientId: 'c', packetId: 1, fingerprint: 1 });
  await store.packetIds.add({ clientId: 'c', packetId: 2, fingerprint: 2 });
  say({ packetId: 2 });
});
await phase('packet-id-end', () => store.packetIds.remove('c', [1]));
await phase('park', async () => {
  for (const seq of [101, 102, 103]) {
    await log.park(message(seq), NOTE);
    say({ parked: seq });
  }
});
await phase('release', () => log.unpark(1));
await phase('discard', async () => {
  say({ discarding: 102 });
  await log.discardParked([message(102)]);
});
await phase('note', () => store.noteRun({ machine: 'm' }));
await phase('told', () => store.previousRunsTold());
await phase('mark', async () => {
  log.settle(3);
  await log.tidy(false);
});
await phase('clear', () => log.tidy(true));
await phase('released-note', async () => {
  log.settle(6);
  await log.tidy(false);
});
await phase('compact', async () => {
  await log.tidy(true);
  await log.giveSpaceBack('urgent');
});
await phase('append-again', async () => {
  for (const seq of [6, 7, 8, 9, 10]) await append(seq);
});
await phase('end', () => store.close(new Map([[LANE, 10]])));
say({ findings });
