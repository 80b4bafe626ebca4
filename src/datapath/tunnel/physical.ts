// What a driver of physical networks is to the compiler: a port of the network's bridge, behind which is everything
// that Weft does not know. One file per driver beside this one; drivers.ts is the table.
import type { DeviceFacts } from "../../model/physical.ts";
import type { Network } from "../../model/resource.ts";
import type { KernelObject } from "../kinds.ts";
import type { Ns } from "../kinds/kind.ts";

export type PortRequest = {
  /** Whose it is. */
  readonly host: string;
  readonly ns: Ns;
  readonly network: Network;
  readonly bridge: string;
  readonly mtu: number;
  /** Of an endpoint of another host there may be further MACs, which frames show. */
  readonly hasVirtualMacs: boolean;
  /** The host's device that leads to the physical network, or the bridge of others; undefined if there is none now. */
  readonly link: DeviceFacts | undefined;
};

export type PhysicalDriver = {
  /**
   * Of the port, where the host's device of the physical network, or the bridge of others, is this one; undefined if
   * there can be none.
   */
  readonly name: (network: Network, device: string | undefined) => string | undefined;
  /**
   * What makes the port. Frames to unknown MACs go there and nowhere else, and who is behind it the bridge
   * learns. None: there is no way out now.
   */
  readonly port: (wanted: PortRequest) => readonly KernelObject[];
  /** Whether the port is the host's own device: it learns where endpoints of other hosts are, as who else is there. */
  readonly hasForeignPort: (network: Network) => boolean;
};
