import { rmSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../test/helpers/free-port.ts';
import { DeliveryLedger } from '../../test/helpers/ledger.ts';
import { startRabbitNode } from '../../test/helpers/rabbitmq-node.ts';
import { startTcpProxy, type TcpProxy } from '../../test/helpers/tcp-proxy.ts';
import { Fleet } from '../fleet.ts';
import { BacklogMeter } from './backlog-meter.ts';
import { Checker, ledgerId } from './checker.ts';
import { gatewayConfig, TELEMETRY } from './gateway-config.ts';
import { GatewayProcess } from './gateway-process.ts';

/** A small site: what twenty machines with a few sensors each send, and then some. */
export const DEVICES = 20;
export const RATE_PER_SECOND = 300;
/** Any number will do; a fixed one makes each demo send the same readings. */
const SEED = 2024;

export interface StageOptions {
  /** The gateway's script. */
  readonly script: string;
  /** Told of each thing that is set up. */
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** All that takes part: broker, uplink, gateway, backend service, devices. */
export class Stage {
  readonly ledger: DeliveryLedger = new DeliveryLedger();
  readonly #options: StageOptions;
  readonly #closers: (() => Promise<void> | void)[] = [];
  #parts: Parts | undefined;

  constructor(options: StageOptions) {
    this.#options = options;
  }

  get parts(): Parts {
    if (!this.#parts) throw new Error('the stage is not open');
    return this.#parts;
  }

  /** Sets all up and starts the fleet. After a failure `close` tidies up what there is. */
  async open(): Promise<void> {
    const { say } = this.#options;
    const dir = await this.#makeDir();
    say('starting a private RabbitMQ (about 10 s)');
    const node = this.#own(await startRabbitNode({ dir: join(dir, 'rabbitmq') }), (n) => n.stop());
    say(`broker    ${node.url}`);
    const uplink = this.#own(await startTcpProxy({ targetPort: node.port }), (p) => p.close());
    say(`uplink    127.0.0.1:${uplink.port} → broker (a proxy that can be cut)`);
    const { gateway, mqttPort, adminUrl } = await this.#openGateway(dir, uplink.port);
    say(`gateway   MQTT on 127.0.0.1:${mqttPort}, admin on ${adminUrl}/api/status`);
    const checker = new Checker({ url: node.url, queue: TELEMETRY, ledger: this.ledger });
    this.#own(checker, (c) => c.stop());
    await checker.start(this.#options.signal);
    const meter = this.#own(new BacklogMeter(adminUrl, TELEMETRY), (m) => m.stop());
    meter.start();
    const fleet = this.#own(this.#fleet(mqttPort), (f) => f.stop());
    fleet.start();
    say(`fleet     ${DEVICES} devices, ${RATE_PER_SECOND} messages/s, QoS 1`);
    this.#parts = { uplink, gateway, checker, meter, fleet, mqttPort, amqpUrl: node.url };
  }

  /** Ends and removes everything, in reverse. Each thing gets its turn, also when one fails. */
  async close(): Promise<void> {
    for (let closer = this.#closers.pop(); closer; closer = this.#closers.pop()) {
      try {
        await closer();
      } catch (error) {
        this.#options.say(`could not tidy up: ${String(error)}`);
      }
    }
  }

  async #makeDir(): Promise<string> {
    const dir = await mkdtemp(join(tmpdir(), 'tidegate-demo-'));
    const removeAtExit = () => rmSync(dir, { recursive: true, force: true });
    process.on('exit', removeAtExit); // for a second Ctrl-C, which does not wait
    return this.#own(dir, () => rm(dir, { recursive: true, force: true, maxRetries: 5 }));
  }

  async #openGateway(dir: string, uplinkPort: number) {
    const mqttPort = await freePort();
    const adminPort = await freePort();
    const configPath = join(dir, 'tidegate.yaml');
    const amqpUrl = `amqp://guest:guest@127.0.0.1:${uplinkPort}`;
    const storePath = join(dir, 'store');
    await writeFile(configPath, gatewayConfig({ mqttPort, adminPort, amqpUrl, storePath }));
    const { script } = this.#options;
    const gateway = new GatewayProcess({ script, configPath, logPath: join(dir, 'gateway.log') });
    this.#own(gateway, (g) => g.stop());
    await gateway.start();
    return { gateway, mqttPort, adminUrl: `http://127.0.0.1:${adminPort}` };
  }

  #fleet(mqttPort: number): Fleet {
    return new Fleet({
      host: '127.0.0.1',
      port: mqttPort,
      deviceCount: DEVICES,
      ratePerSecond: RATE_PER_SECOND,
      profile: 'steady',
      qos: 1,
      seed: SEED,
      onSent: (device, counter) => this.ledger.attempted(ledgerId(device, counter)),
      onAcknowledged: (device, counter) => this.ledger.acknowledged(ledgerId(device, counter)),
    });
  }

  /** Registers how a part is ended where it is made; stops here when the demo is interrupted. */
  #own<T>(part: T, close: (part: T) => Promise<void> | void): T {
    this.#closers.push(() => close(part));
    this.#options.signal.throwIfAborted();
    return part;
  }
}

/** The parts of an open stage. */
export interface Parts {
  readonly uplink: TcpProxy;
  readonly gateway: GatewayProcess;
  readonly checker: Checker;
  readonly meter: BacklogMeter;
  readonly fleet: Fleet;
  readonly mqttPort: number;
  readonly amqpUrl: string;
}
