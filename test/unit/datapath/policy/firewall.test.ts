// A VRF's own table, chain by chain, for each mixture of networks: what is tracked, what is refused on the way out, and
// what leaves under the uplink's address. Whether the kernel does so is test/netns/uplinkFilter.kernel.test.ts and
// test/netns/tracked.kernel.test.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Resource, snapshotOf } from "../../../../src/model/resource.ts";
import { compile } from "../../../../src/datapath/compile.ts";

function make(kind: string, name: string, spec: object): Resource {
  return { kind, name, uid: name, revision: 1, spec } as Resource;
}

type Of = { readonly hostAccess?: boolean; readonly vtepName?: string; readonly isAlone?: boolean };

function gatewayIn(cidr: string): string {
  return cidr.replace(/(\.0)?\/\d+$/, (end) => (end.startsWith(".") ? ".1" : "1"));
}

/** Chains of the table of a VRF with these networks, masqueraded or not. */
function chains(networks: readonly (readonly [cidrs: readonly string[], masquerade: boolean])[], of: Of = {}) {
  const vrf = {
    index: 1,
    vni: 4096,
    tunnelPort: 4789,
    vtepSubnets: [],
    vtepMacOui: "70:b3:d5",
    hostAccess: of.hostAccess ?? false,
    ...(of.vtepName === undefined ? {} : { vtepName: of.vtepName }),
  };
  const resources = [
    make("host", "h1", { underlay: "192.0.2.1", underlayMtu: 1500, order: 0 }),
    make("vrf", "v", vrf),
    ...networks.map(([cidrs, masquerade], i) =>
      make("network", `n${i}`, {
        driver: "vxlan",
        ipam: "global",
        vrf: "v",
        vni: 7 + i,
        subnets: cidrs.map((cidr) => ({ cidr, ...(of.isAlone === true ? {} : { gateway: gatewayIn(cidr) }) })),
        masquerade,
        enabled: true,
      }),
    ),
    make("endpoint", "w.eth0", {
      network: "n0",
      host: "h1",
      owner: "w",
      ifname: "eth0",
      netns: "/run/netns/w",
      mac: "02:00:00:00:00:02",
      addresses: [],
      range: "x",
    }),
  ];
  const table = compile(snapshotOf("c", 1, resources), "h1").get("nft vrf:v");
  const text = table?.kind === "nft" ? table.body : assert.fail("no table");
  return new Map(
    Array.from(text.matchAll(/^chain (\S+) \{\n(.*?)^\}$/gms), ([, name = "", lines = ""]) => [
      name,
      lines
        .trimEnd()
        .split("\n")
        .map((line) => line.trim()),
    ]),
  );
}

const OUT = [
  'oifname != "uplink" ct state != new accept',
  'oifname != "uplink" goto counted',
  "udp dport 4789 drop",
  "meta l4proto gre drop",
];
const END = "goto counted";
const ADMIN = "reject with icmpx admin-prohibited";
const [A, B, C] = ["10.7.0.0/16", "10.8.0.0/16", "fd07::/64"] as const;

const forward = (of: ReturnType<typeof chains>) => of.get("forward")?.slice(1);
const postrouting = (of: ReturnType<typeof chains>) => of.get("postrouting")?.slice(1);

test("without a way out the table is empty", () => {
  assert.deepEqual([...chains([[[A], false]]).keys()], []);
});

test("a masqueraded network: what stays inside is not tracked, what has no host is refused, the rest is hidden", () => {
  const of = chains([[[A], true]]);
  assert.deepEqual([...of.keys()], ["counted", "untracked", "forward", "input", "postrouting"]);
  assert.deepEqual(of.get("untracked"), [
    "type filter hook prerouting priority raw; policy accept;",
    `ip saddr { ${A} } ip daddr { ${A} } notrack`,
  ]);
  assert.deepEqual(of.get("forward"), [
    "type filter hook forward priority filter; policy accept;",
    ...OUT,
    `ip daddr { ${A} } reject with icmp net-unreachable`,
    `ip saddr != { ${A} } ${ADMIN}`,
    `meta nfproto ipv6 ${ADMIN}`,
    END,
  ]);
  assert.deepEqual(of.get("postrouting"), [
    "type nat hook postrouting priority srcnat; policy accept;",
    `oifname "uplink" ip saddr { ${A} } ip daddr != { ${A} } masquerade`,
    'iifname "uplink" oifname "wx4096" masquerade',
  ]);
});

test("beside a network that is not masqueraded, its addresses are inside and do not leave", () => {
  const of = chains([
    [[B], true],
    [[A, C], false],
  ]);
  const all = `{ ${A}, ${B} }`;
  assert.deepEqual(of.get("untracked")?.slice(1), [
    `ip saddr ${all} ip daddr ${all} notrack`,
    `ip6 saddr { ${C} } ip6 daddr { ${C} } notrack`,
  ]);
  assert.deepEqual(forward(of), [
    ...OUT,
    `ip daddr ${all} reject with icmp net-unreachable`,
    `ip6 daddr { ${C} } reject with icmpv6 no-route`,
    `ip saddr != { ${B} } ${ADMIN}`,
    `meta nfproto ipv6 ${ADMIN}`,
    END,
  ]);
  assert.deepEqual(postrouting(of), [
    `oifname "uplink" ip saddr { ${B} } ip daddr != ${all} masquerade`,
    'iifname "uplink" oifname "wx4096" masquerade',
  ]);
});

test("with access to the host all known sources leave, and only masqueraded ones are hidden", () => {
  const of = chains(
    [
      [[A, C], true],
      [[B], false],
    ],
    { hostAccess: true, vtepName: "vtep1024" },
  );
  const all = `{ ${A}, ${B} }`;
  assert.deepEqual(forward(of), [
    ...OUT,
    `ip daddr ${all} reject with icmp net-unreachable`,
    `ip6 daddr { ${C} } reject with icmpv6 no-route`,
    `ip saddr != ${all} ${ADMIN}`,
    `ip6 saddr != { ${C} } ${ADMIN}`,
    END,
  ]);
  assert.deepEqual(postrouting(of), [
    `oifname "uplink" ip saddr { ${A} } ip daddr != ${all} masquerade`,
    `oifname "uplink" ip6 saddr { ${C} } ip6 daddr != { ${C} } masquerade`,
    'iifname "uplink" oifname "vtep1024" masquerade',
  ]);
  const shut = chains([[[B], false]], { hostAccess: true });
  assert.deepEqual(postrouting(shut), ['iifname "uplink" oifname "wx4096" masquerade']);
  assert.deepEqual(forward(shut)?.slice(-3), [`ip saddr != { ${B} } ${ADMIN}`, `meta nfproto ipv6 ${ADMIN}`, END]);
});

test("nothing is routed out of networks without a gateway, of each family that they have addresses of", () => {
  const of = chains(
    [
      [[A], false],
      [[B, C], true],
    ],
    { isAlone: true },
  );
  assert.deepEqual(of.get("isolated"), [
    "type filter hook forward priority filter - 1; policy accept;",
    'meta nfproto ipv4 iifname { "wb-n0", "wb-n1" } drop',
    'meta nfproto ipv6 iifname { "wb-n1" } drop',
  ]);
  assert.deepEqual([...chains([[[A], false]], { isAlone: true }).keys()], ["isolated"]);
});
