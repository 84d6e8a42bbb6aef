import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';

/** Files that tell machines apart: of the installation, of a Raspberry Pi, of a PC or a virtual machine (root only). */
const SOURCES: readonly (readonly [name: string, path: string])[] = [
  ['id', '/etc/machine-id'],
  ['serial', '/proc/device-tree/serial-number'],
  ['uuid', '/sys/class/dmi/id/product_uuid'],
];
/** machine-id(5) asks that it is not given away as it is, but hashed with a key of the application. */
const HASH_KEY = 'tidegate store';
const HASH_LENGTH = 16;
/** Some boards leave these to be filled in, and systemd writes this into images: they tell nothing. */
const NO_VALUE = /^(?:|[0f-]+|uninitialized)$/i;

/**
 * What tells this machine from others, hashed, as far as it can be read: `id=… serial=…`. Undefined when there is
 * nothing. Never fails.
 */
export async function readMachine(
  read: (path: string) => Promise<string> = (path) => readFile(path, 'utf8'),
): Promise<string | undefined> {
  const parts: string[] = [];
  for (const [name, path] of SOURCES) {
    const value = trimmed(await read(path).catch(() => ''));
    if (!NO_VALUE.test(value)) parts.push(`${name}=${hashOf(value)}`);
  }
  return parts.length === 0 ? undefined : parts.join(' ');
}

/**
 * True when anything that is known of both differs. What only one of them has says nothing: another user may not be
 * allowed to read it.
 */
export function isAnotherMachine(one: string, other: string): boolean {
  const known = new Map(one.split(' ').map(nameAndHash));
  return other
    .split(' ')
    .map(nameAndHash)
    .some(([name, hash]) => (known.get(name) ?? hash) !== hash);
}

/** A device tree ends its texts with a zero byte. */
function trimmed(text: string): string {
  return text.replaceAll('\0', '').trim();
}

function hashOf(value: string): string {
  return createHmac('sha256', HASH_KEY).update(value).digest('hex').slice(0, HASH_LENGTH);
}

function nameAndHash(part: string): [string, string] {
  const [name = '', hash = ''] = part.split('=');
  return [name, hash];
}
