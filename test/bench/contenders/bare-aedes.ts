import { BenchProcess } from '../bench-process.ts';
import type { Contender, RunningContender } from '../contender.ts';

/** aedes and nothing else: the limit of the MQTT side. What it acknowledges is nowhere. */
export const bareAedes: Contender = {
  name: 'bare-aedes',
  about: 'Limit: aedes alone. PUBACK at once, the message is thrown away.',
  start: async (): Promise<RunningContender> => {
    const server = BenchProcess.start('contenders/bare-aedes-process.ts', {});
    const { port } = await server.said('listening');
    const running = {
      mqttPort: Number(port),
      pids: [server.pid],
      restart: () => Promise.reject(new Error('bare aedes keeps nothing')),
      stop: () => server.stop(),
    };
    return running;
  },
};
