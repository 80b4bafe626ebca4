// Terms that the texts of all tables share: chains, the bits of marks, and the numbers by which drops are counted.
import { PORT_PREFIX } from "../../model/device.ts";

export const FAMILIES = [4, 6] as const;
/** The header of a family, in nft's words. */
export const IP = { 4: "ip", 6: "ip6" } as const;

/**
 * Bits of a packet's mark: the profile that judges it (0 is unfiltered); what its port may send besides its own
 * addresses and behind VLAN tags; that the port is an endpoint's; and that the VRF's own namespace sent it, which no
 * port's mark has.
 */
export const PROFILE_BITS = 0x00ff_ffff;
export const ANY_MAC = 0x0100_0000;
export const ANY_IP = 0x0200_0000;
export const DHCP_SERVER = 0x0400_0000;
export const ROUTER = 0x0800_0000;
export const STORMS = 0x1000_0000;
export const OF_GATEWAY = 0x2000_0000;
export const KNOWN = 0x4000_0000;
export const TAGS = 0x8000_0000;

/** A profile without a chain: everything new is dropped. */
export const NO_PROFILE = 0x00ff_fffe;

/** Why a frame was dropped, by the number under which the set `drops` counts it. */
export const DROP_REASONS: Readonly<Record<number, string>> = {
  1: "unknown-port",
  2: "source-mac",
  3: "source-address",
  4: "arp",
  5: "neighbour-discovery",
  6: "dhcp-server",
  7: "router-advertisement",
  8: "storm",
  9: "ethertype",
  10: "group-out",
  11: "group-in",
  12: "too-many-flows",
  13: "header-options",
  14: "malformed",
  15: "too-many-macs",
  16: "inside-address",
};
/** Counted only where frames come from outside (outside.ts). */
export const OUTSIDE_REASON = 16;

/**
 * Broadcasts and multicasts of one port, and frames to unknown MACs from one port to another: ARP and neighbour
 * discovery of a busy workload stay far below.
 */
export const STORM = "2000/second burst 2000 packets";

/** Goes before all that lets something out of a VRF, and only where VRFs have a way out (tunnels.ts). */
export const NO_TUNNEL_FROM_VRFS = "jump no_tunnels";
/**
 * Answers, and what the host's administrator publishes. Not errors that tell of a flow: where they come from a workload
 * it has written them, and the kernel looks for the flow and not whether the error is true.
 */
export const ASKED: readonly string[] = ["ct state established accept", "ct status dnat accept"];
/** An error that tells of no flow: a host with open VRFs would believe what it says of the way to any other. */
export const MADE_UP = "ct state invalid meta l4proto { icmp, icmpv6 } drop";
export const REJECT = "reject with icmpx admin-prohibited";

export const lacks = (bit: number) => `meta mark & ${hex(bit)} == 0`;
export const has = (bits: number) => `meta mark & ${hex(bits)} != 0`;

/** Ports of endpoints, by name. */
export const NOT_FROM_PORT = `iifname != "${PORT_PREFIX}*"`;
export const FROM_PORT_OF_OURS = `iifname "${PORT_PREFIX}*"`;
export const TO_PORT_OF_OURS = `oifname "${PORT_PREFIX}*"`;
export const NOT_TO_PORT = `oifname != "${PORT_PREFIX}*"`;

export function chain(name: string, lines: readonly string[]): string {
  return `chain ${name} {\n${lines.map((line) => `  ${line}\n`).join("")}}\n`;
}

/** A set without a name. */
export function oneOf(values: readonly (string | number)[]): string {
  return `{ ${values.join(", ")} }`;
}

export function hex(value: number): string {
  return `0x${(value >>> 0).toString(16).padStart(8, "0")}`;
}
