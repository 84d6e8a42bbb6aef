import { crc32 } from 'node:zlib';

const CHECKSUM_BYTES = 4;

/** The value with a CRC-32 over its key and itself in front: LevelDB does not notice a flipped bit in a table. */
export function seal(key: Buffer, value: Buffer): Buffer {
  const checksum = Buffer.allocUnsafe(CHECKSUM_BYTES);
  checksum.writeUInt32BE(crc32(value, crc32(key)), 0);
  return Buffer.concat([checksum, value]);
}

/** The inverse of {@link seal}; undefined when it is damaged or there is none. */
export function unseal(key: Buffer, sealed: Buffer | undefined): Buffer | undefined {
  if (sealed === undefined || sealed.length < CHECKSUM_BYTES) return undefined;
  const value = sealed.subarray(CHECKSUM_BYTES);
  return sealed.readUInt32BE(0) === crc32(value, crc32(key)) ? value : undefined;
}
