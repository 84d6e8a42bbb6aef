import { errorText } from '../shared/errors.ts';
import { CompileFault, compileExpression, compileSchema } from './compile.ts';
import { type RuleSource, ruleOf } from './rule.ts';

/** One thing that is wrong with what a mapping asks of its payloads. */
export interface PayloadFault {
  /** Index of the mapping. */
  readonly mapping: number;
  /** Keys inside the mapping, such as `payload`, `schema`. */
  readonly path: readonly string[];
  readonly message: string;
}

/** Everything that is wrong with the schemas and expressions of all mappings. Reads schema files. */
export function payloadFaults(mappings: readonly RuleSource[]): PayloadFault[] {
  return mappings.flatMap((mapping, index) =>
    faultsOf(mapping).map((fault) => ({ mapping: index, ...fault })),
  );
}

function faultsOf(mapping: RuleSource): Omit<PayloadFault, 'mapping'>[] {
  const { payload, when, transform } = mapping;
  const attempt = (path: readonly string[], compile: () => void) => {
    try {
      compile();
      return [];
    } catch (error) {
      const inside = error instanceof CompileFault && typeof payload?.schema !== 'string';
      const within = inside && error instanceof CompileFault ? error.path : [];
      return [{ path: [...path, ...within], message: errorText(error) }];
    }
  };
  const isIdle = payload !== undefined && payload.schema === undefined;
  if (isIdle && when === undefined && transform === undefined) {
    const message = 'checks nothing; give it a `schema`, or the mapping `when` or `transform`';
    return [{ path: ['payload'], message }];
  }
  const context = { gatewayId: '', maxBodyBytes: 0 };
  return [
    ...attempt(['payload', 'schema'], () => {
      const schema = ruleOf(mapping, context)?.schema;
      if (schema !== undefined) compileSchema(schema);
    }),
    ...attempt(['when'], () => {
      if (when !== undefined) compileExpression(when, 0);
    }),
    ...attempt(['transform'], () => {
      if (transform !== undefined) compileExpression(transform, 0);
    }),
  ];
}
