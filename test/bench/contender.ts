/** What a contender is given for one measurement. All of it is gone after it. */
export interface ContenderSetup {
  /** Folder for all its files; exists and is empty. */
  readonly dir: string;
  /** AMQP URL of the central broker, user guest. */
  readonly centralUrl: string;
  /** MQTT port of the central broker (its MQTT plugin). */
  readonly centralMqttPort: number;
  /**
   * The durable quorum queue at the central broker where every message must arrive; the bench has declared it.
   * What leads there is the contender's to make (an exchange, a binding).
   */
  readonly queue: string;
  /** False: the uplink is cut from the beginning; `connect` of the running contender restores it. */
  readonly isConnected: boolean;
  /** What its processes that write to disk are run under, such as strace. Default nothing. */
  readonly wrapper?: readonly string[];
  /** Sections of Tidegate's config that a scenario sets, such as `delivery`. Others ignore it. */
  readonly config?: Readonly<Record<string, object>>;
}

/** A contender that takes PUBLISHes. */
export interface RunningContender {
  /** Where devices connect to, on 127.0.0.1. RabbitMQ asks for guest / guest, the others take it. */
  readonly mqttPort: number;
  /** Processes on the gateway's box whose CPU, memory and writes count; empty where it is all at the centre. */
  readonly pids: readonly number[];
  /** Brings the uplink up that was cut from the beginning. */
  connect(): Promise<void>;
  /** Ends its processes in an orderly way and starts them again on the same files. Resolves when it takes PUBLISHes again. */
  restart(): Promise<RunningContender>;
  /** Ends its processes. */
  stop(): Promise<void>;
}

/** Something that takes MQTT PUBLISHes and brings them to the central queue, with its name in tables. */
export interface Contender {
  readonly name: string;
  /** One line for the report: what it is, as a user would set it up, and what its PUBACK means. */
  readonly about: string;
  start(setup: ContenderSetup): Promise<RunningContender>;
}
