// Plain bridges: frames cross as they are.
//
//   wb-blue ===eth1                                a physical network, for this network alone
//   wb-blue ===wj-blue==wk-blue=== docker0         a bridge of another program's
//   wb-blue ===wj-blue==wl-blue=== wbi-lan ===eth1 islands: networks that share a physical network,
//   wb-red  ===wj-red===wl-red==== wbi-lan         or a bridge of another program's
//
// Without any of it the bridge leads nowhere, and each host has a segment of its own. Of a bridge of others nothing is
// set, and a port of ours never lowers its MTU or its MAC: one whose MTU nobody set takes the least of its ports
// (br_mtu_auto_adjust), and so it is with its MAC.
import { bridgeOfOthers, islandsBridge, sharedBridge } from "../../model/bridges.ts";
import { deviceName } from "../../model/device.ts";
import { ETHERNET_MTU } from "../../model/mtu.ts";
import type { Network } from "../../model/resource.ts";
import type { KernelObject, ObjectOf } from "../kinds.ts";
import { alias, hashedMac, plugMac } from "../state/names.ts";
import type { PhysicalDriver, PortRequest } from "./physical.ts";

/** What far ends begin with: of islands, and of other networks. */
export const ISLAND_PREFIX = "wl-";
export const PLUG_PREFIX = "wk-";

export const bridge: PhysicalDriver = {
  name({ name, spec }, device) {
    return device !== undefined && sharedBridge(spec) !== undefined ? deviceName("wj", name) : device;
  },
  port(wanted) {
    const { host, bridge: master, link, network } = wanted;
    if (link === undefined) return [];
    const shared = sharedBridge(network.spec);
    if (shared === undefined) return [portOf(link.name, master)];
    return [...islands(host, network, link), ...plugged(wanted, shared, link.mtu)];
  },
  hasForeignPort: ({ spec }) => sharedBridge(spec) === undefined,
};

function portOf(dev: string, master: string): ObjectOf<"port"> {
  return { kind: "port", ns: "host", dev, master, macs: "flooded" };
}

/** The bridge of all islands on a physical network: each of them says the same of it. */
function islands(host: string, { spec }: Network, link: NonNullable<PortRequest["link"]>): readonly KernelObject[] {
  const name = islandsBridge(spec);
  if (name === undefined) return [];
  return [
    {
      kind: "bridge",
      ns: "host",
      name,
      mtu: link.mtu,
      mac: hashedMac(name, host),
      alias: alias("physical", spec.parent ?? ""),
      forgets: true,
    },
    portOf(link.name, name),
  ];
}

/** Only a network that is no island gets frames to MACs that Weft does not know, or learns who else is there. */
function plugged(
  { host, ns, network, bridge, mtu, hasVirtualMacs }: PortRequest,
  into: string,
  most: number,
): KernelObject[] {
  const isIsland = network.spec.isolated === true;
  const [near, far] = [deviceName("wj", network.name), deviceName(isIsland ? "wl" : "wk", network.name)];
  const isOthers = bridgeOfOthers(network.spec) !== undefined;
  return [
    {
      kind: "veth",
      ns,
      name: near,
      mtu,
      mac: hashedMac(near, host),
      alias: alias("plug", network.name),
      master: bridge,
      ...(!isIsland || hasVirtualMacs ? { macs: "flooded" } : {}),
      peer: { ns: "host", name: far, mtu: isOthers ? Math.max(most, ETHERNET_MTU) : most, mac: plugMac(far, host) },
    },
    { kind: "plug", ns: "host", dev: far, master: into },
  ];
}
