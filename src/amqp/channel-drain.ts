import type { Readable } from 'node:stream';
import type { Channel, ChannelModel } from 'amqplib';

/** The parts of amqplib's channel that are not in its types. */
interface ChannelInternals {
  /** Channel number (AMQP 0-9-1 §4.2.3). */
  readonly ch: number;
  readonly connection: { readonly channels: readonly ({ readonly buffer: Readable } | null)[] };
}

/** What a channel that is closed still has to send. */
interface Drain {
  readonly drained: Promise<void>;
  /** Ends the wait. */
  end(): void;
}

const draining: WeakMap<ChannelModel, Map<Readable, Drain>> = new WeakMap();

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
  const buffer = bufferOf(channel);
  if (buffer !== undefined) noteDraining(model, buffer);
}

/**
 * Closes a channel that has an answer open, without waiting: its number stays taken until the broker answers the
 * channel.close. If the broker closes it at the same time, channel.close-ok waits for the socket as above.
 */
export function giveUpChannel(model: ChannelModel, channel: Channel): void {
  const buffer = bufferOf(channel);
  if (buffer === undefined) return; // closed already
  channel.on('close', () => noteDraining(model, buffer));
  channel.close().catch(() => undefined); // it is closing already, or its connection is lost
}

/** What the channel has to send and has not yet; undefined when its number is free. */
function bufferOf(channel: Channel): Readable | undefined {
  const { ch, connection } = channel as unknown as ChannelInternals;
  return connection.channels[ch]?.buffer;
}

function noteDraining(model: ChannelModel, buffer: Readable): void {
  const pending = drainsOf(model);
  const end = (): void => {
    pending.delete(buffer);
    buffer.off('end', end);
    resolve();
  };
  let resolve = (): void => undefined;
  const drained = new Promise<void>((drainedNow) => {
    resolve = drainedNow;
  });
  pending.set(buffer, { drained, end });
  buffer.on('end', end);
}

/** One listener for all of them: there may be as many as there are lanes. */
function drainsOf(model: ChannelModel): Map<Readable, Drain> {
  const known = draining.get(model);
  if (known !== undefined) return known;
  const pending = new Map<Readable, Drain>();
  draining.set(model, pending);
  model.on('close', () => {
    for (const { end } of pending.values()) end();
  });
  return pending;
}

/** Resolves when every channel number that is free may be used again; in the same turn if that is now. */
export async function numbersReusable(model: ChannelModel): Promise<void> {
  for (let pending = draining.get(model); pending !== undefined && pending.size > 0; ) {
    await Promise.all([...pending.values()].map(({ drained }) => drained));
  }
}
