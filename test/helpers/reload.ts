import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { eventually } from './eventually.ts';
import type { LogLine } from './gateway-process.ts';
import type { Site } from './site.ts';

const PATIENCE = { withinMs: 20_000 };

/** Gives the gateway of the site this config, asks it to reload (SIGHUP), and waits for what it logs about that. */
export async function reload(site: Site, config: object | string): Promise<LogLine> {
  const text = typeof config === 'string' ? config : JSON.stringify(config);
  await writeFile(join(site.storeDir, '..', 'config.yaml'), text);
  const answers = (): readonly LogLine[] => {
    const events = ['config-reloaded', 'config-reload-failed'];
    return site.gateway.logs().filter(({ event }) => events.includes(String(event)));
  };
  const before = answers().length;
  process.kill(site.gateway.pid, 'SIGHUP');
  return eventually(() => {
    const answer = answers()[before];
    if (answer === undefined) expect.fail('no answer to the reload in the log');
    return answer;
  }, PATIENCE);
}
