// Limits the tracked connections of a VRF. Each is an entry in its namespace, and one in the host's table, which the
// host and all its VRFs share (nf_conntrack_max, 262,144 by default with 4 GB and more). So an address of a workload
// has a share of it; and if a workload may have any address, its VRF has one.
//
// Connections are counted separately by the last byte of their port, of an echo's identifier, or, for a protocol
// without either, of the destination, because the kernel walks all connections of a key to count them
// (nf_conncount_add; 8,192 take 1.4 ms for one packet). A rule that asks for bytes that a packet does not have does not
// match; connection tracking ensures that these three kinds of packets have them.
import type { Network } from "../../model/resource.ts";
import { FAMILIES, IP, chain } from "./tableParts.ts";

/** For each last byte, of one address and of a VRF: 12,288 and 65,536. */
const OF_ADDRESS = 48;
const OF_VRF = 256;

const SETS = `set tracked4 { typeof ip saddr . @th,8,8; size 1048576; flags dynamic; }
set tracked6 { typeof ip6 saddr . @th,8,8; size 1048576; flags dynamic; }
`;
const SET_OF_VRF = "set tracked { typeof @th,8,8; size 1024; flags dynamic; }\n";

/**
 * Sets, and the chain `counted`, where packets go that may begin a connection. One that is dropped before it is through
 * has none.
 */
export function connectionLimitChain(networks: readonly Network[]): string {
  const isLoose = networks.some(hasAnyAddress);
  const shares = FAMILIES.flatMap((family) => sharesOf(family, isLoose));
  return (isLoose ? SET_OF_VRF : "") + SETS + chain("counted", ["ct state != new accept", ...shares]);
}

/** Whether a workload may send from any address, and so have many shares (spoofing.ts). */
function hasAnyAddress({ spec: { spoofing, ranges = [] } }: Network): boolean {
  return spoofing?.ip === true || spoofing?.mac === true || ranges.some(({ type }) => type === "ether");
}

const WORDS = {
  4: { protocol: "ip protocol", echo: "icmp", destination: "@nh,152,8" },
  6: { protocol: "meta nfproto ipv6 meta l4proto", echo: "icmpv6", destination: "@nh,312,8" },
} as const;

function sharesOf(family: 4 | 6, isLoose: boolean): string[] {
  const { protocol, echo, destination } = WORDS[family];
  const parts = [
    [echo, "@th,40,8"],
    ["{ tcp, udp }", "@th,8,8"],
    [`!= { ${echo}, tcp, udp }`, destination],
  ];
  return parts.flatMap(([which, part]) => [
    // First: what is beyond this one needs no place in the others.
    ...(isLoose ? [`${protocol} ${which} add @tracked { ${part} ct count over ${OF_VRF} } drop`] : []),
    `${protocol} ${which} add @tracked${family} { ${IP[family]} saddr . ${part} ct count over ${OF_ADDRESS} } drop`,
  ]);
}
