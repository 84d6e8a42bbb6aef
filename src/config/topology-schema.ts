import { z } from 'zod';
import { choice, type Shape, shortString } from './fields.ts';
import type {
  AmqpArgument,
  BindingConfig,
  BoundExchangeConfig,
  ExchangeConfig,
  QueueConfig,
} from './types.ts';

/** Longest name or key in UTF-8 bytes (AMQP 0-9-1 §4.2.5.3). */
const MAX_TEXT_BYTES = 255;

/** Longest name of an argument (AMQP 0-9-1 §4.2.5.5). */
const MAX_ARGUMENT_NAME_LENGTH = 128;

const MAX_BINDINGS = 100;

const exchangeType = choice('Type of the exchange', ['topic', 'direct', 'fanout', 'headers']);

function argumentsOf(description: string): z.ZodType<Readonly<Record<string, AmqpArgument>>> {
  return z
    .record(
      z.string().min(1).max(MAX_ARGUMENT_NAME_LENGTH),
      z.union([z.string(), z.number(), z.boolean()]),
    )
    .meta({ description });
}

/** A short string that may be empty. */
function shortText(description: string): z.ZodType<string> {
  return z
    .string()
    .refine(
      (text) => Buffer.byteLength(text) <= MAX_TEXT_BYTES,
      `expected at most ${MAX_TEXT_BYTES} bytes in UTF-8`,
    )
    .meta({ description, maxLength: MAX_TEXT_BYTES });
}

const bindingSchema: z.ZodType<BindingConfig> = z.strictObject({
  exchange: z.exactOptional(
    shortString({ description: 'Source of the binding; without it the exchange of the mapping' }),
  ),
  key: z.exactOptional(shortText('Binding key; without it `#`')),
  arguments: z.exactOptional(
    argumentsOf(
      'Arguments of the binding: for a headers exchange `x-match` and the headers to meet',
    ),
  ),
} satisfies Shape<BindingConfig>);

const bound = {
  bindingKey: z.exactOptional(
    shortText('Short for `bindings` with one entry of this key; without both it is bound with `#`'),
  ),
  bindings: z.exactOptional(
    z.array(bindingSchema).max(MAX_BINDINGS).meta({
      description: 'What to bind it with; an empty list for nothing, as for an alternate exchange',
    }),
  ),
};

const exchangeFields = {
  type: exchangeType.default('topic'),
  declare: z.boolean().default(true).meta({
    description:
      'Declare, as durable, the exchange and what is listed with it; false when someone else does: then they are only looked for',
  }),
  arguments: z.exactOptional(
    argumentsOf('Arguments of exchange.declare, such as `alternate-exchange`'),
  ),
};

/** Schema of an exchange that has a name. */
export const namedExchangeSchema: z.ZodType<ExchangeConfig> = z.strictObject({
  name: shortString({ description: 'Name of the exchange' }),
  ...exchangeFields,
} satisfies Shape<ExchangeConfig>);

/** Schema of the exchange of a mapping, which may be the default exchange. */
export const mappingExchangeSchema: z.ZodType<ExchangeConfig> = z.strictObject({
  name: shortText(
    'Name of the exchange; `""` is the default exchange, which routes by the name of a queue',
  ),
  ...exchangeFields,
} satisfies Shape<ExchangeConfig>);

/** Schema of a further exchange of a mapping. */
export const boundExchangeSchema: z.ZodType<BoundExchangeConfig> = z.strictObject({
  name: shortString({ description: 'Name of the durable exchange to declare' }),
  type: exchangeType.default('topic'),
  ...bound,
  arguments: z.exactOptional(argumentsOf('Arguments of exchange.declare')),
} satisfies Shape<BoundExchangeConfig>);

/** Schema of a queue. */
export const queueSchema: z.ZodType<QueueConfig> = z.strictObject({
  name: shortString({ description: 'Name of the durable queue to declare' }),
  type: choice(
    'Type of the queue; only of `quorum` RabbitMQ promises that it is synced before its confirm',
    ['quorum', 'classic', 'stream'],
  ).default('quorum'),
  ...bound,
  arguments: argumentsOf('Arguments of queue.declare by their AMQP names, such as `x-max-length`')
    .refine((given) => !Object.hasOwn(given, 'x-queue-type'), {
      path: ['x-queue-type'],
      error: 'is given by the key `type` of the queue; leave it out here',
    })
    .default({}),
} satisfies Shape<QueueConfig>);
