// The kernel refuses a table with more than sixteen chains on one way, and counts each `goto` like a `jump`
// (nft_chain_validate, NFT_JUMP_STACK_SIZE).
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Rule } from "../../../src/model/group.ts";
import { type Resource, snapshotOf } from "../../../src/model/resource.ts";
import { compile } from "../../../src/datapath/compile.ts";

const STACK = 16;

/** The longest way through a table's chains, from a hook on. */
function deepest(text: string): readonly string[] {
  const next = new Map<string, Set<string>>();
  const hooked: string[] = [];
  for (const [, name = "", body = ""] of text.matchAll(/^chain (\S+) \{\n(.*?)^\}$/gms)) {
    const lines = body.replaceAll(/"[^"]*"/g, "");
    next.set(name, new Set(Array.from(lines.matchAll(/\b(?:goto|jump) ([\w.-]+)/g), ([, to = ""]) => to)));
    if (/\bhook\b/.test(lines)) hooked.push(name);
  }
  const known = new Map<string, readonly string[]>();
  const from = (name: string, way: readonly string[]): readonly string[] => {
    assert(!way.includes(name), `a loop: ${[...way, name].join(" > ")}`);
    const before = known.get(name);
    if (before !== undefined) return before;
    const targets = [...(next.get(name) ?? assert.fail(`there is no chain ${name}`))];
    const longest = [name, ...longer(targets.map((target) => from(target, [...way, name])))];
    known.set(name, longest);
    return longest;
  };
  return longer(hooked.map((name) => from(name, [])));
}

function longer(ways: readonly (readonly string[])[]): readonly string[] {
  return ways.reduce((best, way) => (way.length > best.length ? way : best), []);
}

const make = (kind: string, name: string, spec: object) => ({ kind, name, uid: name, revision: 1, spec }) as Resource;

function everything() {
  const sides = ["in", "out"] as const;
  const rules = sides.flatMap((direction): Rule[] => [
    { direction, action: "allow", protocol: "tcp", ports: ["80", "8000-9000"], peer: { group: "all" } },
    { direction, action: "deny", protocol: "udp", peer: { cidr: "10.7.2.0/24" } },
    { direction, action: "allow", protocol: "icmpv6", peer: { network: "blue" } },
    { direction, action: "allow", protocol: "all" },
  ]);
  return snapshotOf("c", 1, [
    make("host", "h1", { underlay: "192.0.2.1", underlayMtu: 1500, order: 1 }),
    make("host", "h2", { underlay: "192.0.2.2", underlayMtu: 1500, order: 2 }),
    make("vrf", "blue", {
      index: 1,
      vni: 4096,
      tunnelPort: 4789,
      vtepSubnets: ["198.18.0.0/20"],
      vtepMacOui: "70:b3:d5",
      hostAccess: true,
    }),
    make("network", "blue", {
      driver: "vxlan",
      ipam: "local",
      vrf: "blue",
      subnets: [{ cidr: "10.7.0.0/16", hostPrefix: 24 }],
      masquerade: true,
      enabled: true,
    }),
    make("block", "blue.h1.4", { network: "blue", host: "h1", cidr: "10.7.1.0/24" }),
    make("securitygroup", "all", { rules }),
    make("endpoint", "a.eth0", {
      network: "blue",
      host: "h1",
      owner: "a",
      ifname: "eth0",
      netns: "/run/netns/a",
      mac: "02:00:0a:07:01:02",
      addresses: ["10.7.1.2"],
      securityGroups: ["all"],
    }),
  ]);
}

test("no way through a table is longer than the kernel follows", (t) => {
  let tables = 0;
  for (const object of compile(everything(), "h1").values()) {
    if (object.kind !== "nft") continue;
    for (const text of [object.body, object.bridge ?? ""]) {
      if (text === "") continue;
      tables++;
      const way = deepest(text);
      assert(way.length <= STACK, `${way.length} chains: ${way.join(" > ")}`);
      if (way.length > 8) t.diagnostic(`${way.length} chains: ${way.join(" > ")}`);
    }
  }
  assert.equal(tables, 3, "the host's, the VRF's, and its frames'");
});

test("a way is counted from its hook to its end", () => {
  const text = `chain a {
  type filter hook prerouting priority 0; policy accept;
  ip protocol vmap { tcp : goto b, udp : jump c }
}
chain b {
  comment "goto nowhere"
  goto c
}
chain c {
  accept
}
`;
  assert.deepEqual(deepest(text), ["a", "b", "c"]);
});
