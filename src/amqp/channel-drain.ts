import type { Readable } from 'node:stream';
import type { Channel, ChannelModel } from 'amqplib';

/** The parts of amqplib's channel that are not in its types. */
interface ChannelInternals {
  /** Channel number (AMQP 0-9-1 §4.2.3). */
  readonly ch: number;
  readonly connection: { readonly channels: readonly ({ readonly buffer: Readable } | null)[] };
}

const draining: WeakMap<ChannelModel, Set<Promise<void>>> = new WeakMap();

/**
 * Notes that the broker has closed a channel. To be called in its `error` event, while amqplib still holds
 * the channel's number.
 *
 * amqplib frees the number at once, but what the channel had left to send, with channel.close-ok as the
 * last, still waits for the socket, and a new channel's frames are put before it. When the new one gets
 * the same number, the broker, which waits for close-ok, throws its channel.open away, and its next frame
 * costs the connection of all lanes.
 */
export function noteClosedByBroker(model: ChannelModel, channel: Channel): void {
  const { ch, connection } = channel as unknown as ChannelInternals;
  const buffer = connection.channels[ch]?.buffer;
  if (buffer === undefined) return;
  const pending = draining.get(model) ?? new Set();
  draining.set(model, pending);
  const drained = new Promise<void>((resolve) => {
    const onDrained = (): void => {
      buffer.off('end', onDrained);
      model.off('close', onDrained);
      pending.delete(drained);
      resolve();
    };
    buffer.on('end', onDrained);
    model.on('close', onDrained);
  });
  pending.add(drained);
}

/** Resolves when every channel number that is free may be used again; in the same turn if that is now. */
export async function numbersReusable(model: ChannelModel): Promise<void> {
  for (let pending = draining.get(model); pending !== undefined && pending.size > 0; ) {
    await Promise.all(pending);
  }
}
