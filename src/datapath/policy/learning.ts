// Limits for bridges that learn from frames (networks whose `spoofing` allows any MAC): how many MACs one port may
// teach its bridge, and how many frames to unknown MACs are flooded. The kernel limits only what a bridge learns as a
// whole (fdb_max_learned, 6.7) and floods without a limit. So both limits are rules in the tables of VRFs with such a
// network, and in no other.
import type { Network, Vrf } from "../../model/resource.ts";
import { nsOf } from "../world/placement.ts";
import { macsOf, tunnelMacsOf } from "../world/layout.ts";
import type { ObjectOf } from "../kinds.ts";
import type { Macs } from "../kinds/links.ts";
import { ANY_MAC, NOT_FROM_PORT, STORM, TO_PORT_OF_OURS, chain, lacks } from "./tableParts.ts";

/**
 * What a port may teach, beside what is its endpoint's: 128 MACs at once, and two a minute. A MAC is counted when it is
 * new, and again after 55 minutes; a bridge forgets it five minutes after its last frame. So a port has never more than
 * 128 + 60 × 2 = 248 of a bridge's.
 */
const NEW = "rate over 2/minute burst 128 packets";
const COUNTED = "55m";
/** Longer than what a port has used up takes to come back. */
const ALL_BACK = "65m";
const SOURCE = "iifname . @ll,48,48";
const TARGET = "oifname . @ll,0,48";

/** By numbers of devices, whose keys are half as long: each frame by a tunnel costs one look-up in it. */
const HEARD_SOURCE = "iif . @ll,48,48";
export const TARGET_HEARD = "oif . @ll,0,48 @heard";
const HEARD_SET = `set heard { typeof ${HEARD_SOURCE}; size 65536; flags dynamic,timeout; }\n`;
/** As a bridge forgets (AGEING): a frame to a MAC that has said nothing for five minutes goes to all. */
const HEAR = `update @heard { ${HEARD_SOURCE} timeout 5m }`;
const HEARD = `iifname @floods ${HEAR}`;

/** `elsewhere`: what to do with a frame that comes from no port of an endpoint, if there is no chain for it. */
export type Learning = {
  readonly chains: string;
  readonly elsewhere: readonly string[];
  /** Whether a chain here reads the mark that another has given. */
  readonly readsMark: boolean;
};

/** Parts of `bridge weft`; none if no bridge learns. `isOpen`: no other chain there has marked what a port sends. */
export function learningOf(networks: readonly Network[], isOpen: boolean, place: "host" | "own" = "own"): Learning {
  const passes = passing(isOpen, place);
  const ports = new Set(networks.map(macsOf));
  const doPortsFlood = ports.has("flooded");
  const doesAnyFlood = networks.some((network) => tunnelMacsOf(network) === "flooded");
  if (!doesAnyFlood) {
    const readsMark = ports.has("learned");
    return { chains: readsMark ? shares(passes, "accept") : "", elsewhere: [], readsMark };
  }
  // Only tunnels teach: without a hook of its own, because every packet pays for each.
  if (ports.size === 1 && ports.has(undefined)) {
    const doAllFlood = place === "own" && networks.every((network) => tunnelMacsOf(network) === "flooded");
    const elsewhere = [doAllFlood ? HEAR : HEARD];
    return { chains: HEARD_SET + flooding(doPortsFlood), elsewhere, readsMark: false };
  }
  const chains = HEARD_SET + chain("heard", [HEARD]) + shares(passes, "goto heard") + flooding(doPortsFlood);
  return { chains, elsewhere: [], readsMark: true };
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

/**
 * Each copy of a frame is looked at where it leaves: to where its target is, it passes. A target that was heard
 * elsewhere does not count, nor does one that the bridge alone forgot (a port that went down).
 */
function flooding(doPortsFlood: boolean): string {
  const copies = (hook: string, from: string, over: string) =>
    chain(hook, [
      `type filter hook ${hook} priority 0; policy accept;`,
      ...(doPortsFlood ? [] : [`${TO_PORT_OF_OURS} accept`]),
      // Nearly all that leaves by such a port.
      `${TARGET_HEARD} accept`,
      "oifname != @floods accept",
      "ether daddr & 01:00:00:00:00:00 != 00:00:00:00:00:00 accept",
      `${TARGET} @macs accept`,
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
