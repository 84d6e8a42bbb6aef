/** A parked message as `GET /api/parked` lists it. */
export interface ListedMessage {
  readonly messageId: string;
  readonly topic: string;
  readonly clientId: string;
  readonly routingKey: string;
  readonly qos: number;
  readonly receivedAtMs: number;
  readonly payloadBytes: number;
  readonly reason: string;
  readonly detail: string;
  readonly firstAttemptMs: number;
  readonly lastAttemptMs: number;
  readonly attempts: number;
}

/** A parked message as `GET /api/parked/message` shows it. */
export interface ShownMessage extends ListedMessage {
  readonly payloadBase64: string;
  /** Only if the payload is UTF-8. */
  readonly payloadText?: string;
}

/** A gap between two columns. */
const COLUMN_GAP = '  ';

/** Rows under a head, in columns as wide as needed. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows].map((row) => row.map(printable));
  const widths = head.map((_, column) =>
    Math.max(...lines.map((row) => (row[column] ?? '').length)),
  );
  return lines
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)))
    .map((row) => row.join(COLUMN_GAP).trimEnd())
    .join('\n');
}

/** The list as a table, one line a message. */
export function listText(messages: readonly ListedMessage[]): string {
  const head = ['MESSAGE-ID', 'REASON', 'ATTEMPTS', 'LAST ATTEMPT', 'BYTES', 'TOPIC', 'DETAIL'];
  const rows = messages.map((one) => [
    one.messageId,
    one.reason,
    String(one.attempts),
    timeText(one.lastAttemptMs),
    String(one.payloadBytes),
    one.topic,
    one.detail,
  ]);
  return table(head, rows);
}

/** One message, one field a line, and its payload last. */
export function messageText(message: ShownMessage): string {
  const { payloadBase64, payloadText } = message;
  const fields: [string, string][] = [
    ['message-id', message.messageId],
    ['topic', message.topic],
    ['client id', message.clientId],
    ['routing key', message.routingKey],
    ['QoS', String(message.qos)],
    ['received', timeText(message.receivedAtMs)],
    ['reason', message.reason],
    ['detail', message.detail],
    ['first attempt', timeText(message.firstAttemptMs)],
    ['last attempt', timeText(message.lastAttemptMs)],
    ['attempts', String(message.attempts)],
    ['payload', `${message.payloadBytes} bytes${payloadText === undefined ? ', base64' : ''}`],
  ];
  const width = Math.max(...fields.map(([name]) => name.length));
  const lines = fields.map(([name, value]) => `${name.padEnd(width)}  ${printable(value)}`);
  return [...lines, '', printable(payloadText ?? payloadBase64)].join('\n');
}

/** What devices write must not command the terminal: control characters are shown as `\xNN`. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) =>
    character === '\t'
      ? ' '
      : `\\x${(character.codePointAt(0) ?? 0).toString(16).padStart(2, '0')}`,
  );
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
