// By which neighbours the host reaches others: what the kernel's routes say now, whatever tables and rules they are in.
import type { ObjectOf } from "../datapath/kinds.ts";
import { keyOf } from "../datapath/state/state.ts";
import { ipOf } from "../model/address.ts";
import type { Space } from "./namespaces.ts";
import * as k from "./netlink/constants.ts";
import { allNeighbours, readNeighbour, readRoute, routeTo } from "./netlink/entry.ts";
import { type LinkInfo, linkByIndex, readLink } from "./netlink/link.ts";
import { isManagedByOthers } from "./ownership.ts";

type Hop = ObjectOf<"hop">;

/** See Kernel.nextHops. */
export function nextHopsOf({ socket }: Space, addresses: readonly string[]): readonly Hop[] {
  const links = new Map<number, LinkInfo | undefined>();
  const linkOf = (index: number) => {
    if (!links.has(index))
      links.set(
        index,
        socket.ask(k.RTM_GETLINK, (w) => linkByIndex(w, index, undefined), readLink),
      );
    return links.get(index);
  };
  const hops = new Map<string, Hop & { readonly index: number }>();
  for (const address of addresses) {
    const ip = ipOf(address);
    const route = ip === undefined ? undefined : socket.ask(k.RTM_GETROUTE, (w) => routeTo(w, ip), readRoute);
    const link = route?.isUnicast === true ? linkOf(route.index) : undefined;
    if (route === undefined || link?.hasNeighbours !== true) continue;
    const hop = { kind: "hop", ns: "host", dev: link.name, ip: route.via === "" ? address : route.via } as const;
    hops.set(keyOf(hop), { ...hop, index: link.index });
  }
  if (hops.size === 0) return [];
  const managed = new Set(
    socket.list(k.RTM_GETNEIGH, allNeighbours, (message) => {
      const entry = readNeighbour(message);
      return isManagedByOthers(entry) ? `${entry.index} ${entry.ip}` : undefined;
    }),
  );
  return [...hops.values()]
    .filter(({ index, ip }) => !managed.has(`${index} ${ip}`))
    .map(({ index: _, ...hop }) => hop);
}
