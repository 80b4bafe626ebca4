// The texts that hosts load: all tables and elements of a few clusters, as tables.txt has them, line by line. A host
// whose text differs from what its kernel has replaces the table, and all flows of the VRF begin anew: so no change of
// the source may change a text unnoticed. What a text does to packets is the other tests' to say. After a change that
// is meant, WEFT_WRITE_TABLES=1 writes the file anew; read the difference.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { compile } from "../../../../src/datapath/compile.ts";
import type { ObjectOf } from "../../../../src/datapath/kinds.ts";
import { nftDigest } from "../../../../src/datapath/kinds/tables.ts";
import type { KernelState } from "../../../../src/datapath/state/state.ts";
import type { Rule } from "../../../../src/model/group.ts";
import { type Resource, snapshotOf } from "../../../../src/model/resource.ts";

const make = (kind: string, name: string, spec: object) => ({ kind, name, uid: name, revision: 1, spec }) as Resource;

function vrf(index: number, name: string, more: object = {}): Resource {
  const own = { index, vni: 4096 + index, tunnelPort: 4788 + index, vtepSubnets: ["198.18.0.0/20", "fd18::/64"] };
  return make("vrf", name, { ...own, vtepMacOui: "70:b3:d5", hostAccess: false, ...more });
}

const hosts = (...underlays: readonly string[]) =>
  underlays.map((underlay, i) => make("host", `h${i + 1}`, { underlay, underlayMtu: 1500, order: i }));

function network(name: string, of: string, subnets: readonly object[], more: object = {}): Resource {
  const isLocal = subnets.some((subnet) => "hostPrefix" in subnet);
  return make("network", name, {
    driver: "vxlan",
    ipam: isLocal ? "local" : "global",
    ...(isLocal ? {} : { vni: 100 + name.length }),
    vrf: of,
    subnets,
    masquerade: false,
    enabled: true,
    ...more,
  });
}

const block = (of: string, host: string, cidr: string) =>
  make("block", `${of}.${host}.${cidr.includes(":") ? 6 : 4}`, { network: of, host, cidr });

function endpoint(owner: string, of: string, addresses: readonly string[], more: object = {}): Resource {
  const number = owner.charCodeAt(0).toString(16);
  return make("endpoint", `${owner}.eth0`, {
    network: of,
    host: "h1",
    owner,
    ifname: "eth0",
    netns: `/run/netns/${owner}`,
    mac: `02:00:00:00:00:${number}`,
    addresses,
    ...more,
  });
}

const LONG = "g".repeat(220);
const bothWays = (rule: Omit<Rule, "direction">): Rule[] => [
  { ...rule, direction: "in" },
  { ...rule, direction: "out" },
];
const tcp = { action: "allow", protocol: "tcp" } as const;

/** Groups with a rule of each form, in and out. */
const GROUPS: readonly Resource[] = [
  make("securitygroup", "web", {
    rules: [
      { ...tcp, ports: [80, "443", "8000-8100", 8050] },
      { ...tcp, ports: [22], peer: { cidr: "10.0.0.0/8" } },
      { ...tcp, ports: [23], peer: { cidr: "10.1.0.0/16" } },
      { ...tcp, ports: [22], peer: { cidr: "fd00::/8" } },
      { ...tcp, ports: [5432], peer: { group: "db" } },
      { ...tcp, peer: { group: "db" }, ports: ["6000-6010"], priority: 100 },
      { action: "allow", protocol: "udp", ports: [53], peer: { first: "10.9.0.5", size: 3 } },
      { action: "allow", protocol: "icmp", icmpType: 8 },
      { action: "allow", protocol: "icmpv6", icmpType: 128, peer: { cidr: "fd00::1" } },
      { action: "allow", protocol: "icmp", peer: { cidr: "10.2.0.0/16" } },
      { action: "deny", protocol: "all", peer: { cidr: "10.66.0.0/16" } },
      { action: "deny", protocol: "udp", priority: 100, log: true },
      { action: "allow", protocol: 47, peer: { network: "wide" }, log: true },
    ].flatMap((rule) => bothWays(rule as Omit<Rule, "direction">)),
    commits: { "*": 2, h1: 1, h2: 7 },
  }),
  make("securitygroup", "db", {
    rules: [
      { direction: "in", ...tcp, ports: [5432], peer: { group: LONG } },
      { direction: "in", action: "allow", protocol: "all", peer: { network: "gone" } },
      { direction: "out", action: "allow", protocol: "ipsec" },
    ],
    keepFlows: true,
  }),
  make("securitygroup", LONG, { rules: bothWays({ action: "allow", protocol: "all" }), commits: { h2: 1 } }),
];

