// Frames that a workload must not get through: each a kind of its own, from one end to another, with a tag somewhere
// inside. Which of them a port with groups, a network or a datapath would have let through does not matter: none may.
import * as frames from "./frames.ts";

/** Where the attacker is, whom it means, and whom it plays; all of one family's addresses in the ends. */
export type Scene = {
  readonly own: frames.Ends;
  readonly own6: frames.Ends;
  /** An address that is the victim's neighbour, and not the attacker's. */
  readonly other: string;
  readonly other6: string;
  readonly gateway: string;
};
export type Kind = readonly [what: string, make: (scene: Scene, tag: string) => readonly Buffer[]];

const FOREIGN_MAC = "02:00:00:00:00:99";
const toAll = (ends: frames.Ends): frames.Ends => ({ ...ends, toMac: frames.BROADCAST });
const toAll6 = (ends: frames.Ends): frames.Ends => ({ ...ends, toMac: "33:33:00:00:00:01", to: "ff02::1" });

/** Packets that are not the port's own, or not a workload's to send. */
const PACKETS: readonly Kind[] = [
  ["IPv4 from another's address", ({ own, other }, tag) => [frames.udp({ ...own, from: other }, 53, tag)]],
  ["TCP from another's address", ({ own, other }, tag) => [frames.tcp({ ...own, from: other }, 80, tag)]],
  ["IPv6 from another's address", ({ own6, other6 }, tag) => [frames.udp({ ...own6, from: other6 }, 53, tag)]],
  ["IPv4 from another MAC", ({ own }, tag) => [frames.udp({ ...own, fromMac: FOREIGN_MAC }, 53, tag)]],
  ["ARP: the gateway is here", ({ own, gateway }, tag) => [frames.arp({ ...toAll(own), from: gateway }, 2, tag)]],
  ["ARP: another is here", ({ own, other }, tag) => [frames.arp({ ...own, from: other }, 2, tag)]],
  ["DHCP offer", ({ own }, tag) => [frames.udp(toAll(own), 68, tag, 67)]],
  ["DHCP offer from another port", ({ own }, tag) => [frames.udp(own, 68, tag, 4011)]],
  ["DHCP offer behind options", ({ own }, tag) => [frames.withOptions(frames.udp(own, 68, tag, 67))]],
  ["DHCP offer in pieces", ({ own }, tag) => frames.inPieces(frames.udp(own, 68, tag.padEnd(40), 67), 24)],
  ["DHCPv6 advertisement", ({ own6 }, tag) => [frames.udp(own6, 546, tag, 547)]],
  ["DHCPv6 advertisement from another port", ({ own6 }, tag) => [frames.udp(own6, 546, tag, 9999)]],
  ["ICMP redirect", ({ own }, tag) => [frames.icmp(own, 5, tag)]],
  ["router of RFC 1256", ({ own }, tag) => [frames.icmp(own, 9, tag)]],
  ["IGMP query", ({ own }, tag) => [frames.igmp({ ...own, toMac: "01:00:5e:00:00:01", to: "224.0.0.1" }, 0x11, tag)]],
  ["MLD query", ({ own6 }, tag) => [frames.icmp(toAll6(own6), 130, tag)]],
  ["multicast router", ({ own6 }, tag) => [frames.icmp(toAll6(own6), 151, tag)]],
  ["router advertisement", ({ own6 }, tag) => [frames.icmp(toAll6(own6), 134, tag)]],
  ["router advertisement behind options", ({ own6 }, tag) => [frames.behindOptions(frames.icmp(own6, 134, tag))]],
  ["router advertisement in a fragment", ({ own6 }, tag) => [frames.inFragment(frames.icmp(own6, 134, tag))]],
  ["IPv6 redirect", ({ own6 }, tag) => [frames.icmp(own6, 137, tag)]],
  ["advertisement of another", ({ own6, other6 }, tag) => [frames.icmp(own6, 136, target(other6, tag))]],
  [
    "advertisement of another behind options",
    ({ own6, other6 }, tag) => [frames.behindOptions(frames.icmp(own6, 136, target(other6, tag)))],
  ],
  [
    "advertisement of another in a fragment",
    ({ own6, other6 }, tag) => [frames.inFragment(frames.icmp(own6, 136, target(other6, tag)))],
  ],
  ["headers that go on in the next fragment", ({ own6 }, tag) => frames.hiddenHeaders(own6, tag)],
  [
    "headers that go on in the next fragment, and padding",
    // A type stands behind the packet where the header would end: an echo's.
    ({ own6 }, tag) => {
      const pad = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 128, 0, 0, 0, 0, 0, 0, 0]);
      return frames.hiddenHeaders(own6, tag).map((frame) => Buffer.concat([frame, pad]));
    },
  ],
];

