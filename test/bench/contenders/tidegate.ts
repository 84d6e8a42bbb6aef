import { freePort } from '../../helpers/free-port.ts';
import { startGateway } from '../../helpers/gateway-process.ts';
import type { Contender, ContenderSetup, RunningContender } from '../contender.ts';

/** Options of node for the gateway, as a JSON list: how the profiler gets in. */
export const EXEC_ARGV_VARIABLE = 'TIDEGATE_BENCH_EXEC_ARGV';

/** The gateway as it is built, in one of its two delivery modes and with its defaults otherwise. */
export function tidegate(mode: 'adaptive' | 'disk-first', about: string): Contender {
  return {
    name: `tidegate-${mode}`,
    about,
    start: async (setup) => {
      const [mqttPort, adminPort] = [await freePort(), await freePort()];
      return (await run(setup, configOf(setup, mode, mqttPort, adminPort), mqttPort)).running;
    },
  };
}

async function run(
  setup: ContenderSetup,
  config: object,
  mqttPort: number,
): Promise<{ running: RunningContender; startMs: number }> {
  const beganMs = performance.now();
  const gateway = await startGateway({
    config,
    dir: setup.dir,
    execArgv: JSON.parse(process.env[EXEC_ARGV_VARIABLE] ?? '[]') as string[],
    ...(setup.wrapper === undefined ? {} : { wrapper: setup.wrapper }),
  });
  const startMs = performance.now() - beganMs;
  const stop = async (): Promise<void> => {
    await gateway.stop();
  };
  const restart = async (): ReturnType<RunningContender['restart']> => {
    await stop();
    return run(setup, config, mqttPort);
  };
  return { running: { mqttPort, pids: [gateway.pid], restart, stop }, startMs };
}

function configOf(
  { dir, uplinkUrl, queue, config, mappings }: ContenderSetup,
  mode: string,
  mqttPort: number,
  adminPort: number,
): object {
  const main = {
    name: 'telemetry',
    filter: 'devices/+device/telemetry/#metric',
    exchange: { name: `exchange-${queue}`, type: 'topic' },
    queues: [{ name: queue, type: 'quorum', bindingKey: '#' }],
  };
  return {
    gateway: { id: 'bench' },
    mqtt: { listeners: [{ host: '127.0.0.1', port: mqttPort }] },
    store: { path: `${dir}/store` },
    amqp: { urls: [uplinkUrl] },
    admin: { port: adminPort },
    shutdown: { timeoutMs: 2_000 }, // what a cut uplink holds back stays in the store
    mappings: mappings?.(queue, main) ?? [main],
    ...config,
    delivery: { mode, ...(config?.['delivery'] ?? {}) },
  };
}
