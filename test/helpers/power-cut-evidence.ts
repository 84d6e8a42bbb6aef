import { type Packet, parser } from 'mqtt-packet';
import { AmqpPublishes } from './power-cut-amqp.ts';
import { MARKER_BYTES, markersIn } from './power-cut-marker.ts';
import { describedFd, type SystemCall, transferred } from './strace-log.ts';

/** A PUBACK that left, and what made its message safe. Lines are those of the trace. */
export interface PubackEvidence {
  readonly marker: string;
  readonly arrivedLine: number;
  readonly pubackLine: number;
  /** Return of the first sync of the log that began after all of the message was written to it. Infinity if none. */
  readonly syncedLine: number;
  /** Arrival of the broker's confirm (basic.ack). Infinity if none. */
  readonly confirmedLine: number;
}

export interface EvidenceOptions {
  readonly calls: readonly SystemCall[];
  /** Where LevelDB's files are. */
  readonly dbDir: string;
  readonly mqttPort: number;
  readonly amqpPort: number;
}

/** Finds for each PUBACK in the trace when its message arrived and when it was safe. */
export function collectEvidence(options: EvidenceOptions): PubackEvidence[] {
  const synced = syncedLines(options);
  const amqp = new AmqpPublishes();
  const devices = new Map<string, DeviceConnection>();
  for (const call of options.calls) {
    if (!call.args.includes('<TCP:')) continue;
    const socket = describedFd(call);
    const isRead = /^(?:read|recv)/.test(call.name);
    const bytes = transferred(call);
    if (bytes.length === 0) continue;
    if (socket.includes(`:${options.mqttPort}->`)) {
      const device = devices.get(socket) ?? new DeviceConnection();
      devices.set(socket, device);
      if (isRead) device.received(bytes, call.endLine);
      else device.sent(bytes, call.startLine);
    } else if (socket.endsWith(`:${options.amqpPort}]`)) {
      if (isRead) amqp.received(socket, bytes, call.endLine);
      else amqp.sent(socket, bytes);
    }
  }
  return [...devices.values()].flatMap(({ pubacks }) =>
    pubacks.map((puback) => ({
      ...puback,
      syncedLine: synced.get(puback.marker) ?? Number.POSITIVE_INFINITY,
      confirmedLine: amqp.confirmed.get(puback.marker) ?? Number.POSITIVE_INFINITY,
    })),
  );
}

/** The packets of one MQTT connection, both ways. */
class DeviceConnection {
  readonly pubacks: { marker: string; arrivedLine: number; pubackLine: number }[] = [];
  readonly #arrived = new Map<number, { marker: string; arrivedLine: number }>();
  readonly #incoming = parser();
  readonly #outgoing = parser();
  #line = 0;

  constructor() {
    this.#incoming.on('packet', (packet) => this.#onIncoming(packet));
    this.#outgoing.on('packet', (packet) => this.#onOutgoing(packet));
  }

  received(bytes: Buffer, line: number): void {
    this.#line = line;
    this.#incoming.parse(bytes);
  }

  sent(bytes: Buffer, line: number): void {
    this.#line = line;
    this.#outgoing.parse(bytes);
  }

  #onIncoming(packet: Packet): void {
    if (packet.cmd !== 'publish') return;
    const [marker] = markersIn(packet.payload.toString('latin1'));
    if (marker === undefined) return;
    this.#arrived.set(packet.messageId ?? 0, { marker, arrivedLine: this.#line });
  }

  #onOutgoing(packet: Packet): void {
    if (packet.cmd !== 'puback') return;
    const publish = this.#arrived.get(packet.messageId ?? 0);
    if (publish === undefined) throw new Error(`a PUBACK for no PUBLISH: ${packet.messageId}`);
    this.pubacks.push({ ...publish, pubackLine: this.#line });
  }
}

/** For each marker the line of the return of the sync that covers the last of it in a log of LevelDB. */
function syncedLines({ calls, dbDir }: EvidenceOptions): Map<string, number> {
  const logs = new Map<string, LogFile>();
  const synced = new Map<string, number>();
  for (const call of calls) {
    if (call.name !== 'write' && call.name !== 'fdatasync') continue;
    const path = describedFd(call);
    if (!path.startsWith(`${dbDir}/`) || !path.endsWith('.log') || (call.result ?? -1) < 0)
      continue;
    const log = logs.get(path) ?? { written: [], tail: '' };
    logs.set(path, log);
    if (call.name === 'write')
      log.written.push({ call, text: transferred(call).toString('latin1') });
    else markSynced(log, call, synced);
  }
  return synced;
}

interface LogFile {
  /** Writes that no sync has covered so far. */
  written: { readonly call: SystemCall; readonly text: string }[];
  /** End of what is synced: a marker may begin there. */
  tail: string;
}

function markSynced(log: LogFile, sync: SystemCall, synced: Map<string, number>): void {
  const covered = log.written.filter(({ call }) => call.endLine < sync.startLine);
  log.written = log.written.slice(covered.length);
  const text = log.tail + covered.map((write) => write.text).join('');
  log.tail = text.slice(1 - MARKER_BYTES);
  // Both markers of a message lie in one batch, which ends with a sync: the later sync is the one that counts.
  for (const marker of markersIn(text)) if (!synced.has(marker)) synced.set(marker, sync.endLine);
}
