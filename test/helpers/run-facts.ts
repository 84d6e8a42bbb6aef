import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import type { RunFacts } from './soak-result.ts';

/** Where Debian's package puts RabbitMQ, in a folder with the version in its name. */
const RABBITMQ_LIBRARIES = '/usr/lib/rabbitmq/lib';
const MIB_BYTES = 1024 ** 2;
const MS_PER_SECOND = 1000;

/** The facts of this run, so far. */
export function runFacts(seed: number): RunFacts {
  return {
    date: new Date().toISOString(),
    commit: commit(),
    node: process.versions.node,
    rabbitmq: rabbitmqVersion(),
    cores: availableParallelism(),
    memoryMib: Math.round(totalmem() / MIB_BYTES),
    seed,
    durationSeconds: Math.round(performance.now() / MS_PER_SECOND), // each test file has a process of its own
  };
}

function commit(): string {
  const git = (...args: string[]): string => {
    return execFileSync('git', args, { encoding: 'utf8' }).trim();
  };
  const changed = git('status', '--porcelain', '--untracked-files=no', 'src', 'test') !== '';
  return `${git('rev-parse', '--short', 'HEAD')}${changed ? '+' : ''}`;
}

function rabbitmqVersion(): string {
  const names = readdirSync(RABBITMQ_LIBRARIES);
  const [, version] = /rabbitmq_server-([\d.]+)/.exec(names.join(' ')) ?? [];
  return version ?? 'unknown';
}
