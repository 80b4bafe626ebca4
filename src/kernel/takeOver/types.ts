// What the host itself has on a device, as values.

export type HostUse = {
  readonly device: string;
  readonly index: number;
  readonly mac: string;
  /** `rp_filter` of the device. */
  readonly rpFilter: number;
  readonly addresses: readonly UsedAddress[];
  readonly routes: readonly UsedRoute[];
  /** Routes that the kernel makes with an address. */
  readonly connected: readonly UsedRoute[];
  readonly neighbours: readonly UsedNeighbour[];
  /** Whether the kernel tells who made an address: Weft's own on a bridge must be told from the host's. */
  readonly keepsProtocols: boolean;
};

/** As the kernel tells it; seconds of lifetimes, 4294967295 without an end. */
export type UsedAddress = {
  /** Its own, with length. */
  readonly cidr: string;
  /** The other end's, or its own. */
  readonly peer: string;
  readonly broadcast: string;
  readonly label: string;
  readonly flags: number;
  readonly scope: number;
  readonly metric: number;
  readonly protocol: number;
  readonly preferredS: number;
  readonly validS: number;
};

export type UsedRoute = {
  readonly dst: string;
  readonly via: string;
  readonly table: number;
  readonly metric: number;
  readonly tos: number;
  readonly protocol: number;
  readonly hasNexthopId: boolean;
  /** The message that tells it, behind the header, in hexadecimal: nothing of a route gets lost. */
  readonly body: string;
};

export type UsedNeighbour = { readonly ip: string; readonly mac: string; readonly isPermanent: boolean };

/** Of a lifetime: without an end. */
export const FOREVER_S = 0xffff_ffff;

/** What was saved of a device before it was taken over, and whether what is on the bridge now is all that goes back. */
export type GivenBack = { readonly use: HostUse; readonly bridge: string; readonly isSure: boolean };
