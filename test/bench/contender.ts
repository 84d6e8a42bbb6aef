import type { Central } from './central.ts';

/** What a contender is given for one measurement. All of it is gone after it. */
export interface ContenderSetup {
  /** Folder for all its files; exists and is empty. */
  readonly dir: string;
  readonly central: Central;
  /** AMQP URL of the central broker as the box reaches it. Where an uplink is cut, nobody listens there yet. */
  readonly uplinkUrl: string;
  /** The durable queue at the central broker where every message must arrive. What leads there is the contender's to make. */
  readonly queue: string;
  /** What a process that writes to disk is run under, such as strace. Default nothing. */
  readonly wrapper?: readonly string[];
  /** Sections of Tidegate's config that differ from its defaults. Others have no use for it. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Tidegate's mappings, of the queue and the one mapping there would be. Default only that. */
  readonly mappings?: (queue: string, main: object) => readonly object[];
}

/** A contender that takes PUBLISHes. */
export interface RunningContender {
  /** Where devices connect to, on 127.0.0.1. */
  readonly mqttPort: number;
  /** Processes on the gateway's box, whose CPU, memory and writes count; empty where all is at the centre. */
  readonly pids: readonly number[];
  /** Ends its processes in an orderly way and starts them again on the same files; resolves when it takes PUBLISHes, with the time that the start took. */
  restart(): Promise<{ readonly running: RunningContender; readonly startMs: number }>;
  /** Ends its processes. */
  stop(): Promise<void>;
}

/** Something that takes MQTT PUBLISHes and brings them to the central queue. */
export interface Contender {
  /** As in tables. */
  readonly name: string;
  /** One sentence for the report: what it is, set up as a user would, and what its PUBACK means. */
  readonly about: string;
  start(setup: ContenderSetup): Promise<RunningContender>;
}
