import { expect, test } from 'vitest';
import { FrameGuard } from './frame-guard.ts';

const MAX_PAYLOAD_BYTES = 1000;
const OVERHEAD_BYTES = 65_535 + 16;
const CONNECT = [0x10, 2, 0, 0];

/** The first bytes of a frame with that remaining length. */
function header(first: number, remaining: number): number[] {
  const bytes = [first];
  let rest = remaining;
  do {
    bytes.push((rest % 128) + (rest >= 128 ? 128 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return bytes;
}

function connected(): FrameGuard {
  const guard = new FrameGuard(MAX_PAYLOAD_BYTES);
  expect(guard.follow(Uint8Array.from(CONNECT))).toBeUndefined();
  return guard;
}

test('a frame of exactly the limit passes and one byte more does not', () => {
  const body = MAX_PAYLOAD_BYTES + OVERHEAD_BYTES - 4; // fixed header: 1 byte and 3 of length
  expect(connected().follow(Uint8Array.from(header(0x30, body)))).toBeUndefined();
  expect(connected().follow(Uint8Array.from(header(0x30, body + 1)))).toBe('frame_too_large');
});

test('before CONNECT the limit is 128 KiB whatever the payload limit is', () => {
  for (const maxPayloadBytes of [1, 131_072 - OVERHEAD_BYTES, 1024 ** 2]) {
    const follow = (first: number, remaining: number) =>
      new FrameGuard(maxPayloadBytes).follow(Uint8Array.from(header(first, remaining)));
    expect(follow(0x10, 131_072 - 4)).toBeUndefined();
    expect(follow(0x10, 131_072 - 3)).toBe('frame_too_large');
    expect(follow(0x30, 10)).toBe('connect_expected');
  }
});

test('the fault is found at the same byte wherever the stream is cut', () => {
  const stream = [...CONNECT, ...header(0x32, 300), ...Array(300).fill(0xff), 0xc0, 0];
  const broken = [...stream, 0x30, 0xff, 0xff, 0xff, 0xff];
  for (let size = 1; size <= broken.length; size++) {
    const guard = new FrameGuard(MAX_PAYLOAD_BYTES);
    const faults: unknown[] = [];
    for (let at = 0; at < broken.length; at += size) {
      faults.push(guard.follow(Uint8Array.from(broken.slice(at, at + size))));
    }
    expect(faults.at(-1)).toBe('malformed_length');
    expect(faults.slice(0, -1)).toEqual(Array(faults.length - 1).fill(undefined));
  }
});

test('an empty body ends its frame at once', () => {
  const guard = connected();
  expect(guard.follow(Uint8Array.of(0xc0, 0, 0xc0, 0, 0x30, 0xff, 0xff, 0xff, 0x7f))).toBe(
    'frame_too_large',
  );
});