/** Everything that a VRF may have, beside one that is open to its host and one with nothing. */
function rich(): readonly Resource[] {
  return [
    ...hosts("192.0.2.1", "192.0.2.2", "192.0.2.3"),
    vrf(1, "blue"),
    vrf(2, "open", { hostAccess: true, tunnelPort: 4789 }),
    vrf(3, "quiet", { vtepSubnets: ["198.18.0.0/20"] }),
    network(
      "near",
      "blue",
      [
        { cidr: "10.2.0.0/16", hostPrefix: 24 },
        { cidr: "fd02::/48", hostPrefix: 64 },
      ],
      { masquerade: true, dns: ["192.0.2.2", "fd00::53"] },
    ),
    network(
      "wide",
      "blue",
      [
        { cidr: "10.6.0.0/24", gateway: "10.6.0.1" },
        { cidr: "fd06::/64", gateway: "fd06::1" },
      ],
      {
        securityGroups: ["web"],
        ranges: [
          { name: "r", type: "ip4", first: "10.6.0.64", size: 16, securityGroups: ["db"], dns: ["192.0.2.3"] },
          { name: "m", type: "ether", mac: "02:00:aa:00:00:00", size: 8 },
        ],
      },
    ),
    network("alone", "blue", [{ cidr: "10.7.0.0/24" }, { cidr: "fd07::/64" }]),
    network("half", "blue", [{ cidr: "10.8.0.0/24", gateway: "10.8.0.1" }, { cidr: "fd08::/64" }], {
      spoofing: { ip: true, dhcpServer: true },
    }),
    network("loose", "blue", [{ cidr: "10.10.0.0/24", gateway: "10.10.0.1" }], {
      spoofing: { routerAdvertisements: true, broadcasts: true, tags: true },
    }),
    network("public", "open", [{ cidr: "10.20.0.0/16", hostPrefix: 24 }], { dns: ["192.0.2.1"] }),
    network("still", "quiet", [{ cidr: "10.30.0.0/24", gateway: "10.30.0.1" }]),
    block("near", "h1", "10.2.1.0/24"),
    block("near", "h1", "fd02:0:0:1::/64"),
    block("near", "h2", "10.2.2.0/24"),
    block("public", "h1", "10.20.1.0/24"),
    block("public", "h3", "10.20.3.0/24"),
    ...GROUPS,
    endpoint("a", "near", ["10.2.1.2", "fd02:0:0:1::2"]),
    endpoint("b", "near", ["10.2.1.3"], { securityGroups: ["db", LONG] }),
    endpoint("c", "wide", ["10.6.0.2", "fd06::2"], {
      allowedAddresses: [
        { address: "10.6.0.99" },
        { address: "10.6.0.2", mac: "02:00:00:00:99:99" },
        { address: "fd06::99" },
      ],
    }),
    endpoint("d", "wide", ["10.6.0.64"], { range: "r" }),
    endpoint("e", "wide", [], { range: "m" }),
    endpoint("f", "alone", ["10.7.0.2"], { securityGroups: ["db"] }),
    endpoint("g", "half", ["10.8.0.2"]),
    endpoint("h", "loose", ["10.10.0.2"]),
    endpoint("i", "public", ["10.20.1.2"]),
    endpoint("j", "still", ["10.30.0.2"]),
    endpoint("k", "near", ["10.2.2.2"], { host: "h2", securityGroups: ["web"] }),
    endpoint("l", "wide", ["10.6.0.3"], { host: "h2", securityGroups: ["db"] }),
    endpoint("m", "still", ["10.30.0.3"], { host: "h3" }),
  ];
}

