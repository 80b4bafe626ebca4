// Two tunnels as ports of one bridge, while a conversion goes from one to the other. Entries of the bridge say which of
// them a unicast frame takes; what goes to all must take one of them, else it would arrive twice. The kernel's flags of
// ports cannot be exchanged in one step, but the elements of a set can: with flags, 9 of 1,250 broadcasts arrived twice
// or 275 not at all, with the set none of either.
import type { Network, Vrf } from "../../model/resource.ts";
import { macsOf } from "../world/layout.ts";
import { nsOf } from "../world/placement.ts";
import { waysOf } from "../world/ways.ts";
import type { World } from "../world/world.ts";
import { declared } from "../kinds/tables.ts";
import type { ObjectOf } from "../kinds.ts";
import { TARGET_HEARD } from "./learning.ts";
import { chain } from "./tableParts.ts";

const TARGET = "oifname . @ll,0,48";

/** Whether a switched network of these has two tunnels. */
export function isClosing(world: World, vrf: Vrf, networks: readonly Network[]): boolean {
  return networks.some((network) => network.spec.ipam === "global" && waysOf(world, vrf, network).length > 1);
}

/** What comes from the bridge's namespace itself is not forwarded, so this is where both leave. */
export function closingChain(networks: readonly Network[]): string {
  const floods = networks.some((network) => macsOf(network) === "flooded");
  return (
    declared("closed") +
    chain("closing", [
      "type filter hook postrouting priority -310; policy accept;",
      "oifname != @closed accept",
      "ether daddr & 01:00:00:00:00:00 != 00:00:00:00:00:00 drop",
      // A frame to an unknown MAC goes to all as well.
      ...(floods ? ["oifname != @floods accept", `${TARGET} @macs accept`, `${TARGET_HEARD} accept`, "drop"] : []),
    ])
  );
}

/** Of a tunnel that this host does not send by. */
export function closedElement(vrf: Vrf, port: string): ObjectOf<"element"> {
  return { kind: "element", ns: nsOf(vrf), set: "closed", key: port };
}
