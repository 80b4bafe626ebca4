// Rules as nft's statements, kind by kind: what is matched, in which order, and what becomes of it. Whether the kernel
// takes them for what they say is test/netns/policy.kernel.test.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Rule } from "../../../../src/model/group.ts";
import {
  type PlacedRule,
  addressesIn,
  intervalOf,
  portsOf,
  statementsOf,
} from "../../../../src/datapath/policy/rules.ts";

const IN = { direction: "in", action: "allow" } as const;
const OUT = { direction: "out", action: "allow" } as const;

/** As rules of one group; a peer that is a group is one by its name. */
function placed(rules: readonly Rule[], group = "web"): PlacedRule[] {
  return rules.map((rule, index) => {
    const { peer } = rule;
    if (peer === undefined) return { group, index, rule };
    if (peer.group !== undefined) return { group, index, rule, members: peer.group };
    const addresses = addressesIn(peer);
    return { group, index, rule, peers: addresses === undefined ? [] : [addresses] };
  });
}

const said = (...rules: readonly Rule[]) => statementsOf(placed(rules));

test("each protocol is told by its own field, ports and types by theirs", () => {
  const cases: readonly (readonly [Omit<Rule, "direction" | "action">, string])[] = [
    [{ protocol: "all" }, ""],
    [{ protocol: "tcp" }, "meta l4proto { 6 } "],
    [{ protocol: "tcp", ports: [80] }, "tcp dport { 80 } "],
    [{ protocol: "udp" }, "meta l4proto { 17 } "],
    [{ protocol: "udp", ports: ["53", "67-68"] }, "udp dport { 53, 67-68 } "],
    [{ protocol: 6, ports: [22] }, "tcp dport { 22 } "],
    [{ protocol: "icmp" }, "meta l4proto { 1 } "],
    [{ protocol: "icmp", icmpType: 8 }, "icmp type { 8 } "],
    [{ protocol: "icmpv6" }, "meta l4proto { 58 } "],
    [{ protocol: "icmpv6", icmpType: 128 }, "icmpv6 type { 128 } "],
    [{ protocol: "ipsec" }, "meta l4proto { 50 } "],
    [{ protocol: 47 }, "meta l4proto { 47 } "],
    // Of another protocol, neither means anything.
    [{ protocol: 47, ports: [80], icmpType: 8 }, "meta l4proto { 47 } "],
  ];
  for (const [rule, match] of cases) {
    assert.deepEqual(said({ ...IN, ...rule }), [`${match}goto began_in`]);
    assert.deepEqual(said({ ...OUT, ...rule, action: "deny" }), [`${match}goto denied_out`]);
  }
});

test("a peer is the source of what comes in and the destination of what goes out, in its own family", () => {
  const peers = [
    [{ cidr: "10.0.0.0/8" }, "ip", "10.0.0.0-10.255.255.255"],
    [{ cidr: "10.0.0.5" }, "ip", "10.0.0.5"],
    [{ first: "10.0.0.5", size: 10 }, "ip", "10.0.0.5-10.0.0.14"],
    [{ first: "10.0.0.5", size: 1 }, "ip", "10.0.0.5"],
    [{ cidr: "fd00::/127" }, "ip6", "fd00::-fd00::1"],
    [{ first: "fd00::9", size: 2 }, "ip6", "fd00::9-fd00::a"],
  ] as const;
  for (const [peer, ip, text] of peers) {
    assert.deepEqual(said({ ...IN, protocol: "all", peer }), [`${ip} saddr { ${text} } goto began_in`]);
    assert.deepEqual(said({ ...OUT, protocol: "tcp", ports: [80], peer }), [
      `${ip} daddr . tcp dport { ${text} . 80 } goto began_out`,
    ]);
    assert.deepEqual(said({ ...IN, protocol: 47, peer }), [
      `${ip} saddr . meta l4proto { ${text} . 47 } goto began_in`,
    ]);
  }
});

test("ICMP is asked about its own family alone: of a peer of the other nothing is left", () => {
  for (const [protocol, own, other] of [
    ["icmp", "10.0.0.5", "fd00::5"],
    ["icmpv6", "fd00::5", "10.0.0.5"],
  ] as const) {
    const ip = protocol === "icmp" ? "ip" : "ip6";
    assert.deepEqual(said({ ...IN, protocol, icmpType: 3, peer: { cidr: own } }), [
      `${ip} saddr . ${protocol} type { ${own} . 3 } goto began_in`,
    ]);
    assert.deepEqual(said({ ...IN, protocol, peer: { cidr: other } }), []);
    assert.deepEqual(said({ ...IN, protocol, icmpType: 3, peer: { cidr: other } }), []);
    // Members of a group are asked for in both families, but for these.
    const number = protocol === "icmp" ? 1 : 58;
    const members = protocol === "icmp" ? "@members4_db" : "@members6_db";
    assert.deepEqual(said({ ...IN, protocol, peer: { group: "db" } }), [
      `${ip} saddr ${members} meta l4proto { ${number} } goto began_in`,
    ]);
  }
});

test("members of a group are looked up in both families, group by group in order", () => {
  const peer = (group: string) => ({ group });
  assert.deepEqual(said({ ...OUT, protocol: "all", peer: peer("db") }), [
    "ip daddr @members4_db goto began_out",
    "ip6 daddr @members6_db goto began_out",
  ]);
  assert.deepEqual(
    said(
      { ...IN, protocol: "tcp", ports: [80], peer: peer("web") },
      { ...IN, protocol: "udp", peer: peer("app") },
      { ...IN, protocol: "tcp", ports: [81], peer: peer("web") },
    ),
    [
      "ip saddr @members4_app meta l4proto { 17 } goto began_in",
      "ip6 saddr @members6_app meta l4proto { 17 } goto began_in",
      "ip saddr @members4_web tcp dport { 80-81 } goto began_in",
      "ip6 saddr @members6_web tcp dport { 80-81 } goto began_in",
    ],
  );
});

