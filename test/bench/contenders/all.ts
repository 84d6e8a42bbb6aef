import type { Contender } from '../contender.ts';
import { bareAedes } from './bare-aedes.ts';
import { mosquittoBridge } from './mosquitto-bridge.ts';
import { rabbitmqMqttCentral } from './rabbitmq-mqtt-central.ts';
import { rabbitmqShovel } from './rabbitmq-shovel.ts';
import { tidegate } from './tidegate.ts';

/** All that take PUBLISHes, in the order of the tables. */
export const contenders: readonly Contender[] = [
  tidegate(
    'adaptive',
    'Tidegate with its defaults. PUBACK with the confirm of the central broker, or, without one in time, when the record is synced to disk.',
  ),
  tidegate(
    'disk-first',
    'Tidegate with `delivery.mode: disk-first`. PUBACK when the record is synced to disk.',
  ),
  rabbitmqShovel(
    'quorum',
    'RabbitMQ on the box, schedulers without busy waiting, memory limit 4 GB, else its defaults: MQTT plugin, a quorum queue, a Shovel (`on-confirm`) to the central broker. PUBACK when the message is synced to disk.',
  ),
  rabbitmqShovel(
    'classic',
    'The same with a durable classic queue, which most people have. PUBACK waits for a sync here too, as seen with RabbitMQ 3.10 and small messages.',
  ),
  rabbitmqMqttCentral,
  mosquittoBridge,
  bareAedes,
];

/** @throws {Error} when there is none of that name. */
export function contender(name: string): Contender {
  const found = contenders.find((each) => each.name === name);
  if (found === undefined) throw new Error(`there is no contender "${name}"`);
  return found;
}
