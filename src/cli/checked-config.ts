import { loadConfig, type PlacedFault } from '../config/load.ts';
import type { Config } from '../config/types.ts';
import { compileMappings, type MappingFault } from '../mapping/mapping.ts';
import { payloadFaults } from '../payload/faults.ts';
import type { GatewayError } from '../shared/errors.ts';

/**
 * The config as the gateway would run it, from the file (without one, from the defaults) and the environment. Checks
 * filters, templates, schemas and expressions too.
 * @throws {ConfigError} CONFIG_INVALID, with all faults at once.
 */
export function loadCheckedConfig(file: string | undefined): Config {
  return loadConfig({
    ...(file === undefined ? {} : { file }),
    env: process.env,
    check: (config) => [...routeFaults(config), ...payloadFaultsOf(config)],
  });
}

/** What only the compilers of schemas and expressions can tell. */
function payloadFaultsOf(config: Config): PlacedFault[] {
  return payloadFaults(config.mappings).map(({ mapping, path, message }) => {
    return { path: ['mappings', mapping, ...path], message };
  });
}

/** What only the mapping engine can tell. */
function routeFaults(config: Config): PlacedFault[] {
  try {
    compileMappings(config.mappings, config.gateway.id);
    return [];
  } catch (error) {
    const faults = (error as GatewayError).cause as readonly MappingFault[];
    return faults.map(({ mapping, path, message }) => {
      const index = config.mappings.findIndex((one) => one.name === mapping);
      return { path: ['mappings', index, ...path], message };
    });
  }
}
