// Instances of every kind of kernel object: the contract of the kernel port is tested with them on both kernels, and
// their printed lines in a shell. A kind without a row here does not compile.
import type { KernelObject, ObjectKind, ObjectOf } from "../../../src/datapath/kinds.ts";
import { FLOOD_MAC } from "../../../src/datapath/kinds/entries.ts";
import { nftDigest } from "../../../src/datapath/kinds/tables.ts";

/** An object, what has to be there before it, from the namespace up, and what it may become in place. */
export type Example<T extends KernelObject = KernelObject> = {
  readonly needs: readonly KernelObject[];
  readonly is: T;
  readonly becomes?: T;
};

const NETNS: ObjectOf<"netns"> = { kind: "netns", ns: "vrf:blue" };

const CHAIN = "chain forward {\n  type filter hook forward priority filter; policy accept;\n}\n";
const OTHER_CHAIN = CHAIN.replace("forward {", "output {").replace("hook forward", "hook output");
const FRAMES = `set members4_a { type ipv4_addr; }
map ports { type ifname : mark; }
map bound6 { typeof iifname . ether saddr . @nh,64,128 : meta mark; }
set macs { typeof iifname . @ll,48,48; }
set closed { typeof @ll,0,128; }
`;
const tables = (body: string): ObjectOf<"nft"> => ({
  kind: "nft",
  ns: "vrf:blue",
  digest: nftDigest(body, FRAMES),
  body,
  bridge: FRAMES,
});
const HOST_TABLE: ObjectOf<"nft"> = { kind: "nft", ns: "host", digest: nftDigest(CHAIN), body: CHAIN };

const BRIDGE: ObjectOf<"bridge"> = {
  kind: "bridge",
  ns: "vrf:blue",
  name: "wb7",
  mtu: 1450,
  mac: "02:00:0a:07:00:01",
  alias: "weft:network:lan",
};
const HOST_BRIDGE: ObjectOf<"bridge"> = { ...BRIDGE, ns: "host" };
const OTHER_BRIDGE: ObjectOf<"bridge"> = { ...HOST_BRIDGE, name: "wbi-lan" };
const TUNNEL: ObjectOf<"vxlan"> = {
  kind: "vxlan",
  ns: "vrf:blue",
  name: "wx7",
  mtu: 1450,
  mac: "70:b3:d5:01:00:01",
  alias: "weft:network:lan",
  vni: 7,
  local: "192.0.2.1",
  port: 4789,
};
const GROUPED: ObjectOf<"vxlan"> = { ...TUNNEL, vni: 8, master: "wb7", macs: "flooded" };
const GROUPED6: ObjectOf<"vxlan"> = { ...TUNNEL, vni: 8, local: "2001:db8::1" };
const TO_PEER: Omit<ObjectOf<"gretap">, "kind"> = {
  ns: "vrf:blue",
  name: "gt7-2",
  mtu: 1400,
  mac: "70:b3:d5:01:00:01",
  alias: "weft:network:lan",
  key: 7,
  local: "192.0.2.1",
  remote: "192.0.2.2",
};
const TO_PEER6 = { ...TO_PEER, local: "2001:db8::1", remote: "2001:db8::2" };
const ROUTED_TO_PEER: ObjectOf<"gretap"> = { kind: "gretap", ...TO_PEER, name: "gt8-2", key: 8 };
const ROUTED_TO_PEER6: ObjectOf<"ip6gretap"> = { kind: "ip6gretap", ...TO_PEER6, name: "gt8-2", key: 8 };
const OTHER_TO_PEER = { mtu: 1300, mac: "02:00:00:00:00:03", macs: "learned", floodsArp: true } as const;
const ISOLATED: ObjectOf<"vxlan"> = { ...TUNNEL, name: "wx8", vni: 8, master: "wb7" };
const VLAN: ObjectOf<"vlan"> = {
  kind: "vlan",
  ns: "vrf:blue",
  name: "wv-lan",
  mtu: 1450,
  mac: "0a:58:0a:07:00:01",
  alias: "weft:network:lan",
  id: 100,
  link: "lan0",
  linkNs: "host",
};
const PORT: ObjectOf<"veth"> = {
  kind: "veth",
  ns: "vrf:blue",
  name: "wp1",
  mtu: 1450,
  mac: "fe:00:0a:07:00:05",
  alias: "weft:endpoint:web.eth0",
  master: "wb7",
  peer: { ns: "/run/netns/web", name: "eth0", mtu: 1450, mac: "02:00:0a:07:00:05" },
};
/** What plugs one bridge of the host's namespace into another. */
const PLUGGED: ObjectOf<"veth"> = {
  kind: "veth",
  ns: "host",
  name: "wj-a",
  mtu: 1400,
  mac: "0a:5c:00:00:00:01",
  alias: "weft:plug:a",
  master: "wb7",
  macs: "flooded",
  peer: { ns: "host", name: "wk-a", mtu: 1500, mac: "0a:5c:00:00:00:02" },
};
const UPLINK: ObjectOf<"veth"> = {
  kind: "veth",
  ns: "vrf:blue",
  name: "uplink",
  mtu: 1500,
  mac: "0a:59:00:02:00:00",
  alias: "weft:uplink:blue",
  peer: { ns: "host", name: "wu-blue", mtu: 1500, mac: "0a:59:00:01:00:00" },
};
const SHAPER: ObjectOf<"ifb"> = {
  kind: "ifb",
  ns: "vrf:blue",
  name: "wq1",
  mtu: 1450,
  mac: "fe:00:0a:07:01:05",
  alias: "weft:shaper:web.eth0",
};
const REDIRECT: ObjectOf<"redirect"> = { kind: "redirect", ns: "vrf:blue", dev: "wp1", to: "wq1" };