/** A VRF whose bridges learn, with filters beside them or with none; over IPv6. */
function learning(isFlooded: boolean, isOpen: boolean, groups: readonly string[] = []): readonly Resource[] {
  const all = { dhcpServer: true, routerAdvertisements: true, tags: true };
  const spoofing = { mac: true, ...(isFlooded ? { broadcasts: true } : {}), ...(isOpen ? all : {}) };
  return [
    ...hosts("2001:db8::1", "2001:db8::2"),
    vrf(1, "v", { tunnelPort: 4790 }),
    network("any", "v", [{ cidr: "fd06::/64", gateway: "fd06::1" }], { spoofing, masquerade: isFlooded }),
    endpoint("a", "any", ["fd06::2"], { securityGroups: groups }),
    endpoint("b", "any", [], { host: "h2", securityGroups: groups }),
    ...GROUPS,
  ];
}

const CLUSTERS: Readonly<Record<string, readonly [resources: readonly Resource[], management: readonly string[]]>> = {
  rich: [rich(), ["192.0.2.99", "2001:db8::99", "192.0.2.1"]],
  learned: [learning(false, false), []],
  "learned and filtered": [learning(false, false, ["db"]), []],
  flooded: [learning(true, false), ["2001:db8::99"]],
  open: [learning(true, true), []],
};

/** Texts of tables without the chains that an earlier one has just so, and elements by set. */
function texts(): string {
  const seen = new Map<string, string>();
  const out: string[] = [];
  const parts = (text: string, at: string) => {
    for (const [part] of text.matchAll(/^chain \S+ \{\n.*?^\}\n|^[^\n]*\n/gms)) {
      const [first = ""] = part.split("\n");
      const before = seen.get(part);
      out.push(before === undefined || !part.startsWith("chain") ? part : `${first} as in ${before} }\n`);
      seen.set(part, before ?? at);
    }
  };
  for (const [cluster, [resources, management]] of Object.entries(CLUSTERS))
    for (const host of cluster === "rich" ? ["h1", "h2"] : ["h1"]) {
      const state = compile(snapshotOf("c", 1, resources), host, management);
      for (const table of tablesIn(state)) {
        const at = `${cluster}: ${host}, ${table.ns}`;
        assert.equal(table.digest, nftDigest(table.body, table.bridge));
        out.push(`\n# ${at}\n`);
        parts(table.body, at);
        if (table.bridge !== undefined) out.push("# bridge\n");
        parts(table.bridge ?? "", at);
      }
      out.push(`\n# ${cluster}: ${host}, elements\n`, ...elementsIn(state));
    }
  return out.join("");
}

const tablesIn = (state: KernelState): ObjectOf<"nft">[] =>
  [...state.values()].filter((one) => one.kind === "nft").toSorted((a, b) => (a.ns < b.ns ? -1 : 1));

const elementsIn = (state: KernelState): string[] =>
  [...state.values()]
    .flatMap((one) => (one.kind === "element" ? [`${one.ns} ${one.set} { ${one.key} } ${one.value ?? ""}`.trim()] : []))
    .toSorted()
    .map((line) => `${line}\n`);

const FILE = new URL("tables.txt", import.meta.url);

test("tables and elements are the texts of tables.txt", () => {
  const now = texts();
  if (process.env["WEFT_WRITE_TABLES"] === "1") writeFileSync(FILE, now);
  assert.deepEqual(now.split("\n"), readFileSync(FILE, "utf8").split("\n"));
});

test("the order of resources changes no text", () => {
  for (const [cluster, [resources, management]] of Object.entries(CLUSTERS))
    for (const host of ["h1", "h2"]) {
      const one = compile(snapshotOf("c", 1, resources), host, management);
      const other = compile(snapshotOf("c", 1, resources.toReversed()), host, management);
      for (const those of [tablesIn, elementsIn]) assert.deepEqual(those(other), those(one), `${cluster} ${host}`);
    }
});
