// Limits for bridges that learn from frames (networks whose `spoofing` allows any MAC): how many MACs one port may
// teach its bridge, and how many frames to unknown MACs are flooded. The kernel limits only what a bridge learns as a
// whole (fdb_max_learned, 6.7) and floods without a limit. So both limits are rules in the tables of VRFs with such a
// network, and in no other.
import type { Network, Vrf } from "../../model/resource.ts";
import { nsOf } from "../world/placement.ts";
import { tunnelMacsOf } from "../world/layout.ts";
import type { ObjectOf } from "../kinds.ts";
import type { Macs } from "../kinds/links.ts";
import { ANY_MAC, NOT_FROM_PORT, STORM, chain, lacks } from "./tableParts.ts";

/**
 * What a port may teach, beside what is its endpoint's: 128 MACs at once, and two a minute. A MAC is counted when it is
 * new, and again after 55 minutes; a bridge forgets it five minutes after its last frame. So a port has never more than
 * 128 + 60 × 2 = 248 of a bridge's.
 */
const NEW = "rate over 2/minute burst 128 packets";
const COUNTED = "55m";
/** Longer than what a port has used up takes to come back. */
const ALL_BACK = "65m";
/** As a bridge forgets (AGEING): a frame to a MAC that has said nothing for as long goes to all. */
const HEARD = "5m";

const SOURCE = "iifname . @ll,48,48";
const TARGET = "oifname . @ll,0,48";

/** Chains of `bridge weft`; none if no bridge learns. `isOpen`: no other chain there has marked what a port sends. */
export function learningChains(networks: readonly Network[], isOpen: boolean, place: "host" | "own" = "own"): string {
  const kinds = new Set(networks.map(tunnelMacsOf));
  const passes = passing(isOpen, place);
  if (kinds.has("flooded")) return shares(passes, "goto heard") + flooding();
  return kinds.has("learned") ? shares(passes, "accept") : "";
}

/** What is not counted: frames from no port, and those that may not have any MAC, as another chain's mark says. */
function passing(isOpen: boolean, place: "host" | "own"): readonly string[] {
  if (isOpen) return [NOT_FROM_PORT];
  // There a frame of others may have any mark.
  return place === "host" ? [NOT_FROM_PORT, lacks(ANY_MAC)] : [lacks(ANY_MAC)];
}

/** Behind all other filters: what is dropped teaches nothing. */
function shares(passes: readonly string[], then: string): string {
  return (
    `set shares { typeof ${SOURCE}; size 65536; flags dynamic,timeout; }\n` +
    `set newcomers { type ifname; size 65535; flags dynamic,timeout; timeout ${ALL_BACK}; }\n` +
    (then === "accept" ? "" : heard()) +
    chain("sources", [
      "type filter hook prerouting priority -200; policy accept;",
      ...passes.map((which) => `${which} ${then}`),
      // In entries that no frame moves.
      `${SOURCE} @macs accept`,
      `${SOURCE} @shares ${then}`,
      `update @newcomers { iifname limit ${NEW} } goto drop_15`,
      // Not again while it is there: else a port could keep what it has, and get more.
      `add @shares { ${SOURCE} timeout ${COUNTED} } ${then}`,
      "goto drop_15",
    ])
  );
}

function heard(): string {
  return (
    `set heard { typeof ${SOURCE}; size 65536; flags dynamic,timeout; }\n` +
    chain("heard", [`iifname @floods update @heard { ${SOURCE} timeout ${HEARD} }`])
  );
}

/**
 * Each copy of a frame is looked at where it leaves: to where its target is, it passes. A target that was heard
 * elsewhere does not count, nor does one that the bridge alone forgot (a port that went down).
 */
function flooding(): string {
  const copies = (hook: string, from: string, over: string) =>
    chain(hook, [
      `type filter hook ${hook} priority 0; policy accept;`,
      "oifname != @floods accept",
      "ether daddr & 01:00:00:00:00:00 != 00:00:00:00:00:00 accept",
      `${TARGET} @macs accept`,
      `${TARGET} @heard accept`,
      `update @copies { ${from} . oifname limit rate ${STORM} } accept`,
      over,
    ]);
  return (
    "set copies { type ifname . ifname; size 65535; flags dynamic,timeout; timeout 1m; }\n" +
    copies("forward", "iifname", "goto drop_8") +
    // What the namespace itself sends comes from no port; nothing else leaves by the port it came from.
    copies("output", "oifname", "drop")
  );
}

/** Of a port, of an endpoint or to a tunnel, that floods; none of others. `macs` are where no frame moves them. */
export function floodElements(
  vrf: Vrf,
  learns: Macs | undefined,
  port: string,
  macs: readonly string[],
): ObjectOf<"element">[] {
  if (learns !== "flooded") return [];
  const ns = nsOf(vrf);
  return [
    { kind: "element", ns, set: "floods", key: port },
    ...macs.map((mac): ObjectOf<"element"> => ({ kind: "element", ns, set: "macs", key: `${port} . ${mac}` })),
  ];
}
