import type { AmqpConnection } from './amqp/connection.ts';
import { IdClaim } from './amqp/id-claim.ts';
import type { Config } from './config/types.ts';
import type { Log } from './observe/log.ts';

const ID_TAKEN =
  'another gateway with this gateway.id is connected to this broker: consumers cannot tell the devices and seqs of the two ' +
  'apart; give one of them another gateway.id';

const ID_UNCLAIMED =
  'the gateway.id could not be claimed at the broker: a second gateway with it would not be noticed';

const ID_FREE = 'no other gateway with this gateway.id is connected any more';

/** The claim of the gateway's id, which tells the log. Not started yet. */
export function createIdClaim(
  { amqp, gateway }: Pick<Config, 'amqp' | 'gateway'>,
  connection: AmqpConnection,
  log: Log,
): IdClaim {
  const fields = { gateway: gateway.id };
  return new IdClaim({
    gatewayId: gateway.id,
    connection,
    heartbeatMs: amqp.heartbeatMs,
    listener: {
      taken: () => log.error({ event: 'gateway-id-taken', ...fields }, ID_TAKEN),
      over: () => log.info({ event: 'gateway-id-free', ...fields }, ID_FREE),
      unable: (reason) =>
        log.info({ event: 'gateway-id-unclaimed', ...fields, reason }, ID_UNCLAIMED),
    },
  });
}
