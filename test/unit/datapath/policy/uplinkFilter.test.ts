// The host's table, chain by chain: what passes between VRFs and their host, and who may send to a tunnel, for hosts of
// both families and VRFs of every kind. Whether the kernel does so is test/netns/uplinkFilter.kernel.test.ts and
// test/netns/tunnels.kernel.test.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Resource, snapshotOf } from "../../../../src/model/resource.ts";
import { compile } from "../../../../src/datapath/compile.ts";

function make(kind: string, name: string, spec: object): Resource {
  return { kind, name, uid: name, revision: 1, spec } as Resource;
}

type Tenant = {
  readonly index: number;
  readonly hostAccess?: boolean;
  readonly masquerade?: boolean;
  readonly tunnelPort?: number;
  /** Hosts with an endpoint of it. */
  readonly on?: readonly string[];
  readonly network?: object;
};

function tenant(name: string, { index, hostAccess, masquerade, tunnelPort, on = ["h1"], network }: Tenant): Resource[] {
  const subnets = [{ cidr: `10.${index}.0.0/16` }];
  return [
    make("vrf", name, {
      index,
      vni: 4096 + index,
      tunnelPort: tunnelPort ?? 4789,
      vtepSubnets: [],
      vtepMacOui: "70:b3:d5",
      hostAccess: hostAccess ?? false,
    }),
    make("network", name, {
      driver: "vxlan",
      ipam: "global",
      vrf: name,
      vni: index,
      subnets,
      masquerade: masquerade ?? false,
      enabled: true,
      ...network,
    }),
    ...on.map((host, n) =>
      make("endpoint", `${name}-${host}.eth0`, {
        network: name,
        host,
        owner: `${name}-${host}`,
        ifname: "eth0",
        netns: `/run/netns/${name}-${host}`,
        mac: `02:00:0a:0${index}:00:0${n + 2}`,
        addresses: [`10.${index}.0.${n + 2}`],
      }),
    ),
  ];
}

const HOSTS: Readonly<Record<string, string>> = {
  h1: "192.0.2.1",
  h2: "192.0.2.12",
  h3: "192.0.2.3",
  s1: "2001:db8::1",
  s2: "2001:db8::2",
};

/** Chains of the host's table by their names, a line each; empty without a table. */
function chainsOn(host: string, management: readonly string[], ...tenants: readonly (readonly Resource[])[]) {
  const hosts = Object.entries(HOSTS).map(([name, underlay], order) =>
    make("host", name, { underlay, underlayMtu: 1500, order }),
  );
  const forwards = compile(snapshotOf("c", 1, [...hosts, ...tenants.flat()]), host, management);
  const turned = [...hosts, ...tenants.flat()].toReversed();
  const backwards = compile(snapshotOf("c", 1, turned), host, management);
  assert.deepEqual(backwards.get("nft host"), forwards.get("nft host"), "in any order");
  const table = forwards.get("nft host");
  const chains = table?.kind === "nft" ? table.body.matchAll(/^chain (\S+) \{\n(.*?)^\}$/gms) : [];
  return new Map(
    Array.from(chains, ([, name = "", lines = ""]) => [
      name,
      lines
        .trimEnd()
        .split("\n")
        .map((line) => line.trim()),
    ]),
  );
}

const REFUSED = "reject with icmpx admin-prohibited";
const ASKED = ["ct state established accept", "ct status dnat accept"];
const MADE_UP = "ct state invalid meta l4proto { icmp, icmpv6 } drop";

test("a VRF without a way out has no gates: its tunnel alone is watched", () => {
  const chains = chainsOn("h1", [], tenant("plain", { index: 1 }));
  assert.deepEqual([...chains.keys()], ["tunnels_in", "tunnels_out"]);
  assert.deepEqual(chains.get("tunnels_in"), [
    "type filter hook prerouting priority raw; policy accept;",
    // A preflight of hosts that have no VRF in common.
    "udp dport 4789 @th,96,24 16777215 ip saddr { 192.0.2.12, 192.0.2.3 } ip daddr 192.0.2.1" +
      " meta pkttype host notrack accept",
    "udp dport 4789 fib daddr type != unicast drop",
  ]);
  assert.deepEqual([...chainsOn("h1", [], tenant("elsewhere", { index: 1, on: ["h2"] })).keys()], []);
});

