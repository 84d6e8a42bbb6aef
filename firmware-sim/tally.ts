/** What became of the messages of one device. */
export interface DeviceTally {
  readonly device: string;
  /** Readings taken; each has a counter. */
  measured: number;
  /** Put on the wire at least once. */
  sent: number;
  /** Of `sent`: at QoS 0, for which no acknowledgement exists. */
  sentAtQos0: number;
  /** PUBACK (QoS 1) or PUBREC (QoS 2) came: the gateway has promised to keep the message. */
  acknowledged: number;
  /** PUBLISHes with the DUP flag. */
  resent: number;
  /** Given up unsent because the memory was full. */
  dropped: number;
  /** Times that CONNACK came. */
  connections: number;
  reboots: number;
}

/** The sums of a fleet, and each device. */
export interface FleetTally extends Omit<DeviceTally, 'device'> {
  /** Sent at QoS 1 or 2 and not acknowledged. */
  readonly unacknowledged: number;
  readonly devices: readonly DeviceTally[];
}

export function emptyTally(device: string): DeviceTally {
  return {
    device,
    measured: 0,
    sent: 0,
    sentAtQos0: 0,
    acknowledged: 0,
    resent: 0,
    dropped: 0,
    connections: 0,
    reboots: 0,
  };
}

/** Sums the devices up. */
export function fleetTally(devices: readonly DeviceTally[]): FleetTally {
  const { device: _, ...sums } = emptyTally('');
  for (const each of devices) {
    for (const key of Object.keys(sums) as (keyof typeof sums)[]) sums[key] += each[key];
  }
  return { ...sums, unacknowledged: sums.sent - sums.sentAtQos0 - sums.acknowledged, devices };
}
