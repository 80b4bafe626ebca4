// What is read on demand and never compared: packets of ports, what was dropped and why, and flows.
import type { Ns } from "../datapath/state.ts";
import type { Counted, Flow } from "./kernel.ts";
import type { Namespaces, Space } from "./namespaces.ts";
import * as k from "./netlink/constants.ts";
import { elementsOf, keyText, readElements } from "./netlink/element.ts";
import { type FlowInfo, allFlows, deleteFlow, readFlow } from "./netlink/flow.ts";
import { allLinks, readTraffic } from "./netlink/link.ts";
import { NetlinkSocket } from "./netlink/socket.ts";
import { MessageWriter } from "./netlink/wire.ts";

/** Sets that packets fill: their family, and what their keys begin with. The last four bytes are the reason. */
const DROP_SETS = [
  ["bridge", "drops", "port"],
  ["inet", "denied4", "ip4"],
  ["inet", "denied6", "ip6"],
] as const;
const DELETES_PER_SEND = 100;
const writer = new MessageWriter(32 * 1024);

/** Drops by port or address, and traffic by port. Nothing for a namespace that is not there. */
export function countersOf(namespaces: Namespaces, ns: Ns): Counted {
  return (
    namespaces.use(ns, (space) => {
      const nft = netfilterSocket(namespaces, space);
      try {
        const drops = DROP_SETS.flatMap(([family, set, field]) => dropsIn(nft, family, set, field));
        return { drops, ports: portsOf(space) };
      } finally {
        nft.close();
      }
    }) ?? { drops: [], ports: [] }
  );
}

function dropsIn(nft: NetlinkSocket, family: "inet" | "bridge", set: string, field: "port" | "ip4" | "ip6") {
  try {
    const elements = nft.list(k.NFT_MSG_GETSETELEM, (w) => elementsOf(w, family, set), readElements).flat();
    return elements.map(({ key, packets }) => ({
      key: keyText([field], key) ?? "",
      reason: key.readUInt32LE(key.length - 4),
      packets,
    }));
  } catch {
    // A table without groups has no such set.
    return [];
  }
}

function portsOf(space: Space): Counted["ports"] {
  return space.socket.list(k.RTM_GETLINK, allLinks, readTraffic).filter(({ name }) => name.startsWith("wp"));
}

/** Ends the flows for which `isAllowed` says no; how many. */
export function cutFlows(namespaces: Namespaces, ns: Ns, isAllowed: (flow: Flow) => boolean): number {
  return (
    namespaces.use(ns, (space) => {
      const socket = netfilterSocket(namespaces, space);
      try {
        const doomed = socket
          .list(k.CTNL_MSG_CT_GET, allFlows, readFlow)
          .filter((flow) => flow.source !== "" && !isAllowed(flow));
        for (let from = 0; from < doomed.length; from += DELETES_PER_SEND)
          deleteAll(socket, doomed.slice(from, from + DELETES_PER_SEND));
        return doomed.length;
      } finally {
        socket.close();
      }
    }) ?? 0
  );
}

/** One that ended by itself meanwhile is no error, and nothing can be done about another. */
function deleteAll(socket: NetlinkSocket, flows: readonly FlowInfo[]): void {
  writer.reset();
  for (const flow of flows) deleteFlow(writer, socket.nextSeq(), flow);
  if (writer.count > 0) socket.exchange(writer, () => undefined);
}

function netfilterSocket(namespaces: Namespaces, space: Space): NetlinkSocket {
  return namespaces.within(space.fd, () => new NetlinkSocket(k.NETLINK_NETFILTER));
}