test("all gates of a host whose VRFs are of every kind", () => {
  const chains = chainsOn(
    "h1",
    ["198.51.100.9", "2001:db8::9", "192.0.2.3"],
    tenant("red", { index: 1, masquerade: true, network: { dns: ["192.0.2.53", "2001:db8::53"] } }),
    tenant("blue", { index: 2, hostAccess: true }),
    tenant("amber", { index: 3, hostAccess: true, masquerade: true }),
    tenant("shut", { index: 4, network: { dns: ["192.0.2.54"] } }),
    tenant("pink", {
      index: 5,
      masquerade: true,
      network: {
        dns: ["192.0.2.53"],
        ranges: [
          { name: "a", type: "ip4", first: "10.5.0.2", size: 4, dns: ["192.0.2.12", "192.0.2.53"] },
          { name: "b", type: "ip4", first: "10.5.0.6", size: 4 },
        ],
      },
    }),
  );
  const resolvers = [
    'iifname . ip daddr { "wu-pink" . 192.0.2.12, "wu-pink" . 192.0.2.53, "wu-red" . 192.0.2.53 }' +
      " meta l4proto { tcp, udp } th dport 53 accept",
    'iifname . ip6 daddr { "wu-red" . 2001:db8::53 } meta l4proto { tcp, udp } th dport 53 accept',
  ];
  const open = 'iifname { "wu-amber", "wu-blue" } accept';
  assert.deepEqual([...chains.entries()].slice(3), [
    [
      "forward",
      [
        "type filter hook forward priority filter - 10; policy accept;",
        'iifname "wu-*" goto from_vrfs',
        'oifname "wu-*" goto to_vrfs',
      ],
    ],
    ["to_vrfs", ["ct state related accept", ...ASKED, "drop"]],
    [
      "from_vrfs",
      [
        "jump no_tunnels",
        MADE_UP,
        ...ASKED,
        'oifname "wu-*" drop',
        `ip saddr != 169.254.64.0/18 ${REFUSED}`,
        `ip6 saddr != fd00:7765:6675::/48 ${REFUSED}`,
        open,
        ...resolvers,
        `ip daddr { 169.254.0.0/16, 192.0.2.1, 192.0.2.12, 192.0.2.3, 198.51.100.9 } ${REFUSED}`,
        `ip6 daddr { fd00:ec2::254, 2001:db8::1, 2001:db8::2, 2001:db8::9 } ${REFUSED}`,
      ],
    ],
    ["input", ["type filter hook input priority filter - 10; policy accept;", 'iifname "wu-*" goto at_host']],
    [
      "at_host",
      [
        "jump no_tunnels",
        MADE_UP,
        ...ASKED,
        open,
        "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept",
        "ip daddr 169.254.64.0/18 icmp type echo-request accept",
        "ip6 daddr fd00:7765:6675::/48 icmpv6 type echo-request accept",
        ...resolvers,
        REFUSED,
      ],
    ],
    [
      "postrouting",
      [
        "type nat hook postrouting priority srcnat; policy accept;",
        'ip saddr 169.254.64.0/18 oifname != "wu-*" meta l4proto udp masquerade to :4790-65535 fully-random',
        'ip6 saddr fd00:7765:6675::/48 oifname != "wu-*" meta l4proto udp masquerade to :4790-65535 fully-random',
        'iifname "wu-*" ct status dnat meta l4proto udp masquerade to :4790-65535 fully-random',
        'ip saddr 169.254.64.0/18 oifname != "wu-*" masquerade fully-random',
        'ip6 saddr fd00:7765:6675::/48 oifname != "wu-*" masquerade fully-random',
        'iifname "wu-*" ct status dnat masquerade fully-random',
      ],
    ],
  ]);
});

