import { type Command, InvalidArgumentError } from 'commander';
import { loadConfig } from '../config/load.ts';
import { errorText, GatewayError } from '../shared/errors.ts';
import { AdminClient, AdminError } from './admin-client.ts';
import { EXIT_USAGE } from './exit-code.ts';
import {
  type ListedMessage,
  listText,
  messageText,
  type ShownMessage,
  table,
} from './parked-text.ts';

/** Exit codes of the command, as documented in docs/parked.md. */
const EXIT_FAILED = 1;

/** As many as one request may list, release or discard (observe/parked-routes.ts). */
const MOST_AT_ONCE = 1_000;
const DEFAULT_LIST_COUNT = 100;
const MESSAGE_ID = /^(?:[^/]+\/)?([^/]+)\/(\d+)(?:-([0-9a-f]{16}))?\.(\d+)$/;

/** Options of every subcommand. */
interface Options {
  readonly url?: string;
  readonly config?: string;
  readonly json?: boolean;
}

type ListOptions = Options & { readonly lane?: string; readonly limit: number };
type ReleaseOptions = Options & { readonly reason?: string; readonly max?: number };
type DiscardOptions = Options & { readonly confirm: string; readonly max?: number };

interface LaneCount {
  readonly lane: string;
  readonly parkedMessages: number;
}

/** What a message-id says beside the gateway's id. What 0.1.0 stored has no run. */
type Identity = Readonly<Record<'lane' | 'epoch' | 'seq', string> & { run?: string }>;

/**
 * `tidegate parked`: shows, releases and discards parked messages of a running gateway, over its admin listener.
 * Exit codes: 0 done, 1 not reached or refused, 2 wrong usage or a config with faults.
 */
export function addParkedCommand(program: Command): void {
  const parked = program
    .command('parked')
    .description('messages that the broker would not take, in a running gateway');
  const subcommand = (name: string, description: string, isDefault = false): Command =>
    parked
      .command(name, { isDefault })
      .description(description)
      .option('--url <url>', 'admin listener of the gateway')
      .option('--config <file>', 'its config, to find the admin listener; else the defaults')
      .option('--json', 'answer in JSON');
  subcommand('list', 'how many each lane has; with --lane: which, oldest first', true)
    .option('--lane <name>', 'list the messages of this lane')
    .option('--limit <n>', `list at most so many, up to ${MOST_AT_ONCE}`, count, DEFAULT_LIST_COUNT)
    .action((options: ListOptions) => perform(options, (client) => list(client, options)));
  subcommand('show', 'one message, with its payload')
    .argument(
      '<message-id>',
      'GATEWAY/LANE/EPOCH-RUN.SEQ; gateway and run may be left out',
      identity,
    )
    .action((id: Identity, options: Options) => perform(options, (client) => show(client, id)));
  subcommand('release', 'put messages back to the end of their lane, oldest first')
    .argument('<lane>')
    .option('--reason <reason>', 'only those parked for this reason')
    .option('--max <n>', 'at most so many; default all that are parked now', count)
    .action((lane: string, options: ReleaseOptions) => {
      const { reason, max } = options;
      const query = { lane, ...(reason === undefined ? {} : { reason }) };
      return perform(options, (client) => move(client, 'release', { query, max }));
    });
  subcommand('discard', 'give messages up for good, oldest first; the gap manifest names each')
    .argument('<lane>')
    .requiredOption('--confirm <lane>', 'the name of the lane again: this cannot be undone')
    .option('--max <n>', 'at most so many; default all that are parked now', count)
    .action((lane: string, options: DiscardOptions) => {
      const { confirm, max } = options;
      return perform(options, (client) =>
        move(client, 'discard', { query: { lane, confirm }, max }),
      );
    });
}

/** What a subcommand found: for people, and for scripts. */
interface Result {
  readonly text: string;
  readonly value: unknown;
}

