/** Name of the mapping, so of the lane, and of its exchange and queue. */
export const TELEMETRY = 'telemetry';

export interface GatewayAddresses {
  readonly mqttPort: number;
  readonly adminPort: number;
  /** The uplink: the proxy before the broker. */
  readonly amqpUrl: string;
  readonly storePath: string;
}

/** The config file of the demo's gateway (YAML). */
export function gatewayConfig(addresses: GatewayAddresses): string {
  const { mqttPort, adminPort, amqpUrl, storePath } = addresses;
  return `gateway: { id: demo-site }
mqtt:
  listeners:
    - { host: 127.0.0.1, port: ${mqttPort} }
store:
  path: ${JSON.stringify(storePath)}
amqp:
  urls: [${JSON.stringify(amqpUrl)}]
mappings:
  - name: ${TELEMETRY}
    filter: devices/+device/telemetry/#metric
    exchange: { name: ${TELEMETRY}, type: topic, declare: true }
    routingKey: "\${device}.\${metric}"
    queues:
      - { name: ${TELEMETRY}, type: quorum, bindingKey: "#" }
admin: { host: 127.0.0.1, port: ${adminPort} }
`;
}
