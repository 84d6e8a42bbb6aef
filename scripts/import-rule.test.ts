import { expect, test } from 'vitest';
import { findViolations } from './import-rule.ts';

const cases: [file: string, line: string, message: string | undefined][] = [
  ['src/mqtt/a.ts', "import { x } from '../shared/x.ts';", undefined],
  ['src/mqtt/a.ts', "import { x } from './x.ts';", undefined],
  ['src/mqtt/a.ts', "import type { X } from '../ingest/x.ts';", undefined],
  [
    'src/mqtt/a.ts',
    "import { x } from '../ingest/x.ts';",
    'src/mqtt may import src/ingest/x.ts by `import type` only',
  ],
  [
    'src/mqtt/a.ts',
    "import { type X } from '../ingest/x.ts';",
    'src/mqtt may import src/ingest/x.ts by `import type` only',
  ],
  [
    'src/mqtt/a.ts',
    "import { x } from '../delivery/x.ts';",
    'src/mqtt must not import src/delivery/x.ts',
  ],
  ['src/mqtt/a.ts', "import type { MqttConfig } from '../config/types.ts';", undefined],
  ['src/mqtt/a.ts', "import { Aedes } from 'aedes';", undefined],
  [
    'src/ingest/a.ts',
    "import type { Client } from 'aedes';",
    '"aedes" may be imported in src/mqtt only',
  ],
  [
    'src/gateway.ts',
    "import { connect } from 'amqplib/callback_api';",
    '"amqplib/callback_api" may be imported in src/amqp only',
  ],
  [
    'src/cli/a.ts',
    "import { Level } from 'level';",
    '"level" may be imported in src/store/writer only',
  ],
  [
    'src/store/a.ts',
    "import { Level } from 'level';",
    '"level" may be imported in src/store/writer only',
  ],
  ['src/store/writer/a.ts', "import { Level } from 'level';", undefined],
  ['src/store/writer/a.ts', "import { createHandle } from './handle.ts';", undefined],
  ['src/store/a.ts', "import { x } from './writer/database.ts';", undefined],
  [
    'src/store/a.ts',
    "import type { WritingHandle } from './writer/handle.ts';",
    'src/store/writer/handle.ts may be imported in src/store/writer only',
  ],
  ['src/cli/a.ts', "import { x } from '../store/x.ts';", undefined],
  ['src/gateway.ts', "import { x } from './store/x.ts';", undefined],
  [
    'src/store/a.ts',
    "import { x } from '../gateway.ts';",
    'src/store must not import src/gateway.ts',
  ],
  ['src/store/a.ts', "import type { P } from '../delivery/ports.ts';", undefined],
  [
    'src/store/a.ts',
    "import type { L } from '../delivery/lane.ts';",
    'src/store must not import src/delivery/lane.ts',
  ],
  ['src/store/a.ts', "export * from '../amqp/x.ts';", 'src/store must not import src/amqp/x.ts'],
  [
    'src/store/a.ts',
    "const x = await import('../amqp/x.ts');",
    'src/store must not import src/amqp/x.ts',
  ],
  ['src/store/a.ts', "import '../amqp/x.ts';", 'src/store must not import src/amqp/x.ts'],
  ['src/amqp/a.ts', "import { r } from '../delivery/retry-schedule.ts';", undefined],
  [
    'src/amqp/deep/a.ts',
    "import { r } from '../../store/x.ts';",
    'src/amqp must not import src/store/x.ts',
  ],
  [
    'src/shared/a.ts',
    "import type { Config } from '../config/types.ts';",
    'src/shared must not import src/config/types.ts',
  ],
  ['src/observe/a.ts', "import type { LaneStats } from '../delivery/stats.ts';", undefined],
  [
    'src/new/a.ts',
    "import { x } from '../shared/x.ts';",
    'src/new has no entry in the import rule',
  ],
  [
    'src/store/a.ts',
    "import { x } from '../../test/helpers/x.ts';",
    'src must not import from outside: test/helpers/x.ts',
  ],
  ['src/store/a.test.ts', "import { x } from '../amqp/x.ts';", undefined],
  [
    'firmware-sim/a.ts',
    "import type { X } from '../src/shared/x.ts';",
    'firmware-sim must not share code with src: src/shared/x.ts',
  ],
  ['firmware-sim/a.ts', "import { connect } from 'amqplib';", undefined],
  ['src/store/a.ts', "export const text = 'not from ../amqp/x.ts';", undefined],
];

test.each(cases)('%s with %s', (file, line, message) => {
  expect(findViolations(file, line).map((violation) => violation.message)).toEqual(
    message === undefined ? [] : [message],
  );
});

test('A violation names the line on which the import begins', () => {
  const source = "import {\n  a,\n} from './a.ts';\n\nimport {\n  b,\n} from '../amqp/b.ts';\n";
  expect(findViolations('src/store/a.ts', source)).toEqual([
    { line: 5, message: 'src/store must not import src/amqp/b.ts' },
  ]);
});