/** Runs a subcommand and prints what it found. Sets the exit code. */
async function perform(
  options: Options,
  run: (client: AdminClient) => Promise<Result>,
): Promise<void> {
  try {
    const { text, value } = await run(new AdminClient(adminUrl(options)));
    process.stdout.write(`${options.json ? JSON.stringify(value) : text}\n`);
  } catch (error) {
    if (!(error instanceof AdminError || error instanceof GatewayError)) throw error;
    process.stderr.write(`${errorText(error)}\n`);
    process.exitCode = error instanceof AdminError ? EXIT_FAILED : EXIT_USAGE;
  }
}

async function list(client: AdminClient, { lane, limit }: ListOptions): Promise<Result> {
  if (lane === undefined) {
    const lanes = await countsOf(client);
    const rows = lanes.map((one) => [one.lane, String(one.parkedMessages)]);
    return { text: table(['LANE', 'PARKED'], rows), value: { lanes } };
  }
  const value = (await client.get('/api/parked', { lane, limit: String(limit) })) as {
    readonly parkedMessages: number;
    readonly messages: readonly ListedMessage[];
  };
  const { messages, parkedMessages } = value;
  const isCut = messages.length < parkedMessages;
  const rest = isCut ? `\nthe oldest ${messages.length} of ${parkedMessages}` : '';
  return { text: `${listText(messages)}${rest}`, value };
}

async function show(client: AdminClient, id: Identity): Promise<Result> {
  const message = (await client.get('/api/parked/message', id)) as ShownMessage;
  return { text: messageText(message), value: message };
}

/**
 * Repeats until as many are moved as were parked at the start: what is released and refused again is parked
 * again, and would be released for ever.
 */
async function move(
  client: AdminClient,
  verb: 'release' | 'discard',
  {
    query,
    max,
  }: { query: { readonly lane: string; readonly confirm?: string }; max: number | undefined },
): Promise<Result> {
  const done = verb === 'release' ? 'released' : 'discarded';
  const parkedNow = (await countsOf(client)).find(({ lane }) => lane === query.lane);
  const most = Math.min(max ?? Number.POSITIVE_INFINITY, parkedNow?.parkedMessages ?? 1);
  let moved = 0;
  let left = parkedNow?.parkedMessages ?? 0;
  while (moved < most) {
    const request = Math.min(MOST_AT_ONCE, most - moved);
    const answer = (await client.post(`/api/parked/${verb}`, {
      ...query,
      max: String(request),
    })) as Readonly<Record<string, number>>;
    moved += answer[done] ?? 0;
    left = answer['parkedMessages'] ?? 0;
    if (!answer[done]) break;
  }
  const text = `${done} ${moved}; ${left} parked in lane ${query.lane}`;
  return { text, value: { lane: query.lane, [done]: moved, parkedMessages: left } };
}

async function countsOf(client: AdminClient): Promise<readonly LaneCount[]> {
  const { lanes } = (await client.get('/api/parked')) as { lanes: readonly LaneCount[] };
  return lanes;
}

/**
 * Where the gateway can be asked: from its config as it would load it itself, unless it is said.
 * @throws {GatewayError} CONFIG_INVALID
 */
function adminUrl({ url, config }: Options): string {
  if (url !== undefined) {
    if (URL.canParse(url) && /^https?:/.test(url)) return url;
    throw new GatewayError('CONFIG_INVALID', `--url ${url} is no URL such as http://host:9180`);
  }
  const file = config === undefined ? {} : { file: config };
  const { host, port } = loadConfig({ ...file, env: process.env }).admin;
  // What listens on every address is reached on this one.
  const near = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${near.includes(':') ? `[${near}]` : near}:${port}`;
}

function count(text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number from 1 on.');
}

function identity(text: string): Identity {
  const [, lane, epoch, run, seq] = MESSAGE_ID.exec(text) ?? [];
  if (lane === undefined || epoch === undefined || seq === undefined) {
    throw new InvalidArgumentError('It must be like site-a/telemetry/3-6f1e0b8a92c4d7e5.17.');
  }
  return { lane, epoch, seq, ...(run === undefined ? {} : { run }) };
}
