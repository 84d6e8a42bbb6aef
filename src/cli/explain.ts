import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { Config } from '../config/types.ts';
import { captureLevels, matchTopic, parseTopicFilter } from '../mapping/topic-filter.ts';
import { errorText, GatewayError } from '../shared/errors.ts';
import type { DeviceMessage } from '../shared/message.ts';
import { loadCheckedConfig } from './checked-config.ts';
import { type DryOutcome, DryRun, type LaneOutcome } from './dry-run.ts';
import { EXIT_USAGE } from './exit-code.ts';
import { explanationJson, explanationText } from './explain-text.ts';
import { partingOf } from './parting.ts';

/** Client identifier of a device of which nothing else is said. */
const DEFAULT_CLIENT = 'client';

interface Options {
  readonly payload?: string;
  readonly client: string;
  readonly username?: string;
  readonly config?: string;
  readonly json?: boolean;
}

/** What one mapping has to do with a topic name. */
export type MappingExplanation = { readonly mapping: string; readonly filter: string } & (
  | { readonly kind: 'parts'; readonly why: string }
  /** It matches, but an earlier mapping takes the message (`routing.match: first`). */
  | { readonly kind: 'behind'; readonly taker: string }
  | {
      readonly kind: 'takes';
      readonly captures: Readonly<Record<string, string>>;
      readonly outcome: LaneOutcome;
    }
);

/** What becomes of one message, mapping by mapping. */
export interface Explanation {
  readonly message: DeviceMessage;
  readonly result: DryOutcome['kind'];
  readonly mappings: readonly MappingExplanation[];
}

/** `tidegate explain`: what becomes of a message of that topic name. Exit codes: 0 told, 2 wrong usage or a config with faults. */
export function addExplainCommand(program: Command): void {
  program
    .command('explain')
    .description('which mappings a topic name goes to, and what would be published')
    .argument('<topic>', 'topic name of a PUBLISH')
    .option(
      '--payload <file>',
      'its payload; - for standard input; without it the payload is empty',
    )
    .option('--client <id>', 'MQTT client identifier', DEFAULT_CLIENT)
    .option('--username <name>', 'user name of the client')
    .option('--config <file>', 'YAML config; without it the defaults apply')
    .option('--json', 'answer in JSON')
    .action(async (topic: string, options: Options) => {
      try {
        const config = loadCheckedConfig(options.config);
        const explanation = await explain(config, messageOf(topic, options));
        const text = options.json
          ? JSON.stringify(explanationJson(explanation))
          : explanationText(explanation);
        process.stdout.write(`${text}\n`);
      } catch (error) {
        if (!(error instanceof GatewayError)) throw error;
        process.stderr.write(`${errorText(error)}\n`);
        process.exitCode = EXIT_USAGE;
      }
    });
}

/** Finds out what becomes of the message, by the parts that the gateway runs. */
export async function explain(config: Config, message: DeviceMessage): Promise<Explanation> {
  const dryRun = new DryRun(config);
  dryRun.start();
  try {
    const outcome = await dryRun.run(message);
    const lanes = outcome.kind === 'mapped' ? outcome.lanes : [];
    const mappings = config.mappings.map(({ name, filter }): MappingExplanation => {
      const named = { mapping: name, filter };
      return { ...named, ...explainMapping(named, message.topic, lanes) };
    });
    return { message, result: outcome.kind, mappings };
  } finally {
    await dryRun.close();
  }
}

type Explained<T = MappingExplanation> = T extends MappingExplanation
  ? Omit<T, 'mapping' | 'filter'>
  : never;

function explainMapping(
  { mapping, filter }: { readonly mapping: string; readonly filter: string },
  topic: string,
  lanes: readonly LaneOutcome[],
): Explained {
  const parsed = parseTopicFilter(filter);
  if (!parsed.ok) return { kind: 'parts', why: parsed.faults.join('; ') };
  const outcome = lanes.find(({ lane }) => lane === mapping);
  if (outcome !== undefined) {
    const captures = Object.fromEntries(captureLevels(parsed.filter, topic.split('/')));
    return { kind: 'takes', captures, outcome };
  }
  const [taker] = lanes;
  if (taker !== undefined && matchTopic(parsed.filter, topic) !== undefined) {
    return { kind: 'behind', taker: taker.lane };
  }
  return { kind: 'parts', why: partingOf(parsed.filter, topic) ?? 'the payload is too large' };
}

function messageOf(topic: string, { payload, client, username }: Options): DeviceMessage {
  const fault = topicFault(topic);
  if (fault !== undefined) throw new GatewayError('CONFIG_INVALID', fault);
  return {
    topic,
    payload: payload === undefined ? Buffer.alloc(0) : readPayload(payload),
    qos: 1,
    dup: false,
    retain: false,
    clientId: client,
    ...(username === undefined ? {} : { username }),
    receivedAtMs: Date.now(),
  };
}

/** Why no PUBLISH can have that topic name (MQTT 3.1.1 §3.3.2.1, §4.7.3). */
export function topicFault(topic: string): string | undefined {
  if (topic === '') return 'A topic name has at least one character [MQTT-4.7.3-1].';
  if (/[+#]/.test(topic)) {
    return `"${topic}" is no topic name: a PUBLISH has no wildcards [MQTT-3.3.2-2]; write a name that devices send.`;
  }
  return topic.includes('\0') ? 'A topic name has no NUL [MQTT-4.7.3-2].' : undefined;
}

function readPayload(file: string): Buffer {
  const standardInput = 0;
  try {
    return readFileSync(file === '-' ? standardInput : file);
  } catch (error) {
    const text = `--payload ${file} cannot be read: ${errorText(error)}`;
    throw new GatewayError('CONFIG_INVALID', text, error);
  }
}
