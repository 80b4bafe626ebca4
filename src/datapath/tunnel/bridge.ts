// A plain bridge: the host's device that leads to the physical network is a port of the network's bridge, and frames
// cross as they are. Without a physical network the bridge leads nowhere, and each host has a segment of its own.
import type { KernelObject } from "../kinds.ts";
import type { PhysicalDriver } from "./physical.ts";

export const bridge: PhysicalDriver = {
  name: (_, device) => device,
  port({ bridge: master, link }) {
    if (link === undefined) return [];
    const port: KernelObject = { kind: "port", ns: "host", dev: link.name, master, macs: "flooded" };
    return [port];
  },
  hasForeignPort: true,
};
