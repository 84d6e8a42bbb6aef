import type { AedesOptions } from 'aedes';

type AuthorizePublish = NonNullable<AedesOptions['authorizePublish']>;
type PreConnect = NonNullable<AedesOptions['preConnect']>;

/** A PUBLISH as aedes hands it on. A will has no packet identifier and no DUP flag. */
export type Packet = Parameters<AuthorizePublish>[1];

/** A CONNECT as aedes hands it on. */
export type ConnectPacket = Parameters<PreConnect>[1];
