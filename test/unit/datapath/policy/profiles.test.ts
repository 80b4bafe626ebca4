// Profiles: which sets of groups a host's tables have chains for, under which number, and where nothing is looked at.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Rule, SecurityGroupSpec, Spoofing } from "../../../../src/model/group.ts";
import { type Resource, type ResourceOf, snapshotOf } from "../../../../src/model/resource.ts";
import { compile } from "../../../../src/datapath/compile.ts";
import { bridgeTable } from "../../../../src/datapath/policy/filters.ts";
import { compilePolicy, policyOf, profileKey, profileOf, setId } from "../../../../src/datapath/policy/groups.ts";
import { worldOf } from "../../../../src/datapath/world/world.ts";
import { NO_PROFILE } from "../../../../src/datapath/policy/tableParts.ts";

function make(kind: string, name: string, spec: object): Resource {
  return { kind, name, uid: name, revision: 1, spec } as Resource;
}

const VRF = make("vrf", "blue", {
  index: 1,
  vni: 4096,
  tunnelPort: 4789,
  vtepSubnets: [],
  vtepMacOui: "70:b3:d5",
  hostAccess: false,
});
const HOSTS = [1, 2].map((order) =>
  make("host", `h${order}`, { underlay: `192.0.2.${order}`, underlayMtu: 1500, order }),
);

function network(name: string, vni: number, more: object = {}): ResourceOf<"network"> {
  const subnets = [{ cidr: `10.${vni}.0.0/16` }, { cidr: `fd0${vni}::/64` }];
  const common = { driver: "vxlan", ipam: "global", vrf: "blue", vni, subnets, masquerade: false, enabled: true };
  return make("network", name, { ...common, ...more }) as ResourceOf<"network">;
}

function endpoint(owner: string, n: number, more: object = {}): ResourceOf<"endpoint"> {
  const place = { network: "blue", host: "h1", owner, ifname: "eth0", netns: `/run/netns/${owner}` };
  const own = { mac: `02:00:0a:07:00:0${n}`, addresses: [`10.7.0.${n}`] };
  return make("endpoint", `${owner}.eth0`, { ...place, ...own, ...more }) as ResourceOf<"endpoint">;
}

const group = (name: string, spec: Partial<SecurityGroupSpec> = {}) =>
  make("securitygroup", name, { rules: [], ...spec });

function policy(...resources: readonly Resource[]) {
  const world = worldOf(snapshotOf("c", 1, [...HOSTS, VRF, ...resources]), "h1") ?? assert.fail();
  return policyOf(world, "blue");
}

function bridge(...resources: readonly Resource[]): string {
  const table = compile(snapshotOf("c", 1, [...HOSTS, VRF, ...resources]), "h1").get("nft vrf:blue");
  return (table?.kind === "nft" ? table.bridge : undefined) ?? assert.fail("no table");
}

const rule = (peer: Rule["peer"], direction: Rule["direction"] = "in"): Rule => ({
  direction,
  action: "allow",
  protocol: "tcp",
  ports: [80],
  ...(peer === undefined ? {} : { peer }),
});

test("profiles are those of endpoints here, and of what a network and its ranges give before there is one", () => {
  const ranges = [
    { name: "plain", type: "ip4", first: "10.7.1.0", size: 4 },
    { name: "more", type: "ip4", first: "10.7.2.0", size: 4, securityGroups: ["ranged"] },
  ];
  const { profiles } = policy(
    network("blue", 7, { securityGroups: ["wide"], ranges }),
    network("green", 8),
    endpoint("a", 2),
    endpoint("b", 3, { securityGroups: ["own", "wide"] }),
    endpoint("c", 4, { securityGroups: ["there"], host: "h2" }),
    endpoint("d", 5, { network: "green", addresses: ["10.8.0.5"] }),
    endpoint("e", 6, { securityGroups: ["own"], range: "more", addresses: ["10.7.2.0"] }),
  );
  assert.deepEqual([...profiles.keys()], ["own,ranged,wide", "own,wide", "ranged,wide", "wide"]);
  assert.deepEqual(
    [...profiles.values()].map(({ groups }) => profileKey(groups)),
    [...profiles.keys()],
  );
  assert.equal(policy(network("blue", 7), endpoint("a", 2)).profiles.size, 0);
});