test("without a VRF that has access, and without name servers, nothing is open", () => {
  const chains = chainsOn("h1", [], tenant("red", { index: 1, masquerade: true }));
  assert.equal(
    chains.get("from_vrfs")?.some((line) => line.endsWith("} accept")),
    false,
  );
  assert.deepEqual(
    chains.get("at_host")?.filter((line) => line.startsWith("iifname")),
    [],
  );
});

test("tunnels of several ports: each has the hosts that share a VRF of it, each host once, of its own family", () => {
  const tenants = [
    tenant("a", { index: 1, tunnelPort: 8472, on: ["h1", "h2", "s1"], masquerade: true }),
    tenant("b", { index: 2, tunnelPort: 8472, on: ["h1", "h3", "h2"] }),
    tenant("c", { index: 3, tunnelPort: 500, on: ["h1", "h3", "s2"] }),
    tenant("d", { index: 4, tunnelPort: 9999, on: ["h1"] }),
    tenant("e", { index: 5, tunnelPort: 7777, on: ["h2", "h3"] }),
  ];
  const chains = chainsOn("h1", [], ...tenants);
  const ports = "{ 500, 8472, 9999 }";
  const to = "ip daddr 192.0.2.1 meta pkttype host notrack accept";
  assert.deepEqual(chains.get("no_tunnels"), [
    `udp dport ${ports} drop`,
    "meta l4proto gre drop",
    `udp sport ${ports} drop`,
    "ip protocol udp ip frag-off & 0x1fff != 0 drop",
    "frag frag-off != 0 meta l4proto udp drop",
  ]);
  assert.deepEqual(chains.get("tunnels_in"), [
    "type filter hook prerouting priority raw; policy accept;",
    'iifname "wu-*" goto no_tunnels',
    `udp dport 500 ip saddr { 192.0.2.3 } ${to}`,
    `udp dport 500 @th,96,24 16777215 ip saddr { 192.0.2.12 } ${to}`,
    `udp dport 8472 ip saddr { 192.0.2.12, 192.0.2.3 } ${to}`,
    `udp dport 9999 @th,96,24 16777215 ip saddr { 192.0.2.12, 192.0.2.3 } ${to}`,
    `udp dport ${ports} fib daddr type != unicast drop`,
  ]);
  assert.deepEqual(chains.get("tunnels_out"), [
    "type filter hook output priority raw; policy accept;",
    `udp dport ${ports} notrack`,
  ]);
  // The longest run of ports above 1023 without one of these.
  assert.match(chains.get("postrouting")?.[1] ?? "", / masquerade to :10000-65535 fully-random$/);
  const six = chainsOn("s1", [], ...tenants, tenant("f", { index: 6, on: ["s1", "s2", "h1"] }));
  assert.deepEqual(
    six.get("tunnels_in")?.filter((line) => line.endsWith("accept") && !line.includes("16777215")),
    ["udp dport 4789 ip6 saddr { 2001:db8::2 } ip6 daddr 2001:db8::1 meta pkttype host notrack accept"],
  );
});

test("a VRF's own table sends nothing to a tunnel of any port that its host has", () => {
  const tenants = [
    tenant("a", { index: 1, tunnelPort: 8472, masquerade: true }),
    tenant("b", { index: 2, tunnelPort: 4789 }),
  ].flat();
  const table = compile(
    snapshotOf("c", 1, [make("host", "h1", { underlay: "192.0.2.1", underlayMtu: 1500, order: 0 }), ...tenants]),
    "h1",
  ).get("nft vrf:a");
  assert.match(
    table?.kind === "nft" ? table.body : "",
    /\n {2}udp dport \{ 4789, 8472 \} drop\n {2}meta l4proto gre drop\n/,
  );
});
