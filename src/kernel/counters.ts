// What is read on demand and never compared: packets of ports and through queues, and dropped packets by reason.
import { PORT_PREFIX } from "../model/device.ts";
import type { Counted, Counters } from "./kernel.ts";
import type { Space } from "./namespaces.ts";
import { elementsOf, keyText } from "./netlink/element.ts";
import { allLinks, allTraffic } from "./netlink/link.ts";
import type { NetlinkSocket } from "./netlink/socket.ts";
import { allQueues, isOurQueue } from "./netlink/tc.ts";
import { isOurs } from "./ownership.ts";

/** Drops, and traffic by port. */
export function countersIn({ socket }: Space, nft: NetlinkSocket): Counted {
  return { drops: dropsIn(nft), ports: socket.list(allTraffic, ({ name }) => name.startsWith(PORT_PREFIX)) };
}

/** Packets fill the set: keys are a port and, in the last four bytes, the reason. */
function dropsIn(nft: NetlinkSocket): Counted["drops"] {
  try {
    const elements = nft.list(elementsOf("drops")).flat();
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

/** What went through the queues of ours, by the link they are on. */
export function queuesIn({ socket }: Space): ReadonlyMap<string, Counters> {
  const links = socket.list(allLinks, isOurs);
  const names = new Map(links.map((link) => [link.index, link.name]));
  const queues = socket.list(allQueues, isOurQueue);
  return new Map(
    queues.flatMap(({ index, counters }) => {
      const name = names.get(index);
      return name === undefined ? [] : [[name, counters]];
    }),
  );
}