test("numbers of profiles stay what they were, and no two are the same", () => {
  const idOf = (...groups: readonly string[]) =>
    policy(network("blue", 7), endpoint("a", 2, { securityGroups: groups })).profiles.get(profileKey(groups))?.id;
  // Marks of ports that another version of the agent wrote are still in the kernel.
  assert.deepEqual([idOf("web"), idOf("db"), idOf("db", "web")], [0xd9bc9e, 0x1cc694, 0xb465c6]);
  // Names of groups whose number would be that of no group, and of nobody.
  assert.deepEqual([idOf("g3ld5k"), idOf("g1ilzx")], [1, 0xff_ffff]);
  const [first, second] = namesake();
  assert.equal(idOf(first), idOf(second));
  const both = policy(
    network("blue", 7),
    endpoint("a", 2, { securityGroups: [first] }),
    endpoint("b", 3, { securityGroups: [second] }),
  );
  const id = idOf(first) ?? assert.fail();
  assert.deepEqual(
    [...both.profiles.values()].map((profile) => profile.id),
    [id, (id + 1) & 0xff_ffff],
  );
});

/** Two names of groups that have the same number. */
function namesake(): readonly [string, string] {
  const seen = new Map<number, string>();
  for (let i = 0; i < 100_000; i++) {
    const name = `g${i}`;
    let hash = 0x811c9dc5;
    for (const character of name) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193);
    const number = ((hash >>> 24) ^ hash) & 0xff_ffff;
    const other = seen.get(number);
    if (other !== undefined) return [other, name].toSorted() as [string, string];
    seen.set(number, name);
  }
  return assert.fail("no two names");
}

test("a port's number is 0 without groups, and that of nobody where the tables have no such chains yet", () => {
  const known = policy(network("blue", 7, { securityGroups: ["wide"] }), endpoint("a", 2, { securityGroups: ["own"] }));
  const plain = network("blue", 7);
  const { spec } = endpoint("a", 2);
  assert.equal(profileOf(known, plain, spec), 0);
  const own = { ...spec, securityGroups: ["own", "wide"] };
  assert.equal(profileOf(known, plain, own), known.profiles.get("own,wide")?.id);
  assert.equal(profileOf(known, plain, { ...spec, securityGroups: ["new"] }), NO_PROFILE);
  const ranges = [{ name: "r", type: "ip4", first: "10.7.0.0", size: 9, securityGroups: ["wide"] }];
  const ranged = { ...spec, range: "r", securityGroups: ["own"] };
  assert.equal(profileOf(known, network("blue", 7, { ranges }), ranged), known.profiles.get("own,wide")?.id);
});

test("a peer is placed as addresses, members or nobody; a group that is gone says nothing", () => {
  const rules = [
    rule(undefined),
    rule({ group: "app" }),
    rule({ network: "green" }),
    rule({ network: "gone" }),
    rule({ cidr: "10.0.0.0/31" }),
    rule({}),
    rule({ group: "all" }),
  ];
  const { profiles, peers } = policy(
    network("blue", 7),
    network("green", 8),
    group("db", { rules }),
    endpoint("a", 2, { securityGroups: ["db", "gone"] }),
    // Of a group that no endpoint here has, nobody here asks.
    group("far", { rules: [rule({ group: "web" })] }),
  );
  const [profile] = [...profiles.values()];
  const green = [
    { family: 4, first: 0x0a08_0000n, last: 0x0a08_ffffn },
    { family: 6, first: 0xfd08n << 112n, last: (0xfd08n << 112n) + (1n << 64n) - 1n },
  ];
  assert.deepEqual(profile?.rules, [
    { group: "db", index: 0, rule: rules[0] },
    { group: "db", index: 1, rule: rules[1], members: "app" },
    { group: "db", index: 2, rule: rules[2], peers: green },
    { group: "db", index: 3, rule: rules[3], peers: [] },
    { group: "db", index: 4, rule: rules[4], peers: [{ family: 4, first: 0x0a00_0000n, last: 0x0a00_0001n }] },
    { group: "db", index: 5, rule: rules[5], peers: [] },
    { group: "db", index: 6, rule: rules[6], members: "all" },
  ]);
  assert.deepEqual(peers, ["all", "app"]);
});

