#!/usr/bin/env node
import { Command } from 'commander';
import { addCheckCommand } from './cli/check.ts';
import { EXIT_USAGE } from './cli/exit-code.ts';
import { addExplainCommand } from './cli/explain.ts';
import { keepMemorySmall } from './cli/memory.ts';
import { addParkedCommand } from './cli/parked.ts';
import { run } from './cli/run.ts';
import { addTestCommand } from './cli/test-cases.ts';
import { VERSION } from './cli/version.ts';

keepMemorySmall();

const program = new Command('tidegate')
  .description('MQTT devices to an AMQP broker; what is acknowledged is never lost')
  .version(VERSION)
  .exitOverride((end) => process.exit(end.exitCode === 0 ? 0 : EXIT_USAGE)); // the commands inherit it

program
  .command('run')
  .description('run the gateway until SIGTERM')
  .option('--config <file>', 'YAML config; without it the defaults apply')
  .action(async (options: { config?: string }) => {
    process.exit(await run(options));
  });

addCheckCommand(program);
addExplainCommand(program);
addParkedCommand(program);
addTestCommand(program);

await program.parseAsync();
