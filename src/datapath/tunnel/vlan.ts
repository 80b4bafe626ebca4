// VLANs (802.1Q): each network has one of its physical network, and the device of it is a port of the network's bridge.
// An outer VLAN (802.1ad) is a device of its own, which the VLANs inside it share.
import { deviceName } from "../../model/device.ts";
import type { Network } from "../../model/resource.ts";
import { alias } from "../state/names.ts";
import type { KernelObject } from "../kinds.ts";
import { hashedMac } from "../state/names.ts";
import type { PhysicalDriver } from "./physical.ts";

export const vlan: PhysicalDriver = {
  hasForeignPort: () => false,
  name: (network, device) => (device === undefined ? undefined : nameOf(network)),
  port({ host, ns, network, link, bridge, mtu }) {
    const { parent = "", vlan: id, outerVlan: outer } = network.spec;
    if (link === undefined || id === undefined) return [];
    const name = nameOf(network);
    const around = outer === undefined ? undefined : deviceName("wo", `${parent}-${outer}`);
    const objects: KernelObject[] = [];
    if (around !== undefined && outer !== undefined)
      objects.push({
        kind: "vlan",
        ns,
        name: around,
        mtu: link.mtu,
        mac: hashedMac(around, host),
        alias: alias("physical", `${parent}-${outer}`),
        id: outer,
        link: link.name,
        linkNs: "host",
        isOuter: true,
      });
    objects.push({
      kind: "vlan",
      ns,
      name,
      mtu,
      mac: hashedMac(name, host),
      alias: alias("network", network.name),
      master: bridge,
      macs: "flooded",
      id,
      ...(around === undefined ? { link: link.name, linkNs: "host" } : { link: around, linkNs: ns }),
    });
    return objects;
  },
};

function nameOf({ name, spec: { device } }: Network): string {
  return device ?? deviceName("wv", name);
}
