// Features: what drivers need of a host, and a host may lack. Each agent looks at its start and tells the server.
// To add one: a row here, and how an agent finds out in kernel/probe.ts.

type FeatureFacts = {
  /** As people read it. */
  readonly title: string;
  /** What brings it. */
  readonly from: string;
  /** A program that comes and goes: agents look again with each heartbeat. */
  readonly isProgram?: true;
  /** Agents of the first builds did not look for it: that these do not name it says nothing. */
  readonly isLater?: true;
};

const ROWS = {
  vxlan: { title: "VXLAN devices", from: "kernel module vxlan" },
  gre: { title: "GRE devices between IPv4 addresses", from: "kernel module ip_gre" },
  gre6: { title: "GRE devices between IPv6 addresses", from: "kernel module ip6_gre" },
  vlan: { title: "VLAN devices", from: "kernel module 8021q" },
  isolated: { title: "isolated ports of bridges", from: "Linux 4.18" },
  openvswitch: { title: "the kernel's datapath of Open vSwitch", from: "kernel module openvswitch" },
  ovsdb: {
    title: "Open vSwitch",
    from: "package openvswitch-switch; systemctl start openvswitch-switch",
    isProgram: true,
  },
  // All that is let through, or not, is said in these two families.
  nftinet: { title: "nftables of family inet", from: "a kernel with option NF_TABLES_INET", isLater: true },
  nftbridge: { title: "nftables of family bridge", from: "a kernel with option NF_TABLES_BRIDGE", isLater: true },
} as const satisfies Readonly<Record<string, FeatureFacts>>;

export type Feature = keyof typeof ROWS;
export const FEATURES: Readonly<Record<Feature, FeatureFacts>> = ROWS;
export const FEATURE_NAMES = Object.keys(ROWS) as readonly Feature[];