const OVS_BRIDGE: ObjectOf<"ovs-bridge"> = { kind: "ovs-bridge", ns: "host", name: "wob7", of: "network:lan" };
const OVS_PORT: ObjectOf<"ovs-port"> = {
  kind: "ovs-port",
  ns: "host",
  name: "wo7",
  of: "network:lan",
  bridge: "wob7",
  type: "internal",
  vlan: 7,
  mtu: 1450,
};
const OVS_TUNNEL: ObjectOf<"ovs-port"> = {
  kind: "ovs-port",
  ns: "host",
  name: "wt1",
  of: "network:lan",
  bridge: "wob7",
  type: "vxlan",
  tunnel: { local: "192.0.2.1", remote: "192.0.2.2", key: 7, port: 4790 },
};
const OVS_DEVICE: ObjectOf<"openvswitch"> = {
  kind: "openvswitch",
  ns: "vrf:blue",
  name: "wo7",
  mtu: 1450,
  mac: "70:b3:d5:01:00:02",
  alias: "weft:network:lan",
  master: "wb7",
};

const GATEWAY: ObjectOf<"address"> = { kind: "address", ns: "vrf:blue", dev: "wb7", cidr: "10.7.0.1/16" };
const NEIGHBOUR: ObjectOf<"neighbour"> = {
  kind: "neighbour",
  ns: "vrf:blue",
  dev: "wx7",
  ip: "44.128.0.2",
  mac: "70:b3:d5:80:00:02",
};
const FDB: ObjectOf<"fdb"> = { kind: "fdb", ns: "vrf:blue", dev: "wx7", mac: "70:b3:d5:80:00:02", dst: "192.0.2.2" };
const ROUTE: ObjectOf<"route"> = { kind: "route", ns: "vrf:blue", dst: "10.9.0.0/16", dev: "wb7", onlink: false };

const ON_TABLES = [NETNS, tables(CHAIN)];
const ON_BRIDGE = [NETNS, BRIDGE];
const ON_TUNNEL = [...ON_BRIDGE, { ...TUNNEL, master: "wb7" }];
const ON_OVS = [OVS_BRIDGE, OVS_PORT, ...ON_BRIDGE];
const ON_PORT = [...ON_BRIDGE, PORT];