test("`default` allows everything until somebody has written it", () => {
  const directions = (...resources: readonly Resource[]) => {
    const { profiles } = policy(network("blue", 7, { securityGroups: ["default"] }), endpoint("a", 2), ...resources);
    return profiles.get("default")?.rules.map((placed) => `${placed.rule.direction} ${placed.rule.protocol}`);
  };
  assert.deepEqual(directions(), ["in all", "out all"]);
  assert.deepEqual(directions(group("default", { rules: [rule(undefined)] })), ["in tcp"]);
});

test("a commit of a group, for all hosts or this one, makes other tables; one for another host does not", () => {
  const commits = (...counts: readonly (Readonly<Record<string, number>> | undefined)[]) =>
    policy(
      network("blue", 7),
      endpoint("a", 2, { securityGroups: ["web", "db"] }),
      ...counts.map((count, i) => group(["web", "db", "far"][i] ?? "", count === undefined ? {} : { commits: count })),
    ).commits;
  assert.equal(commits(undefined, undefined), "");
  assert.equal(commits({ "*": 2 }, { h1: 3 }), "db 3, web 2");
  assert.equal(commits({ "*": 2, h1: 3 }, { h2: 1 }), "web 5");
  assert.equal(commits(undefined, undefined, { "*": 4 }), "", "of a group that no endpoint here has");
  // In order of their names, whoever has them.
  const two = policy(
    network("blue", 7),
    endpoint("a", 2, { securityGroups: ["web"] }),
    endpoint("b", 3, { securityGroups: ["db"] }),
    group("web", { commits: { "*": 1 } }),
    group("db", { commits: { "*": 2 } }),
  );
  assert.equal(two.commits, "db 2, web 1");
  const text = (count: Readonly<Record<string, number>>) =>
    bridge(network("blue", 7), endpoint("a", 2, { securityGroups: ["web"] }), group("web", { commits: count }));
  assert.match(text({ "*": 2 }), /\nchain commits \{\n {2}comment "web 2"\n\}\n/);
  assert.equal(text({ h2: 2 }).includes("commits"), false);
});

test("chains say whose they are, and whether flows are kept; each side has the rules of its direction", () => {
  const text = bridge(
    network("blue", 7),
    endpoint("a", 2, { securityGroups: ["web", "db"] }),
    endpoint("b", 3, { securityGroups: ["web"] }),
    endpoint("c", 4, { securityGroups: ["lb"] }),
    group("web", { rules: [rule(undefined), rule({ cidr: "10.7.0.9" }, "out")] }),
    group("db", { keepFlows: true }),
  );
  const bodies = new Map(Array.from(text.matchAll(/^chain (\S+) \{\n(.*?)^\}$/gms), ([, name, body]) => [name, body]));
  assert.equal(bodies.get("in_0x00d9bc9e"), '  comment "web"\n  tcp dport { 80 } goto began_in\n  goto denied_in\n');
  assert.equal(
    bodies.get("out_0x00d9bc9e"),
    '  comment "web"\n  ip daddr . tcp dport { 10.7.0.9 . 80 } goto began_out\n  goto denied_out\n',
  );
  assert.match(bodies.get("in_0x00b465c6") ?? "", /comment "db, web, flows kept"/);
  // In order of their numbers.
  const ids = ["0x0031c80c", "0x00b465c6", "0x00d9bc9e"];
  const jumpsOf = (side: string) => ids.map((id) => `${id} : goto ${side}_${id}`).join(", ");
  for (const side of ["in", "out"]) {
    const last = `meta mark & 0x00ffffff vmap { ${jumpsOf(side)} }\n  goto denied_${side}\n`;
    assert(bodies.get(`begin_${side}`)?.endsWith(last), side);
  }
  assert.deepEqual(
    [...bodies.keys()].filter((name = "") => /^(in|out)_0x/.test(name)),
    ids.flatMap((id) => [`out_${id}`, `in_${id}`]),
  );
  assert.equal(compilePolicy({ profiles: new Map(), peers: ["web"], commits: "" }, "accept", "own"), "");
});

