import { propertiesOf } from '../amqp/amqp-message.ts';
import type { Config } from '../config/types.ts';
import type { ParkReason } from '../delivery/ports.ts';
import { Ingest, type IngestLane } from '../ingest/ingest.ts';
import { LaneChecks, payloadRules } from '../lane-checks.ts';
import { compileRoutes, type RouteTable } from '../mapping/route-table.ts';
import type { ProcessProgram } from '../payload/checking-process.ts';
import type { DeviceMessage, HeaderValue, MappedMessage } from '../shared/message.ts';
import { promised } from '../shared/receipt.ts';

/** An AMQP message as it would be published. */
export interface DryPublish {
  readonly exchange: string;
  readonly routingKey: string;
  /** Basic properties by their names in a config, `headers` apart (AMQP 0-9-1 §1.8.3). */
  readonly properties: Readonly<Record<string, string | number>>;
  /** Those of the mapping and those of the gateway. */
  readonly headers: Readonly<Record<string, HeaderValue>>;
  readonly body: Buffer;
}

/** What one mapping makes of a message. */
export type LaneOutcome =
  | { readonly kind: 'published'; readonly lane: string; readonly publish: DryPublish }
  | {
      readonly kind: 'parked';
      readonly lane: string;
      readonly reason: ParkReason;
      readonly detail: string;
    }
  /** Its `when` or `transform` says that the message is not for this lane. */
  | { readonly kind: 'filtered'; readonly lane: string };

/** What becomes of a message: in each mapping that gets it, in order, or that none does. */
export type DryOutcome =
  | { readonly kind: 'mapped'; readonly lanes: readonly LaneOutcome[] }
  | { readonly kind: 'unmatched' }
  | { readonly kind: 'too-large' };

/** Epoch, run and seq of a message that never arrives: the first real ones are 1. */
const NO_IDENTITY = { epoch: 0, run: '0'.repeat(16), seq: 0 };

/**
 * Sends messages through the parts of the running gateway that decide what becomes of them (ingest, route table, payload
 * checks, the fields of the AMQP message), with lanes that only take notes.
 */
export class DryRun {
  readonly #config: Config;
  readonly #routes: RouteTable;
  readonly #checks: LaneChecks;
  readonly #ingest: Ingest;
  #outcomes = new Map<string, LaneOutcome>();

  /** `program` is the checking process, for tests that run the source. */
  constructor(config: Config, program?: ProcessProgram) {
    this.#config = config;
    const { gateway, routing, mqtt } = config;
    this.#routes = compileRoutes(config.mappings, { gatewayId: gateway.id, match: routing.match });
    this.#checks = new LaneChecks(payloadRules(config), {
      maxPendingBytes: mqtt.maxPendingBytes,
      ...(program === undefined ? {} : { program }),
      onTrouble: () => undefined, // the outcome of the message tells it
    });
    this.#ingest = new Ingest({
      route: (message) => this.#routes.route(message),
      lanes: new Map(config.mappings.map(({ name }) => [name, this.#laneThatNotes(name)])),
      checks: this.#checks.byLane,
      maxPayloadBytes: mqtt.maxPayloadBytes,
      maxPendingBytes: mqtt.maxPendingBytes,
    });
  }

  start(): void {
    this.#checks.start();
  }

  /** Ends the processes that check payloads. */
  close(): Promise<void> {
    return this.#checks.close();
  }

  /** What becomes of the message. One at a time. */
  async run(message: DeviceMessage): Promise<DryOutcome> {
    if (message.payload.length > this.#config.mqtt.maxPayloadBytes) return { kind: 'too-large' };
    this.#outcomes = new Map();
    await promised((receipt) => this.#ingest.accept(message, receipt));
    const lanes = this.#routes.route(message).map(({ lane }): LaneOutcome => {
      return this.#outcomes.get(lane) ?? { kind: 'filtered', lane };
    });
    return lanes.length === 0 ? { kind: 'unmatched' } : { kind: 'mapped', lanes };
  }

  #laneThatNotes(lane: string): IngestLane {
    return {
      accept: (message, routingKey, receipt) => {
        const publish = this.#publishOf(lane, message, routingKey);
        this.#outcomes.set(lane, { kind: 'published', lane, publish });
        receipt.safe();
      },
      park: async (_message, { reason, detail }) => {
        this.#outcomes.set(lane, { kind: 'parked', lane, reason, detail });
      },
    };
  }

  #publishOf(lane: string, mapped: MappedMessage, routingKey: string): DryPublish {
    const message = { ...mapped, gatewayId: this.#config.gateway.id, routingKey, ...NO_IDENTITY };
    const { headers, ...properties } = propertiesOf(message, lane);
    const mapping = this.#config.mappings.find(({ name }) => name === lane);
    return {
      exchange: mapping?.exchange.name ?? '',
      routingKey,
      properties: { ...properties },
      headers,
      body: message.payload,
    };
  }
}
