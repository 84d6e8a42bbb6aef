import { z } from 'zod';
import { choice, durationMs, type Shape } from './fields.ts';
import { limitsSchema, whenFullSchema } from './limits-schema.ts';
import { refuseUselessRoutes } from './route-check.ts';
import {
  boundExchangeSchema,
  mappingExchangeSchema,
  namedExchangeSchema,
  queueSchema,
} from './topology-schema.ts';
import type { GapsConfig, MappingConfig, PayloadConfig, PropertiesConfig } from './types.ts';

/** Most queues, and most further exchanges, of a mapping. */
const MAX_BOUND = 100;

/** Most characters of a template; what it renders is limited on its own. */
const MAX_TEMPLATE_LENGTH = 1024;

function template(description: string): z.ZodType<string> {
  return z.string().max(MAX_TEMPLATE_LENGTH).meta({ description });
}

function numberTemplate(description: string): z.ZodType<string | number> {
  return z.union([z.string().max(MAX_TEMPLATE_LENGTH), z.number()]).meta({ description });
}

const propertiesSchema: z.ZodType<PropertiesConfig> = z.strictObject({
  contentType: z.exactOptional(
    template(
      'Template of `content-type`, such as `application/json`; at most 255 bytes, like all text',
    ),
  ),
  contentEncoding: z.exactOptional(template('Template of `content-encoding`, such as `gzip`')),
  priority: z.exactOptional(numberTemplate('Template of `priority`, from 0 to 255')),
  expiration: z.exactOptional(
    numberTemplate('Template of `expiration`, the time to live in a queue in ms, up to 4294967295'),
  ),
  type: z.exactOptional(template('Template of `type`')),
  correlationId: z.exactOptional(template('Template of `correlation-id`')),
  replyTo: z.exactOptional(template('Template of `reply-to`')),
} satisfies Shape<PropertiesConfig>);

/** A record has to fit into an AMQP frame with all its headers. */
const MAX_HEADERS = 64;

const headersSchema: z.ZodType<Readonly<Record<string, string | number | boolean>>> = z
  .record(z.string(), z.union([z.string().max(MAX_TEMPLATE_LENGTH), z.number(), z.boolean()]))
  .refine((headers) => Object.keys(headers).length <= MAX_HEADERS, {
    error: `expected at most ${MAX_HEADERS} headers`,
  })
  .meta({
    description: `Headers by name: a template, or a number or boolean; \`\${json:…}\` alone keeps the type it has in the payload`,
  });

/** Most characters of an expression. */
const MAX_EXPRESSION_LENGTH = 16_384;

const payloadSchema: z.ZodType<PayloadConfig> = z.strictObject({
  schema: z.exactOptional(
    z.union([z.string().min(1), z.record(z.string(), z.unknown())]).meta({
      description:
        'JSON Schema, or the path of a file with one (relative to the working directory); a payload that does not fit is parked',
    }),
  ),
  timeoutMs: z.exactOptional(
    durationMs({
      description:
        'Time that schema, `when` and `transform` may take for one message; beyond it the message is parked',
      min: 100,
      max: 60_000,
    }).meta({ 'x-default': '`250`' }),
  ),
} satisfies Shape<PayloadConfig>);

function expression(description: string): z.ZodType<string> {
  return z.string().min(1).max(MAX_EXPRESSION_LENGTH).meta({ description });
}

const failureActions = ['park', 'retry', 'drop'] as const;

const mappingSchema: z.ZodType<MappingConfig> = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z0-9._-]{1,64}$/, 'expected 1 to 64 of the characters a-z 0-9 . _ -')
      .refine((name) => !name.startsWith('tidegate.'), 'names with `tidegate.` are the own lanes')
      .meta({ description: 'Name of the mapping and of its lane; part of every message-id' }),
    filter: z.string().min(1).max(1024).meta({
      description:
        'Topic filter; `+` and `#` as in MQTT, a name after them captures: `devices/+device/#rest`',
    }),
    payload: z.exactOptional(payloadSchema),
    when: z.exactOptional(
      expression('JSONata; a message for which it is not true does not go to this lane'),
    ),
    transform: z.exactOptional(
      expression(
        'JSONata; its result is the body of the AMQP message: text as it is, all else as JSON, nothing for none',
      ),
    ),
    exchange: mappingExchangeSchema.meta({ description: 'Where the messages are published' }),
    routingKey: z.exactOptional(
      z.string().max(MAX_TEMPLATE_LENGTH).meta({
        description: `Template of the routing key, such as \`\${device}.\${metric}\`; without it, the topic name with '/' and '.' swapped`,
      }),
    ),
    properties: z.exactOptional(
      propertiesSchema.meta({ description: 'Basic properties of the messages, as templates' }),
    ),
    headers: z.exactOptional(headersSchema),
    exchanges: z.exactOptional(
      z.array(boundExchangeSchema).max(MAX_BOUND).meta({
        description:
          'Further exchanges to declare and to bind, that of the mapping being their source',
      }),
    ),
    queues: z
      .array(queueSchema)
      .max(MAX_BOUND)
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
  } satisfies Shape<MappingConfig>)
  .superRefine(refuseUselessRoutes);

const GAPS = 'tidegate.gaps';

/** Schema of `gaps`, the route of the gap manifest. */
export const gapsSchema: z.ZodType<GapsConfig> = z.strictObject({
  exchange: namedExchangeSchema
    .prefault({ name: GAPS })
    .meta({ description: 'Where the gap manifest is published, with key `lane.reason`' }),
  queues: z
    .array(queueSchema)
    .max(MAX_BOUND)
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

/** Each takes a channel, and a second one while it opens: RabbitMQ allows 2,047 on a connection (channel_max). */
const MOST_MAPPINGS = 1_000;

/** Schema of `mappings`: at least one, names unique. */
export const mappingsSchema: z.ZodType<readonly MappingConfig[]> = z
  .array(mappingSchema)
  .min(1)
  .max(MOST_MAPPINGS)
  .superRefine(refuseTakenNames, { when: (list) => Array.isArray(list.value) })
  .prefault([defaultMapping])
  .meta({
    description: 'Which topics go where; see `routing.match` for a message that several match',
  });
