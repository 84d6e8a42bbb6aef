import { connect } from 'amqplib';
import type { Contender } from '../contender.ts';

/** Devices that publish to the central broker itself: nothing is on the box, and nothing holds when the link is gone. */
export const rabbitmqMqttCentral: Contender = {
  name: 'rabbitmq-mqtt-central',
  about:
    'No gateway: devices publish to the MQTT plugin of the central RabbitMQ. PUBACK comes with the confirm of the central queue; with the link gone there is none.',
  start: async ({ central, queue }) => {
    const model = await connect(central.url);
    const channel = await model.createChannel();
    await channel.bindQueue(queue, 'amq.topic', 'devices.#');
    await model.close();
    const running = {
      mqttPort: central.mqttPort,
      pids: [],
      restart: async () => ({ running, startMs: 0 }),
      stop: async () => undefined, // the binding goes with its queue
    };
    return running;
  },
};
