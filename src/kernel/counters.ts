// What is read on demand and never compared: packets of ports, and dropped packets by reason.
import type { Ns } from "../datapath/kinds/kind.ts";
import type { Counted } from "./kernel.ts";
import type { Namespaces, Space } from "./namespaces.ts";
import * as k from "./netlink/constants.ts";
import { elementsOf, keyText, readElements } from "./netlink/element.ts";
import { allLinks, readTraffic } from "./netlink/link.ts";
import { NetlinkSocket } from "./netlink/socket.ts";
import { PORT_PREFIX } from "../model/device.ts";

/** Drops, and traffic by port. Empty if the namespace does not exist. */
export function countersOf(namespaces: Namespaces, ns: Ns): Counted {
  return (
    namespaces.use(ns, (space) => {
      const nft = netfilterSocket(namespaces, space);
      try {
        return { drops: dropsIn(nft), ports: portsOf(space) };
      } finally {
        nft.close();
      }
    }) ?? { drops: [], ports: [] }
  );
}

/** Packets fill the set: keys are a port and, in the last four bytes, the reason. */
function dropsIn(nft: NetlinkSocket): Counted["drops"] {
  try {
    const elements = nft.list(k.NFT_MSG_GETSETELEM, (w) => elementsOf(w, "drops"), readElements).flat();
    return elements.map(({ key, packets }) => ({
      port: keyText(["port"], key) ?? "",
      reason: key.readUInt32LE(key.length - 4),
      packets,
    }));
  } catch {
    // This namespace has no endpoints.
    return [];
  }
}

function portsOf(space: Space): Counted["ports"] {
  return space.socket.list(k.RTM_GETLINK, allLinks, readTraffic).filter(({ name }) => name.startsWith(PORT_PREFIX));
}

function netfilterSocket(namespaces: Namespaces, space: Space): NetlinkSocket {
  return namespaces.within(space.fd, () => new NetlinkSocket(k.NETLINK_NETFILTER));
}
