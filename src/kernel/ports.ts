// Ports of endpoints in the kernel, whether or not the journal has them, and what their far ends have. A far end is
// read from its port's namespace, by the id that this namespace has for the other one (IFLA_TARGET_NETNSID). So it can
// be read also where no path leads to it, and a workload's namespace is never entered. Two messages per port, some 40
// µs.
import { setImmediate } from "node:timers/promises";
import { SystemError } from "./errno.ts";
import type { PortSeen } from "./kernel.ts";
import type { Namespaces, Space } from "./namespaces.ts";
import * as k from "./netlink/constants.ts";
import { addressesOfLink, readAddress } from "./netlink/entry.ts";
import { allLinks, type LinkInfo, linkByIndex, readLink } from "./netlink/link.ts";
import { ENDPOINT_ALIAS, isOurAddress, pathOf } from "./ownership.ts";

/** The number of ports after which the event loop gets its turn: some milliseconds. */
const TURN_PORTS = 64;

export async function portsOf(namespaces: Namespaces): Promise<PortSeen[]> {
  const ports: PortSeen[] = [];
  for (const { ns } of namespaces.vrfs()) {
    const links = namespaces.use(ns, portLinks) ?? [];
    for (let from = 0; from < links.length; from += TURN_PORTS) {
      const some = links.slice(from, from + TURN_PORTS);
      // Opened again by name: the namespace may be removed or replaced while the event loop has its turn.
      namespaces.use(ns, (space) => {
        for (const link of some) ports.push(portIn(space, ns.slice("vrf:".length), link));
      });
      await setImmediate();
    }
  }
  return ports;
}

function portLinks(space: Space): LinkInfo[] {
  return space.socket.list(k.RTM_GETLINK, allLinks, (message) => {
    const link = readLink(message);
    return link.kind === "veth" && link.alias.startsWith(ENDPOINT_ALIAS) ? link : undefined;
  });
}

function portIn(space: Space, vrf: string, link: LinkInfo): PortSeen {
  const port = { vrf, name: link.name, endpoint: link.alias.slice(ENDPOINT_ALIAS.length) };
  const far = farEnd(space, link);
  return far === undefined ? port : { ...port, ...far };
}

/** Undefined if the workload, and with it the pair, is just being removed. */
function farEnd({ socket }: Space, { peer, peerNsid }: LinkInfo): Pick<PortSeen, "far" | "netns"> | undefined {
  // NETNSA_NSID_NOT_ASSIGNED: the namespace is being removed and has no id any more.
  if (peerNsid !== undefined && peerNsid < 0) return undefined;
  const end = socket.ask(k.RTM_GETLINK, (w) => linkByIndex(w, peer, peerNsid), readLink);
  if (end === undefined || end.index !== peer) return undefined;
  try {
    const addresses = socket.list(
      k.RTM_GETADDR,
      (w) => addressesOfLink(w, peer, peerNsid),
      (message) => {
        const address = readAddress(message);
        return address.index === peer && isOurAddress(address) ? address.ip : undefined;
      },
    );
    const netns = pathOf(end);
    return { ...(netns === undefined ? {} : { netns }), far: { ifname: end.name, mac: end.mac, addresses } };
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}
