import { z } from 'zod';
import { choice, type Shape, shortString } from './fields.ts';
import { limitsSchema, whenFullSchema } from './limits-schema.ts';
import type { ExchangeConfig, GapsConfig, MappingConfig, QueueConfig } from './types.ts';

const exchangeSchema: z.ZodType<ExchangeConfig> = z.strictObject({
  name: shortString({ description: 'Name of the exchange' }),
  type: choice('Type of the exchange', ['topic', 'direct', 'fanout', 'headers']).default('topic'),
  declare: z.boolean().default(true).meta({
    description: 'Declare the exchange as durable; false when someone else looks after it',
  }),
} satisfies Shape<ExchangeConfig>);

const queueSchema: z.ZodType<QueueConfig> = z.strictObject({
  name: shortString({ description: 'Name of the durable queue to declare' }),
  type: choice('Type of the queue; only `quorum` is fsynced before its confirm', [
    'quorum',
    'classic',
    'stream',
  ]).default('quorum'),
  bindingKey: z
    .string()
    .max(255)
    .default('#')
    .meta({ description: 'Binding key from the exchange of the mapping to this queue' }),
  arguments: z
    .record(z.string().min(1).max(128), z.union([z.string(), z.number(), z.boolean()]))
    .default({})
    .meta({ description: 'Further arguments of queue.declare, such as `x-max-length`' }),
} satisfies Shape<QueueConfig>);

const failureActions = ['park', 'retry', 'drop'] as const;

const mappingSchema: z.ZodType<MappingConfig> = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9._-]{1,64}$/, 'expected 1 to 64 of the characters a-z 0-9 . _ -')
    .refine((name) => !name.startsWith('tidegate.'), 'names with `tidegate.` are the own lanes')
    .meta({ description: 'Name of the mapping and of its lane; part of every message-id' }),
  filter: z.string().min(1).max(1024).meta({
    description:
      'Topic filter; `+` and `#` as in MQTT, a name after them captures: `devices/+device/#rest`',
  }),
  exchange: exchangeSchema.meta({ description: 'Where the messages are published' }),
  routingKey: z.exactOptional(
    z.string().max(1024).meta({
      description: `Template of the routing key, such as \`\${device}.\${metric}\`; without it, the topic name with '/' and '.' swapped`,
    }),
  ),
  queues: z
    .array(queueSchema)
    .max(100)
    .default([])
    .meta({ description: 'Queues to declare and to bind; none when someone else does' }),
  onUnroutable: choice(
    'What becomes of a message that reached no queue (basic.return)',
    failureActions,
  ).default('park'),
  onReject: choice(
    'What becomes of a message the broker refused (basic.nack)',
    failureActions,
  ).default('retry'),
  limits: z.exactOptional(limitsSchema),
  whenFull: z.exactOptional(whenFullSchema),
} satisfies Shape<MappingConfig>);

const GAPS = 'tidegate.gaps';

/** Schema of `gaps`, the route of the gap manifest. */
export const gapsSchema: z.ZodType<GapsConfig> = z.strictObject({
  exchange: exchangeSchema
    .prefault({ name: GAPS })
    .meta({ description: 'Where the gap manifest is published, with key `lane.reason`' }),
  queues: z
    .array(queueSchema)
    .max(100)
    .prefault([{ name: GAPS }])
    .meta({ description: 'Queues to declare and to bind for it' }),
} satisfies Shape<GapsConfig>);

const defaultMapping = {
  name: 'telemetry',
  filter: '#',
  exchange: { name: 'telemetry', type: 'topic', declare: true },
};

/** Consumers tell lanes by their names. Sees also lists with other faults in them, so it trusts no type. */
function refuseTakenNames(
  mappings: readonly (Partial<MappingConfig> | null)[],
  context: z.RefinementCtx,
): void {
  const seen = new Set<string>();
  for (const [index, mapping] of mappings.entries()) {
    const name = mapping?.name;
    if (typeof name !== 'string') continue;
    if (seen.has(name))
      context.addIssue({
        code: 'custom',
        path: [index, 'name'],
        message: `the name "${name}" is taken by an earlier mapping`,
      });
    seen.add(name);
  }
}

/** Schema of `mappings`: at least one, names unique. */
export const mappingsSchema: z.ZodType<readonly MappingConfig[]> = z
  .array(mappingSchema)
  .min(1)
  .max(256)
  .superRefine(refuseTakenNames, { when: (list) => Array.isArray(list.value) })
  .prefault([defaultMapping])
  .meta({
    description: 'Which topics go where; see `routing.match` for a message that several match',
  });
