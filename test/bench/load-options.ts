/** What the load process is to do. It goes to it as JSON. */
export interface LoadOptions {
  /** MQTT port on 127.0.0.1. */
  readonly port: number;
  readonly clients: number;
  /** Client identifiers are this and a number from 1. Default `c`. */
  readonly clientPrefix?: string;
  /** PUBLISHes each client has unacknowledged at most. */
  readonly window: number;
  /** Size of each payload, filled up with random text. At least 10 more than the client identifier has, for the counter. */
  readonly payloadBytes: number;
  /** In all, spread evenly. Absent: as many as `durationMs` or `stop` allow. */
  readonly messages?: number;
  /** After so long nothing more is published, in ms. */
  readonly durationMs?: number;
  /**
   * Paced over all clients. Latency then counts from the moment a message was due, so that a server that stands
   * still is charged for all that came due meanwhile. Absent: as fast as the windows allow.
   */
  readonly ratePerSecond?: number;
  /** PUBLISHes due in so long from the start are not measured, in ms. Default 0. */
  readonly warmUpMs?: number;
  /** `{client}` and `{n}`, the counter modulo `topics`. Default `devices/{client}/telemetry/bench`. */
  readonly topic?: string;
  /** Default 1. */
  readonly topics?: number;
  /** New connections a second. Default 2,000. */
  readonly connectPerSecond?: number;
}

/** Of PUBACKs, in ms; at most 1 % above the truth. */
export interface Latencies {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** What the load process saw. */
export interface LoadResult {
  readonly sent: number;
  readonly acknowledged: number;
  /** From the first PUBLISH to the last PUBACK. */
  readonly seconds: number;
  /** Acknowledged in that time. */
  readonly perSecond: number;
  readonly pubackMs: Latencies;
  /** ms since 1970, with fractions. */
  readonly firstPublishAtMs: number;
  readonly lastPubackAtMs: number;
  /** PUBACKs that were not in the order of the PUBLISHes of their client [MQTT-4.6.0-2]. */
  readonly outOfOrder: number;
  /** PUBACKs of packet identifiers that were not in flight. */
  readonly notDue: number;
  /** Of the load process itself, from `go` on. */
  readonly cpuSeconds: number;
  /** How many each client has had acknowledged, all from counter 1 on when nothing was out of order. */
  readonly acknowledgedBy: Readonly<Record<string, number>>;
  /** How many each client has sent; what is above those acknowledged may arrive or not. */
  readonly sentBy: Readonly<Record<string, number>>;
}
