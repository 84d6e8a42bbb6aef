import { expect } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { startGateway } from '../helpers/gateway-process.ts';
import { DeliveryLedger } from '../helpers/ledger.ts';
import { collectEvidence, type PubackEvidence } from '../helpers/power-cut-evidence.ts';
import { markerOf, markersIn, numberOf } from '../helpers/power-cut-marker.ts';
import { createSite, LANE, type Site } from '../helpers/site.ts';
import { readTrace, type SystemCall, traceInto } from '../helpers/strace-log.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { flood } from './flood-client.ts';

const DEVICES = 2;
const PADDING = '.'.repeat(1_000);
/** The recorded gateway is several times slower than a free one. */
const PATIENCE_MS = 60_000;
/** Written at each start, so a small one keeps the trace small. */
const BALLAST_BYTES = 64 * 1024;

export interface RecordingOptions {
  readonly amqpUrl: string;
  readonly mode: 'adaptive' | 'disk-first';
  /** Messages of each device in each of the four phases. */
  readonly messages: number;
  /** Options of node for the recorded gateways. */
  readonly execArgv?: readonly string[];
}

/** All that two runs of a gateway did to its store and said on its sockets. */
export interface Recording {
  readonly storeDir: string;
  readonly calls: readonly SystemCall[];
  readonly evidence: readonly PubackEvidence[];
  /** What became of the messages without a power cut. */
  readonly ledger: DeliveryLedger;
}

/**
 * Records a gateway from an empty store on: a good uplink, none, a SIGKILL, none, and a good one again until all is
 * settled; devices publish all the time.
 */
export async function record(options: RecordingOptions): Promise<Recording> {
  const dir = await tempDir('recording');
  const storeDir = `${dir}/store`;
  const site = await createSite({
    amqpUrl: options.amqpUrl,
    config: {
      store: { path: storeDir, reserveBytes: 0, ballastBytes: BALLAST_BYTES },
      delivery: { mode: options.mode, directAfterMs: 50 },
    },
  });
  const phases = new Phases(site, options.messages);
  const run = async (file: string, during: () => Promise<void>): Promise<void> => {
    const execArgv = options.execArgv ?? [];
    const gateway = await startGateway({
      config: site.config,
      dir,
      execArgv,
      wrapper: traceInto(file),
    });
    await during();
    await gateway.kill();
  };
  await run(`${dir}/first`, async () => {
    await phases.publish();
    await site.proxy.cut();
    await phases.publish();
  });
  await run(`${dir}/second`, async () => {
    await phases.publish();
    await site.proxy.restore();
    await phases.publish();
    await settled(site);
  });
  await phases.drain();
  const first = await readTrace(`${dir}/first`, 1);
  const firstLine = 1 + Math.max(0, ...lines(first));
  const calls = [...first, ...(await readTrace(`${dir}/second`, firstLine))];
  const evidence = collectEvidence({
    calls,
    dbDir: `${storeDir}/db`,
    mqttPort: site.mqttPort,
    amqpPort: site.proxy.port,
  });
  return { storeDir, calls, evidence, ledger: phases.ledger };
}

/** Devices that publish numbered messages, phase by phase, and the consumer of them. */
class Phases {
  readonly ledger: DeliveryLedger = new DeliveryLedger();
  readonly #site: Site;
  readonly #messages: number;
  #phase = 0;

  constructor(site: Site, messages: number) {
    this.#site = site;
    this.#messages = messages;
  }

  async publish(): Promise<void> {
    this.#phase += 1;
    const floods = Array.from({ length: DEVICES }, (_, device) => {
      const first = (this.#phase * DEVICES + device) * this.#messages;
      const idOf = (counter: number): string => markerOf(first + counter);
      return flood({
        port: this.#site.mqttPort,
        clientId: `device-${device + 1}`,
        messageCount: this.#messages,
        payload: (counter) => `${idOf(counter)}${PADDING}${idOf(counter)}`,
        onSent: (counter) => this.ledger.attempted(idOf(counter)),
        onAcknowledged: (counter) => this.ledger.acknowledged(idOf(counter)),
      });
    });
    await Promise.all(floods);
  }

  /** Runs the gateway once more, unrecorded, and sees all through to the consumer. */
  async drain(): Promise<void> {
    await this.#site.start();
    this.#site.consume((message) => {
      const [id = 'no marker'] = markersIn(message.content.toString('latin1'));
      const deviceKey: string = message.properties.headers?.['x-client-id'];
      const { messageId } = message.properties;
      this.ledger.delivered({ id, messageId, deviceKey, counter: numberOf(id) });
    });
    await this.#site.drained();
  }
}

async function settled(site: Site): Promise<void> {
  await eventually(
    async () => {
      const values = await site.metrics();
      expect(values.get(`tidegate_lane_backlog_messages{lane="${LANE}"}`)).toBe(0);
    },
    { withinMs: PATIENCE_MS, everyMs: 100 },
  );
}

/** Numbers of the lines of the calls that have ended. */
function lines(calls: readonly SystemCall[]): number[] {
  return calls
    .slice(-1_000)
    .flatMap(({ startLine, endLine }) => (Number.isFinite(endLine) ? [endLine] : [startLine]));
}