/** A target as ICMPv6 has it behind eight bytes, and a tag. */
function target(ip: string, tag: string): Buffer {
  return Buffer.concat([frames.address(ip), Buffer.from(tag)]);
}

/** What is no frame of IP or ARP, or not what its type says. */
const FRAMES: readonly Kind[] = [
  ["RARP", ({ own }, tag) => [frames.retyped(frames.arp(toAll(own), 2, tag), 0x8035)]],
  ["ARP with an operation of others", ({ own }, tag) => [frames.patched(frames.arp(own, 2, tag), 20, 0, 9)]],
  ["ARP of another hardware", ({ own }, tag) => [frames.patched(frames.arp(own, 2, tag), 14, 0, 6)]],
  ["ARP with other lengths", ({ own }, tag) => [frames.patched(frames.arp(own, 2, tag), 18, 8, 4)]],
  ["PPPoE", ({ own }, tag) => [frames.retyped(frames.udp(own, 53, tag), 0x8863)]],
  ["MPLS", ({ own }, tag) => [frames.retyped(frames.udp(own, 53, tag), 0x8847)]],
  ["EAPOL", ({ own }, tag) => [frames.retyped(frames.udp(own, 53, tag), 0x888e)]],
  ["LLC", ({ own }, tag) => [frames.retyped(frames.udp(own, 53, tag), 60)]],
  ["LLC and SNAP with IP", ({ own }, tag) => [frames.snap(frames.udp(own, 53, tag))]],
  ["IPv6 as IPv4", ({ own6 }, tag) => [frames.retyped(frames.udp(own6, 53, tag), 0x0800)]],
  ["IPv4 as IPv6", ({ own }, tag) => [frames.retyped(frames.udp(own, 53, tag), 0x86dd)]],
  ["IPv4 of version 6", ({ own }, tag) => [frames.patched(frames.udp(own, 53, tag), 14, 0x65)]],
  ["longer than it is", ({ own }, tag) => [frames.patched(frames.udp(own, 53, tag), 16, 0x20, 0)]],
  ...[0, 2, 3, 0x0e, 0x0f].map((n): Kind => {
    const toMac = `01:80:c2:00:00:${n.toString(16).padStart(2, "0")}`;
    return [`to the bridges' group ${toMac}`, ({ own }, tag) => [frames.udp({ ...own, toMac }, 53, tag)]];
  }),
  ["LLDP", ({ own }, tag) => [frames.retyped(frames.udp({ ...own, toMac: "01:80:c2:00:00:0e" }, 53, tag), 0x88cc)]],
  ["from a multicast MAC", ({ own }, tag) => [frames.udp({ ...own, fromMac: "03:00:00:00:00:01" }, 53, tag)]],
];

const TAGS: readonly (readonly [what: string, tags: readonly (readonly [number, number])[]])[] = [
  ["tagged with priority only", [[0x8100, 0]]],
  ["tagged", [[0x8100, 5]]],
  ["tagged as a provider's", [[0x88a8, 0]]],
  [
    "tagged twice",
    [
      [0x8100, 0],
      [0x8100, 0],
    ],
  ],
  [
    "tagged three times",
    [
      [0x88a8, 0],
      [0x8100, 0],
      [0x8100, 0],
    ],
  ],
];

/** What a port may send plain, and with a tag may not. */
const ITS_OWN: readonly Kind[] = [
  ["its own IPv4", ({ own }, tag) => [frames.udp(own, 53, tag)]],
  ["its own ARP", ({ own }, tag) => [frames.arp(own, 1, tag)]],
];

export const KINDS: readonly Kind[] = [
  ...PACKETS,
  ...FRAMES,
  ...[...ITS_OWN, ...PACKETS].flatMap(([what, make]) =>
    TAGS.map(
      ([how, tags]): Kind => [
        `${what}, ${how}`,
        (scene, tag) => make(scene, tag).map((frame) => frames.tagged(frame, ...tags)),
      ],
    ),
  ),
];
