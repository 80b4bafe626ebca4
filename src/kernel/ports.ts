// Ports of endpoints in the kernel, whether or not the journal has them, and what their far ends have. A far end is
// read from its port's namespace, by the id that this namespace has for the other one (IFLA_TARGET_NETNSID). So it can
// be read also where no path leads to it, and a workload's namespace is never entered. Two messages per port, some 40
// µs.
import { setImmediate } from "node:timers/promises";
import { SystemError } from "./errno.ts";
import type { PortSeen } from "./kernel.ts";
import type { Namespaces, Space } from "./namespaces.ts";
import { addressesOfLink } from "./netlink/entry.ts";
import { allLinks, type LinkInfo, linkByIndex } from "./netlink/link.ts";
import { ENDPOINT_ALIAS, isOurAddress, pathOf } from "./ownership.ts";

/** The number of ports after which the event loop gets its turn: some milliseconds. */
const TURN_PORTS = 64;

export async function portsOf(namespaces: Namespaces): Promise<PortSeen[]> {
  const ports: PortSeen[] = [];
  for (const { ns } of [namespaces.host, ...namespaces.vrfs()]) {
    const links = namespaces.use(ns, portLinks) ?? [];
    for (let from = 0; from < links.length; from += TURN_PORTS) {
      const some = links.slice(from, from + TURN_PORTS);
      // Opened again by name: the namespace may be removed or replaced while the event loop has its turn.
      namespaces.use(ns, (space) => {
        for (const link of some) {
          const endpoint = link.alias.slice(ENDPOINT_ALIAS.length);
          ports.push({ ns, name: link.name, endpoint, ...farEnd(space, link) });
        }
      });
      await setImmediate();
    }
  }
  return ports;
}

function portLinks(space: Space): LinkInfo[] {
  return space.socket.list(allLinks, ({ kind, alias }) => kind === "veth" && alias.startsWith(ENDPOINT_ALIAS));
}

/** Undefined if the workload, and with it the pair, is just being removed. */
function farEnd({ socket }: Space, { peer, peerNsid }: LinkInfo): Pick<PortSeen, "far" | "netns"> | undefined {
  // NETNSA_NSID_NOT_ASSIGNED: the namespace is being removed and has no id any more.
  if (peerNsid !== undefined && peerNsid < 0) return undefined;
  const end = socket.ask(linkByIndex(peer, peerNsid));
  if (end === undefined || end.index !== peer) return undefined;
  try {
    const found = socket.list(addressesOfLink(peer, peerNsid), (one) => one.index === peer && isOurAddress(one));
    const netns = pathOf(end);
    const far = { ifname: end.name, mac: end.mac, addresses: found.map(({ ip }) => ip) };
    return { ...(netns === undefined ? {} : { netns }), far };
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}