test("comments are not longer than the kernel takes", () => {
  const names = Array.from({ length: 20 }, (_, i) => `a-group-of-mine-${i}`);
  const text = bridge(
    network("blue", 7),
    endpoint("a", 2, { securityGroups: names }),
    ...names.map((name) => group(name, { keepFlows: true, commits: { "*": 1_000_000 } })),
  );
  const comments = Array.from(text.matchAll(/comment "([^"]*)"/g), ([, comment = ""]) => comment.length);
  assert.deepEqual([...new Set(comments)], [100 + ", flows kept".length, 120]);
});

test("sets of a group are named after it; of a very long name they end in a hash of the whole", () => {
  assert.equal(setId("web"), "web");
  assert.equal(setId("g".repeat(200)), "g".repeat(200));
  const [one, two] = ["a", "b"].map((end) => setId("g".repeat(200) + end));
  assert.notEqual(one, two);
  assert.match(one ?? "", /^g{135}\/[0-9a-f]{64}$/);
});

/** What a port sends is looked at here; what it teaches is looked at later. */
const FILTERS = "hook prerouting priority -300";

test("where all may do everything nothing filters frames; one network that may not, or one group, is enough", () => {
  const open = { mac: true, dhcpServer: true, routerAdvertisements: true, broadcasts: true, tags: true };
  const isFiltered = (...spoofings: readonly Spoofing[]) =>
    bridge(
      ...spoofings.map((spoofing, i) => network(["blue", "green"][i] ?? "", 7 + i, { spoofing })),
      endpoint("a", 2),
    ).includes(FILTERS);
  assert.equal(isFiltered(open), false);
  assert.equal(isFiltered({ ...open, ip: true }, open), false);
  assert.equal(isFiltered(open, {}), true);
  assert.equal(isFiltered({}, open), true);
  for (const key of Object.keys(open)) {
    const { [key]: _, ...others } = { ...open } as Record<string, boolean>;
    assert.equal(isFiltered(others), true, key);
    assert.equal(isFiltered({ ...open, [key]: false }), true, key);
  }
  assert.equal(isFiltered(Object.fromEntries(Object.keys(open).map((key) => [key, false]))), true);
  const grouped = bridge(network("blue", 7, { spoofing: open }), endpoint("a", 2, { securityGroups: ["web"] }));
  assert.match(grouped, /hook prerouting priority -300/);
  // What a port teaches is looked at by its mark, and where nothing gives it one, by its name.
  const learning = (spoofing: Spoofing) =>
    /chain sources \{\n.*\n {2}(.*) goto heard\n/.exec(bridge(network("blue", 7, { spoofing }), endpoint("a", 2)))?.[1];
  assert.equal(learning(open), 'iifname != "wp*"');
  assert.equal(learning({ mac: true, broadcasts: true }), "meta mark & 0x01000000 == 0");
  // Without any network nothing is known to be open.
  assert.match(bridgeTable({ profiles: new Map(), peers: [], commits: "" }, []), /hook prerouting priority -300/);
});
