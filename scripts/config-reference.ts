import type { SchemaNode } from '../src/config/json-schema.ts';

/** One line of the reference table. */
interface Row {
  readonly key: string;
  readonly node: SchemaNode;
  readonly isRequired: boolean;
}

const HEAD = `<!-- Made by \`npm run docs\` from src/config/schema.ts. Edit that, not this. -->

# Configuration

One YAML 1.2 file, given with \`--config FILE\`; without it the gateway runs on the defaults below. A key that is
not listed is a fault, and so is a value out of its range. All faults are told at once, with line and column, and a
config with faults never starts.

- Sizes are numbers of bytes, or text: \`64KiB\` (× 1024), \`10MB\` (× 1000). The unit of other numbers is in the name of the key.
- \`\${env:NAME}\` and \`\${file:PATH}\` inside a text are replaced by an environment variable and by the content of a
  file without its last line end. In a URL they must be percent-encoded.
- Any key can be set by the environment, which wins over the file: \`TIDEGATE__STORE__PATH=/data\`,
  \`TIDEGATE__AMQP__URLS__0=amqp://…\`. Upper or lower case does not matter, list entries count from 0, values are YAML
  (\`TIDEGATE__DELIVERY__WINDOW={maxMessages: 100}\`). A list that is not in the file starts from its default.
- \`SIGHUP\` (\`systemctl reload\`) loads it again while messages flow ([commands.md](commands.md#reload)). Each section says
  whether a reload takes changes over; keys that take a restart stay as they are and are named in the log.
- Editors that know JSON Schema complete and check with
  [config/tidegate.schema.json](../config/tidegate.schema.json); [config/tidegate.yaml](../config/tidegate.yaml) is an example.
`;

const TITLES: readonly string[] = ['key', 'meaning', 'unit', 'default', 'range'];

/** docs/configuration.md: a table for each section of the config, one line a key. */
export function configReference(schema: SchemaNode): string {
  const sections = Object.entries(schema.properties ?? {}).map(([name, node]) => {
    const rows = rowsOf({ key: name, node, isRequired: false });
    const mark = reloadText(liveKeys(name, node), node);
    return `## ${name}\n\n${mark}\n\n${tableOf([TITLES, ...rows.map(cellsOf)])}\n`;
  });
  return [HEAD, ...sections].join('\n');
}

/** The outermost keys that a reload takes over. */
function liveKeys(key: string, node: SchemaNode): string[] {
  if (node['x-reload'] === 'live') return [key];
  return Object.entries(node.properties ?? {}).flatMap(([name, child]) =>
    liveKeys(`${key}.${name}`, child),
  );
}

function reloadText(live: readonly string[], node: SchemaNode): string {
  if (node['x-reload'] === 'live') return 'A reload takes changes over.';
  if (live.length === 0) return 'Changes take a restart.';
  const keys = live.map((key) => `\`${key}\``).join(' and ');
  return `A reload takes changes of ${keys} over; the others take a restart.`;
}

/** A Markdown table with its columns aligned, as the formatter wants it. */
function tableOf(lines: readonly (readonly string[])[]): string {
  const widths = TITLES.map((_, column) =>
    Math.max(...lines.map((cells) => cells[column]?.length ?? 0)),
  );
  const [titles = [], ...rest] = lines;
  const rule = widths.map((width) => '-'.repeat(width));
  return [titles, rule, ...rest]
    .map(
      (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`,
    )
    .join('\n');
}

/** The rows of a section: a list or an object is told by what is in it, and by itself if it has a meaning. */
function rowsOf(row: Row): Row[] {
  const { node, key } = row;
  if (node.properties !== undefined) {
    const required = new Set(node.required);
    const own = key.includes('.') && node.description !== undefined ? [row] : [];
    const children = Object.entries(node.properties).map(([name, child]) =>
      rowsOf({ key: `${key}.${name}`, node: child, isRequired: required.has(name) }),
    );
    return [...own, ...children.flat()];
  }
  if (node.items?.properties !== undefined)
    return [row, ...rowsOf({ key: `${key}[]`, node: node.items, isRequired: false })];
  return [row];
}

function cellsOf({ key, node, isRequired }: Row): string[] {
  const fallback = isRequired ? 'required' : defaultText(node);
  return [
    `\`${key}\``,
    node.description ?? '',
    node['x-unit'] ?? '',
    fallback,
    rangeText(node),
  ].map((cell) => cell.replaceAll('|', '\\|'));
}

function defaultText(node: SchemaNode): string {
  if (node['x-default'] !== undefined) return node['x-default'];
  if (node.default === undefined) return 'none';
  return `\`${typeof node.default === 'string' ? node.default : JSON.stringify(node.default)}\``;
}

function rangeText(node: SchemaNode): string {
  if (node['x-range'] !== undefined) return node['x-range'];
  if (node.enum !== undefined) return node.enum.map((word) => `\`${word}\``).join(', ');
  if (node.type === 'boolean') return '`true`, `false`';
  if (node.type === 'array') return `${node.minItems ?? 0} to ${node.maxItems} entries`;
  if (node.minimum !== undefined) {
    const step = node.multipleOf === undefined ? '' : `, multiples of ${node.multipleOf}`;
    return `${node.minimum} to ${node.maximum}${step}`;
  }
  if (node.pattern !== undefined) return `\`${node.pattern}\``;
  if (node.maxLength !== undefined) return `${node.minLength ?? 0} to ${node.maxLength} characters`;
  return '';
}
