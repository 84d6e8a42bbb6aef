import type { Command } from 'commander';
import { checkTls } from '../amqp/tls-files.ts';
import { ConfigError } from '../config/faults.ts';
import type { Config } from '../config/types.ts';
import { errorText, GatewayError } from '../shared/errors.ts';
import { checkBroker } from './broker-checks.ts';
import { loadCheckedConfig } from './checked-config.ts';
import { checkMappings, type Finding } from './mapping-checks.ts';
import { printable } from './parked-text.ts';

/** Exit codes of the command, as documented in docs/commands.md. */
const EXIT_FAULTS = 1;
const EXIT_UNREACHABLE = 3;

interface Options {
  readonly config?: string;
  readonly offline?: boolean;
  readonly strict?: boolean;
  readonly json?: boolean;
}

/** What was found. */
interface Result {
  readonly findings: readonly Finding[];
  /** The broker that was looked at. */
  readonly broker?: string;
  /** Why none was reached. */
  readonly unreachable?: string;
}

/** `tidegate check`: looks for what is wrong with a config before it runs, here and at the broker. */
export function addCheckCommand(program: Command): void {
  program
    .command('check')
    .description('what is wrong with a config, before it runs')
    .option('--config <file>', 'YAML config; without it the defaults apply')
    .option('--offline', 'do not look at the broker')
    .option('--strict', 'warnings count as faults')
    .option('--json', 'answer in JSON')
    .action(async (options: Options) => {
      const result = await check(options);
      const text = options.json ? JSON.stringify(jsonOf(result, options)) : textOf(result);
      process.stdout.write(`${text}\n`);
      process.exitCode = exitCodeOf(result, options);
    });
}

async function check({ config: file, offline }: Options): Promise<Result> {
  let config: Config;
  try {
    config = loadCheckedConfig(file);
    checkTls(config.amqp);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    const texts = error instanceof ConfigError ? error.message.split('\n') : [errorText(error)];
    return { findings: texts.map((text) => ({ level: 'fault', mappings: [], text })) };
  }
  const findings = checkMappings(config);
  if (offline) return { findings };
  try {
    const { url, findings: atBroker } = await checkBroker(config);
    return { findings: [...findings, ...atBroker], broker: url };
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return { findings, unreachable: errorText(error) };
  }
}

function hasFaults({ findings }: Result, { strict }: Options): boolean {
  return findings.some(({ level }) => level === 'fault' || (strict && level === 'warning'));
}

function exitCodeOf(result: Result, options: Options): number {
  if (hasFaults(result, options)) return EXIT_FAULTS;
  return result.unreachable === undefined ? 0 : EXIT_UNREACHABLE;
}

function jsonOf(result: Result, options: Options): object {
  return { ok: !hasFaults(result, options), ...result };
}

function textOf({ findings, broker, unreachable }: Result): string {
  const lines = findings.map(({ level, mappings, text }) => {
    const whose = mappings.length === 0 ? '' : `${mappings.join(', ')}: `;
    return printable(`${level.padEnd('warning'.length)}  ${whose}${text}`);
  });
  const count = (level: Finding['level']): number =>
    findings.filter((finding) => finding.level === level).length;
  const end = `${count('fault')} faults, ${count('warning')} warnings`;
  return [...lines, `${end}; ${brokerText(broker, unreachable)}`].join('\n');
}

function brokerText(broker: string | undefined, unreachable: string | undefined): string {
  if (broker !== undefined) return `looked at ${broker}`;
  if (unreachable === undefined) return 'no broker was looked at';
  return `no broker was reached:\n${unreachable}`;
}
