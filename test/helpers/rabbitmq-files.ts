import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The ports of one private node, all on 127.0.0.1. */
export interface NodePorts {
  readonly amqp: number;
  /** Erlang distribution, which rabbitmqctl talks to. */
  readonly distribution: number;
  /** The node's own name server: never the machine's at 4369. */
  readonly epmd: number;
}

/** What a private node reads, apart from the ports. */
export interface NodeSettings {
  readonly plugins: readonly string[];
  /** Lines of rabbitmq.conf, put behind the defaults. */
  readonly config: string;
}

/** Each node has an epmd of its own, so all can have the same name. */
export const NODE_NAME: string = 'rabbit@localhost';

/** Spinning schedulers would take the cores from the tests; the interface keeps the distribution local. */
const ERLANG_FLAGS =
  '+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}';

/** Logs little, holds little in memory, and does not stop on a machine whose disk is nearly full. */
const CONFIG = (amqpPort: number): string => `
listeners.tcp.1 = 127.0.0.1:${amqpPort}
log.console = false
log.file.level = warning
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 20MB
# The write-ahead log is held in memory too; the default is 512 MB.
raft.wal_max_size_bytes = 67108864
`;

/** Writes what the node reads at its start. Everything a node has lies below `dir`. */
export async function writeNodeFiles(
  dir: string,
  ports: NodePorts,
  settings: NodeSettings,
): Promise<void> {
  await mkdir(dir, { recursive: true });
  await writeFile(
    join(dir, 'rabbitmq.conf'),
    `${CONFIG(ports.amqp).trimStart()}${settings.config}\n`,
  );
  await writeFile(join(dir, 'enabled_plugins'), `[${settings.plugins.join(',')}].\n`);
  await writeFile(join(dir, 'env.conf'), '');
  await writeFile(join(dir, '.erlang.cookie'), 'tidegateprivatenode', { mode: 0o600 });
}

/** The environment of the node and of its rabbitmqctl: nothing of a RabbitMQ of the machine is read. */
export function nodeEnvironment(dir: string, ports: NodePorts): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    LANG: 'C.UTF-8',
    HOME: dir,
    ERL_EPMD_PORT: String(ports.epmd),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_NODENAME: NODE_NAME,
    RABBITMQ_DIST_PORT: String(ports.distribution),
    RABBITMQ_CONF_ENV_FILE: join(dir, 'env.conf'),
    RABBITMQ_CONFIG_FILE: join(dir, 'rabbitmq.conf'),
    RABBITMQ_ADVANCED_CONFIG_FILE: join(dir, 'advanced.config'),
    RABBITMQ_GENERATED_CONFIG_DIR: join(dir, 'generated'),
    RABBITMQ_SCHEMA_DIR: join(dir, 'schema'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(dir, 'enabled_plugins'),
    RABBITMQ_MNESIA_BASE: join(dir, 'data'),
    RABBITMQ_LOG_BASE: join(dir, 'log'),
    RABBITMQ_PID_FILE: join(dir, 'pid'),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: ERLANG_FLAGS,
    // Makes the start script `exec` the Erlang VM: then its pid is the one we spawned.
    RUNNING_UNDER_SYSTEMD: 'true',
  };
}
