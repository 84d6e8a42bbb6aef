import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorText, GatewayError } from '../shared/errors.ts';

/** The fault of a store that cannot be read or written, with what to do. */
export function unusableError(path: string, error: unknown): GatewayError {
  return new GatewayError(
    'STORE_UNUSABLE',
    `The store in ${path} cannot be used (${causeText(error)}): check that the folder exists, belongs to this user and has free space, or set store.path to another one.`,
    error,
  );
}

/** True when LevelDB found its own files wrong. */
export function isCorruption(error: unknown): boolean {
  return codes(error).includes('LEVEL_CORRUPTION');
}

/** Damage, and neither a full disk nor missing rights: mending would make those worse. */
export function isDamage(error: unknown): boolean {
  return !/no space|quota|permission|not a directory|read-only|too many open/i.test(
    `${errorText(error)} ${causeText(error)}`,
  );
}

/** True when the disk did not give out what is there: it may at another time. Reading behind an end is damage. */
export function isReadError(error: unknown): boolean {
  return /input\/output error|\bEIO\b/i.test(`${errorText(error)} ${causeText(error)}`);
}

/** True when another process has it. */
export function isLocked(error: unknown): boolean {
  return codes(error).includes('LEVEL_LOCKED');
}

function codes(error: unknown): unknown[] {
  const found = [error, error instanceof Error ? error.cause : undefined];
  return found.map((one) => (one instanceof Error && 'code' in one ? one.code : undefined));
}

/** What went wrong below. */
export function causeText(error: unknown): string {
  return errorText(error instanceof Error ? (error.cause ?? error) : error);
}

/** The fault of a store that another process has. */
export async function holderError(path: string): Promise<GatewayError> {
  const pid = await readFile(join(path, 'owner'), 'utf8').catch(() => 'unknown');
  return new GatewayError(
    'STORE_LOCKED',
    `The store in ${path} is in use by another process (pid ${pid}): stop that one, or give this gateway a store.path of its own.`,
  );
}