test("of one priority a denial goes first, and the smaller priority before the larger, by number", () => {
  const tcp = (port: number, more: Partial<Rule>): Rule => ({ ...IN, protocol: "tcp", ports: [port], ...more });
  assert.deepEqual(
    said(
      tcp(1, {}),
      tcp(2, { action: "deny" }),
      tcp(3, { priority: 1000 }),
      tcp(4, { priority: 9, action: "deny" }),
      tcp(5, { priority: 9 }),
      tcp(6, { priority: 0 }),
      // What is not said is 500.
      tcp(7, { priority: 500 }),
    ),
    [
      "tcp dport { 6 } goto began_in",
      "tcp dport { 4 } goto denied_in",
      "tcp dport { 5 } goto began_in",
      "tcp dport { 2 } goto denied_in",
      "tcp dport { 1, 7 } goto began_in",
      "tcp dport { 3 } goto began_in",
    ],
  );
});

test("rules of one step are a line per kind, whatever their order; one for all packets is the only one", () => {
  const rules: readonly Rule[] = [
    { ...IN, protocol: "udp", ports: [53] },
    { ...IN, protocol: "tcp", ports: ["80-90", 85, "91-92"] },
    { ...IN, protocol: "icmp" },
    { ...IN, protocol: 47 },
    { ...IN, protocol: "tcp", ports: [22], peer: { cidr: "10.0.0.0/24" } },
    { ...IN, protocol: "tcp", ports: [22], peer: { cidr: "10.0.0.128/25" } },
    { ...IN, protocol: "tcp", ports: [23], peer: { cidr: "fd00::/127" } },
    { ...IN, protocol: "all", peer: { cidr: "192.0.2.0/31" } },
    { ...IN, protocol: "all", peer: { cidr: "192.0.2.2" } },
  ];
  const lines = [
    "meta l4proto { 1, 47 } goto began_in",
    "tcp dport { 80-92 } goto began_in",
    "udp dport { 53 } goto began_in",
    "ip saddr { 192.0.2.0-192.0.2.2 } goto began_in",
    "ip saddr . tcp dport { 10.0.0.0-10.0.0.255 . 22 } goto began_in",
    "ip6 saddr . tcp dport { fd00::-fd00::1 . 23 } goto began_in",
  ];
  assert.deepEqual(said(...rules), lines);
  assert.deepEqual(said(...rules.toReversed()), lines);
  assert.deepEqual(said(...rules, { ...IN, protocol: "all" }), ["goto began_in"]);
});

test("a rule that is logged has lines of its own, with its group and place, behind those that are not", () => {
  const log = { log: true } as const;
  const web = placed([
    { ...IN, protocol: "tcp", ports: [80], ...log },
    { ...IN, protocol: "tcp", ports: [81] },
    { ...IN, protocol: "all", peer: { group: "db" }, ...log },
  ]);
  const app = placed([{ ...IN, protocol: "udp", ...log }], "app");
  const lines = [
    "tcp dport { 81 } goto began_in",
    'meta l4proto { 17 } limit rate 10/second log prefix "weft allow app[0] "',
    "meta l4proto { 17 } goto began_in",
    'tcp dport { 80 } limit rate 10/second log prefix "weft allow web[0] "',
    "tcp dport { 80 } goto began_in",
    'ip saddr @members4_db limit rate 10/second log prefix "weft allow web[2] "',
    "ip saddr @members4_db goto began_in",
    'ip6 saddr @members6_db limit rate 10/second log prefix "weft allow web[2] "',
    "ip6 saddr @members6_db goto began_in",
  ];
  assert.deepEqual(statementsOf([...web, ...app]), lines);
  assert.deepEqual(statementsOf([...app, ...web]), lines);
  const [long = ""] = statementsOf(placed([{ ...OUT, action: "deny", protocol: "all", ...log }], "g".repeat(100)));
  assert.equal(long, `limit rate 10/second log prefix "weft deny ${"g".repeat(60)}[0] "`);
});

test("a peer's words as addresses; what is none of them is no address", () => {
  const ten = { family: 4, first: 0x0a00_0000n, last: 0x0aff_ffffn };
  assert.deepEqual(addressesIn({ cidr: "10.0.0.0/8" }), ten);
  assert.deepEqual(intervalOf("10.0.0.0/8"), ten);
  assert.deepEqual(intervalOf("::ff"), { family: 6, first: 255n, last: 255n });
  assert.deepEqual(intervalOf("0.0.0.0/0"), { family: 4, first: 0n, last: 0xffff_ffffn });
  assert.equal(intervalOf("nowhere"), undefined);
  assert.deepEqual(addressesIn({ first: "10.0.0.0", size: 1 << 24 }), ten);
  for (const peer of [undefined, {}, { first: "10.0.0.0" }, { size: 3 }, { first: "x", size: 3 }, { cidr: "x" }])
    assert.equal(addressesIn(peer), undefined, JSON.stringify(peer));
  assert.deepEqual(portsOf({ ...IN, protocol: "tcp" }), [{ first: 0n, last: 65_535n }]);
  assert.deepEqual(portsOf({ ...IN, protocol: "tcp", ports: [7, "8", "9-10"] }), [
    { first: 7n, last: 7n },
    { first: 8n, last: 8n },
    { first: 9n, last: 10n },
  ]);
});
