import type { Config } from '../config/types.ts';
import { Gateway } from '../gateway.ts';
import { createLogger, type RootLog } from '../observe/log.ts';
import { errorText, GatewayError } from '../shared/errors.ts';
import { loadCheckedConfig } from './checked-config.ts';
import { EXIT_USAGE } from './exit-code.ts';
import { VERSION } from './version.ts';

/** Exit codes of the command, as documented in the README. */
const EXIT_OK = 0;
const EXIT_FAILED = 1;

/**
 * `tidegate run`: runs the gateway until SIGTERM or SIGINT.
 * Resolves with the exit code: 0 stopped, 1 could not start or failed, 2 the config has faults.
 */
export async function run(options: { readonly config?: string }): Promise<number> {
  const config = load(options.config);
  if (config === undefined) return EXIT_USAGE;
  const log = createLogger({ level: config.log.level });
  endOnUnknownFault(log);
  const gateway = new Gateway({ config, log, version: VERSION });
  const reload = heedHangups();
  const stopAsked = stopSignal(); // one that comes during the start is heeded after it
  try {
    const listeners = await gateway.start();
    log.info({ event: 'ready', version: VERSION, gateway: config.gateway.id, listeners }, 'ready');
  } catch (err) {
    log.error({ event: 'start-failed', err }, errorText(err));
    process.stderr.write(`tidegate: ${errorText(err)}\n`);
    await log.flush();
    return EXIT_FAILED;
  }
  reload(() => gateway.reload(() => loadCheckedConfig(options.config)));
  const signal = await stopAsked;
  log.info({ event: 'stopping', signal }, 'stopping; a second signal stops at once');
  process.once(signal, () => process.exit(EXIT_FAILED));
  await gateway.stop();
  log.info({ event: 'stopped' }, 'stopped');
  await log.flush();
  return EXIT_OK;
}

function load(file: string | undefined): Config | undefined {
  try {
    return loadCheckedConfig(file);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return undefined;
  }
}

/** After a fault nobody foresaw the state in memory is not trusted: the store is, at the next start. */
function endOnUnknownFault(log: RootLog): void {
  const end = (err: unknown): void => {
    log.error({ event: 'fault', err }, 'unknown fault; stopping so that a supervisor restarts');
    void log.flush().finally(() => process.exit(EXIT_FAILED));
  };
  process.on('uncaughtException', end);
  process.on('unhandledRejection', end);
}

/**
 * From now on a SIGHUP does not end the process. The returned function says what it does instead; one that came
 * before takes effect then.
 */
function heedHangups(): (reload: () => Promise<void>) => void {
  let came = false;
  let reload = async (): Promise<void> => {
    came = true;
  };
  process.on('SIGHUP', () => void reload());
  return (doReload) => {
    reload = doReload;
    if (came) void reload();
  };
}

/** The first of either signal; the next one, whichever it is, ends the process at once. */
function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const stop = (signal: NodeJS.Signals): void => {
      process.off('SIGTERM', stop);
      process.off('SIGINT', stop);
      resolve(signal);
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
  });
}