const BY_KIND: { readonly [K in ObjectKind]: readonly [Example<ObjectOf<K>>, ...Example<ObjectOf<K>>[]] } = {
  netns: [{ needs: [], is: NETNS }],
  sysctl: [
    {
      needs: [NETNS],
      is: { kind: "sysctl", ns: "vrf:blue", key: "ipv4/ip_forward", value: "1" },
      becomes: { kind: "sysctl", ns: "vrf:blue", key: "ipv4/ip_forward", value: "0" },
    },
    { needs: [], is: { kind: "sysctl", ns: "host", key: "ipv4/ip_forward", value: "1" } },
  ],
  nft: [
    { needs: [NETNS], is: tables(CHAIN), becomes: tables(OTHER_CHAIN) },
    { needs: [], is: HOST_TABLE },
  ],
  element: [
    {
      needs: ON_TABLES,
      is: { kind: "element", ns: "vrf:blue", set: "ports", key: "wp1", value: "40000001" },
      becomes: { kind: "element", ns: "vrf:blue", set: "ports", key: "wp1", value: "40000002" },
    },
    {
      needs: ON_TABLES,
      is: {
        kind: "element",
        ns: "vrf:blue",
        set: "bound6",
        key: "wp1 . 02:00:0a:07:00:09 . fd00:7::5",
        value: "40000001",
      },
    },
    { needs: ON_TABLES, is: { kind: "element", ns: "vrf:blue", set: "macs", key: "wp1 . 02:00:0a:07:00:09" } },
    { needs: ON_TABLES, is: { kind: "element", ns: "vrf:blue", set: "closed", key: "wx7b" } },
  ],
  bridge: [
    {
      needs: [NETNS],
      is: BRIDGE,
      becomes: { ...BRIDGE, mtu: 1400, mac: "02:00:00:00:00:02", alias: "weft:network:other", forgets: true },
    },
    { needs: [], is: { ...BRIDGE, ns: "host", forgets: true } },
  ],
  vxlan: [
    {
      needs: ON_BRIDGE,
      is: { ...TUNNEL, master: "wb7" },
      becomes: { ...TUNNEL, master: "wb7", mtu: 1300, mac: "02:00:00:00:00:03", macs: "learned", floodsArp: true },
    },
    { needs: ON_BRIDGE, is: { ...ISOLATED, isolated: true }, becomes: ISOLATED },
    { needs: [NETNS], is: { ...TUNNEL, local: "2001:db8::1" } },
    {
      needs: ON_BRIDGE,
      is: { ...GROUPED, group: { address: "239.0.0.8", dev: "lo" } },
      becomes: { ...GROUPED, group: { address: "239.0.0.9", dev: "lo", ttl: 5 } },
    },
    {
      needs: [NETNS],
      is: { ...GROUPED6, group: { address: "ff05::8", dev: "lo", ttl: 5 } },
      becomes: GROUPED6,
    },
    {
      needs: [NETNS],
      is: { ...TUNNEL, vni: 9 },
      becomes: { ...TUNNEL, vni: 9, group: { address: "239.0.0.9", dev: "lo", ttl: 255 } },
    },
  ],
  gretap: [
    {
      needs: ON_BRIDGE,
      is: { kind: "gretap", ...TO_PEER, master: "wb7" },
      becomes: { kind: "gretap", ...TO_PEER, master: "wb7", ...OTHER_TO_PEER },
    },
    { needs: [NETNS], is: ROUTED_TO_PEER, becomes: { ...ROUTED_TO_PEER, mtu: 9000 } },
  ],
  ip6gretap: [
    {
      needs: ON_BRIDGE,
      is: { kind: "ip6gretap", ...TO_PEER6, master: "wb7" },
      becomes: { kind: "ip6gretap", ...TO_PEER6, master: "wb7", ...OTHER_TO_PEER },
    },
    { needs: [NETNS], is: ROUTED_TO_PEER6 },
  ],
  vlan: [
    {
      // Above a device of another's, which every world's host has (linuxWorld.ts).
      needs: ON_BRIDGE,
      is: { ...VLAN, master: "wb7", macs: "flooded" },
      becomes: { ...VLAN, master: "wb7", mtu: 1300, mac: "02:00:00:00:00:03", alias: "weft:network:other" },
    },
    { needs: [], is: { ...VLAN, ns: "host", isOuter: true } },
    {
      needs: [NETNS, { ...VLAN, name: "wo-lan", isOuter: true }],
      is: { ...VLAN, link: "wo-lan", linkNs: "vrf:blue" },
    },
  ],
  veth: [
    {
      needs: ON_BRIDGE,
      is: PORT,
      becomes: { ...PORT, mtu: 1300, macs: "flooded", peer: { ...PORT.peer, mtu: 1300, mac: "02:00:0a:07:00:09" } },
    },
    { needs: [NETNS], is: UPLINK, becomes: { ...UPLINK, makesChecksums: true } },
    { needs: [HOST_BRIDGE], is: PLUGGED, becomes: { ...PLUGGED, mtu: 1300, peer: { ...PLUGGED.peer, mtu: 9000 } } },
  ],
  ifb: [{ needs: [NETNS], is: SHAPER, becomes: { ...SHAPER, mtu: 1300, alias: "weft:shaper:other" } }],
  "ovs-bridge": [{ needs: [], is: OVS_BRIDGE, becomes: { ...OVS_BRIDGE, of: "physical:lan" } }],
  "ovs-port": [
    {
      needs: [OVS_BRIDGE],
      is: OVS_PORT,
      becomes: { ...OVS_PORT, of: "network:other", vlan: 8, trunks: "10-12,20", mtu: 1400 },
    },
    {
      needs: [OVS_BRIDGE],
      is: OVS_TUNNEL,
      becomes: { ...OVS_TUNNEL, vlan: 9, tunnel: { local: "192.0.2.1", remote: "192.0.2.3", key: 8, port: 4790 } },
    },
    {
      needs: [OVS_BRIDGE],
      is: { ...OVS_TUNNEL, type: "ip6gre", tunnel: { local: "2001:db8::1", remote: "2001:db8::2", key: 7 } },
    },
  ],
  openvswitch: [
    {
      needs: ON_OVS,
      is: OVS_DEVICE,
      becomes: { ...OVS_DEVICE, mtu: 1400, mac: "70:b3:d5:01:00:03", macs: "flooded", floodsArp: true },
    },
  ],
  checksums: [
    { needs: [NETNS, BRIDGE, TUNNEL], is: { kind: "checksums", ns: "vrf:blue", dev: "wx7" } },
    { needs: [NETNS, ROUTED_TO_PEER], is: { kind: "checksums", ns: "vrf:blue", dev: "gt8-2" } },
    { needs: [NETNS, { ...ROUTED_TO_PEER6, name: "gt9-2" }], is: { kind: "checksums", ns: "vrf:blue", dev: "gt9-2" } },
  ],
  tbf: [
    {
      needs: ON_PORT,
      is: { kind: "tbf", ns: "vrf:blue", dev: "wp1", rate: 2_500_000, burst: 20_000, limit: 100_000 },
      becomes: { kind: "tbf", ns: "vrf:blue", dev: "wp1", rate: 125_000, burst: 20_000, limit: 7_000 },
    },
  ],
  redirect: [
    {
      needs: [...ON_PORT, SHAPER, { ...SHAPER, name: "wq2" }],
      is: REDIRECT,
      becomes: { ...REDIRECT, to: "wq2" },
    },
  ],
  // A device of another's, which every world's host has.
  port: [{ needs: [HOST_BRIDGE], is: { kind: "port", ns: "host", dev: "lan0", master: "wb7", macs: "flooded" } }],
  plug: [
    {
      needs: [HOST_BRIDGE, OTHER_BRIDGE, PLUGGED],
      is: { kind: "plug", ns: "host", dev: "wk-a", master: "wbi-lan" },
      becomes: { kind: "plug", ns: "host", dev: "wk-a", master: "wb7" },
    },
  ],
  address: [
    { needs: ON_BRIDGE, is: GATEWAY },
    { needs: ON_PORT, is: { kind: "address", ns: "/run/netns/web", dev: "eth0", cidr: "fd00:7::5/64" } },
  ],
  neighbour: [
    { needs: ON_TUNNEL, is: NEIGHBOUR, becomes: { ...NEIGHBOUR, mac: "70:b3:d5:80:00:03" } },
    { needs: ON_TUNNEL, is: { ...NEIGHBOUR, ip: "fd44::2" } },
  ],
  // On the end of an uplink that the host has.
  hop: [{ needs: [NETNS, UPLINK], is: { kind: "hop", ns: "host", dev: UPLINK.peer.name, ip: "169.254.64.9" } }],
  fdb: [
    { needs: ON_TUNNEL, is: FDB, becomes: { ...FDB, dst: "192.0.2.3" } },
    { needs: ON_TUNNEL, is: { ...FDB, mac: FLOOD_MAC } },
  ],
  "bridge-fdb": [
    { needs: ON_TUNNEL, is: { kind: "bridge-fdb", ns: "vrf:blue", dev: "wx7", mac: "02:00:0a:07:00:09" } },
  ],
  route: [
    {
      needs: [...ON_BRIDGE, GATEWAY],
      is: { ...ROUTE, via: "10.7.0.2", src: "10.7.0.1" },
      becomes: { ...ROUTE, via: "10.7.0.3", mtu: 1400 },
    },
    {
      needs: [...ON_BRIDGE, GATEWAY],
      is: { ...ROUTE, dst: "10.10.0.0/16", via: "10.7.0.2", mtu: 1400 },
      becomes: { ...ROUTE, dst: "10.10.0.0/16", via: "10.7.0.2" },
    },
    // In the same place, on another link.
    {
      needs: ON_TUNNEL,
      is: { ...ROUTE, dst: "10.11.0.0/16", via: "44.128.0.2", onlink: true },
      becomes: { ...ROUTE, dst: "10.11.0.0/16", dev: "wx7", via: "44.128.0.2", onlink: true },
    },
    {
      needs: ON_TUNNEL,
      is: { ...ROUTE, dst: "fd0a::/64", via: "fd44::2", onlink: true, mtu: 1400 },
      becomes: { ...ROUTE, dst: "fd0a::/64", dev: "wx7", via: "fd44::2", onlink: true },
    },
    { needs: [...ON_BRIDGE, GATEWAY], is: { ...ROUTE, dst: "fd09::/64", via: "fd44::2", onlink: true } },
  ],
};

export const EXAMPLES: readonly Example[] = Object.values(BY_KIND).flat();
