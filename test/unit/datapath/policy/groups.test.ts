// Groups as values: the union of what counts, in any order; what the function that cuts flows says; what the text that
// is loaded has for each kind of rule. Whether the kernel's tables do the same is test/netns/policy.kernel.test.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Rule } from "../../../../src/model/group.ts";
import { type Resource, type Snapshot, snapshotOf } from "../../../../src/model/resource.ts";
import { compile } from "../../../../src/datapath/compile.ts";
import type { ObjectOf } from "../../../../src/datapath/kinds.ts";
import { type FlowView, judgeOf } from "../../../../src/datapath/policy/verdict.ts";
import { worldOf } from "../../../../src/datapath/world/world.ts";

const NS = "vrf:blue";

function snapshot(
  groups: Readonly<Record<string, readonly Rule[]>>,
  of: Readonly<Record<string, readonly string[]>>,
): Snapshot {
  const make = (kind: string, name: string, spec: object) => ({ kind, name, uid: name, revision: 1, spec }) as Resource;
  const endpoint = (owner: string, n: number, host = "h1") =>
    make("endpoint", `${owner}.eth0`, {
      network: "blue",
      host,
      owner,
      ifname: "eth0",
      netns: `/run/netns/${owner}`,
      mac: `02:00:0a:07:01:0${n}`,
      addresses: [`10.7.${host === "h1" ? 1 : 2}.${n}`],
      ...(of[owner] === undefined ? {} : { securityGroups: of[owner] }),
    });
  return snapshotOf("c", 1, [
    make("host", "h1", { underlay: "192.0.2.1", underlayMtu: 1500, order: 1 }),
    make("host", "h2", { underlay: "192.0.2.2", underlayMtu: 1500, order: 2 }),
    make("vrf", "blue", {
      index: 1,
      vni: 4096,
      tunnelPort: 4789,
      vtepSubnets: ["198.18.0.0/20"],
      vtepMacOui: "70:b3:d5",
      hostAccess: false,
    }),
    make("network", "blue", {
      driver: "vxlan",
      ipam: "local",
      vrf: "blue",
      subnets: [{ cidr: "10.7.0.0/16", hostPrefix: 24 }],
      masquerade: false,
      enabled: true,
      ...(of["blue"] === undefined ? {} : { securityGroups: of["blue"] }),
    }),
    make("block", "blue.h1.4", { network: "blue", host: "h1", cidr: "10.7.1.0/24" }),
    make("block", "blue.h2.4", { network: "blue", host: "h2", cidr: "10.7.2.0/24" }),
    endpoint("a", 2),
    endpoint("b", 3),
    endpoint("c", 4, "h2"),
    ...Object.entries(groups).map(([name, rules]) => make("securitygroup", name, { rules })),
  ]);
}

function judge(from: Snapshot): (flow: FlowView) => boolean {
  const world = worldOf(from, "h1") ?? assert.fail("no such host");
  return judgeOf(world, "blue") ?? assert.fail("nothing is filtered");
}

function tables(from: Snapshot): ObjectOf<"nft"> {
  const found = compile(from, "h1").get(`nft ${NS}`);
  return found?.kind === "nft" ? found : assert.fail("no tables");
}

const A = "10.7.1.2";
const B = "10.7.1.3";
const C = "10.7.2.4";
const tcp = (source: string, destination: string, destinationPort: number): FlowView => ({
  source,
  destination,
  protocol: 6,
  destinationPort,
});
const allow = (direction: "in" | "out", protocol: Rule["protocol"], more: Partial<Rule> = {}): Rule => ({
  direction,
  action: "allow",
  protocol,
  ...more,
});

test("without a group nothing is filtered, and no frame pays for it", () => {
  assert.equal(judgeOf(worldOf(snapshot({}, {}), "h1") ?? assert.fail(), "blue"), undefined);
  const { bridge = "" } = tables(snapshot({}, {}));
  assert.deepEqual(bridge.match(/hook \w+/g), ["hook prerouting"]);
  assert(!bridge.includes("sent_"));
});

test("a group without rules drops all, `default` allows all, also when nobody has written it", () => {
  assert.equal(judge(snapshot({ none: [] }, { b: ["none"] }))(tcp(C, B, 80)), false);
  assert.equal(judge(snapshot({}, { b: ["default"] }))(tcp(C, B, 80)), true);
});

test("rules are the union of the network's groups and the endpoint's own, in order of priority", () => {
  const groups = {
    web: [allow("in", "tcp", { ports: [80] })],
    ssh: [allow("in", "tcp", { ports: [22] })],
    no: [
      allow("in", "tcp", { ports: [22], action: "deny" }),
      allow("in", "tcp", { ports: [80], priority: 501, action: "deny" }),
    ],
  };
  const both = judge(snapshot(groups, { blue: ["web"], b: ["ssh"] }));
  assert.deepEqual(
    [80, 22, 23].map((port) => both(tcp(C, B, port))),
    [true, true, false],
  );
  const denied = judge(snapshot(groups, { blue: ["web"], b: ["ssh", "no"] }));
  assert.deepEqual(
    [80, 22].map((port) => denied(tcp(C, B, port))),
    [true, false],
  );
});

test("a group as peer is its members, wherever they are; what an endpoint may begin is its own out rules", () => {
  const groups = {
    db: [allow("in", "tcp", { peer: { group: "app" } })],
    app: [allow("out", "tcp", { ports: [5432] })],
  };
  const isAllowed = judge(snapshot(groups, { b: ["db"], c: ["app"], a: ["app"] }));
  assert.equal(isAllowed(tcp(C, B, 5432)), true);
  assert.equal(isAllowed(tcp("10.7.2.9", B, 5432)), false);
  assert.equal(isAllowed(tcp(A, B, 5432)), true);
  assert.equal(isAllowed(tcp(A, B, 80)), false);
  const elements = [...compile(snapshot(groups, { b: ["db"], c: ["app"], a: ["app"] }), "h1").values()].flatMap((o) =>
    o.kind === "element" && o.set.startsWith("members4_") ? [o.key] : [],
  );
  assert.deepEqual(elements.sort(), [A, C]);
});

test("a flow of an address that several endpoints may have goes on as long as the rules of all of them let it", () => {
  const groups = { web: [allow("in", "tcp", { ports: [80] })], ssh: [allow("in", "tcp", { ports: [22, 80] })] };
  const from = snapshot(groups, { a: ["web"], b: ["ssh"] });
  const endpoints = from.endpoints.map((one) =>
    one.spec.host === "h1" ? { ...one, spec: { ...one.spec, allowedAddresses: [{ address: "10.7.1.99" }] } } : one,
  );
  const isAllowed = judge({ ...from, endpoints });
  assert.deepEqual(
    [80, 22].map((port) => isAllowed(tcp(C, "10.7.1.99", port))),
    [true, false],
  );
  assert.equal(isAllowed(tcp(C, B, 22)), true);
});

test("many rules of one shape are one line, and overlapping ones still load", () => {
  const rules = Array.from({ length: 1000 }, (_, i) =>
    allow("in", "tcp", { ports: [`${i}-${i + 5}`], peer: { cidr: `10.${i % 250}.0.0/16` } }),
  );
  const { bridge = "" } = tables(snapshot({ many: rules }, { b: ["many"] }));
  assert.equal(bridge.split("\n").filter((line) => line.includes("ip saddr . tcp dport")).length, 1);
});

test("the text does not depend on the order of rules, groups or anything else", () => {
  const rule = fc.record({
    direction: fc.constantFrom("in" as const, "out" as const),
    action: fc.constantFrom("allow" as const, "deny" as const),
    protocol: fc.constantFrom("all", "tcp", "icmp", 47),
    priority: fc.constantFrom(1, 500),
    peer: fc.constantFrom(
      { cidr: "10.0.0.0/8" },
      { group: "one" },
      { network: "blue" },
      { first: "10.7.1.2", size: 3 },
    ),
  });
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 6 }), fc.array(rule, { maxLength: 6 }), (one, two) => {
      const straight = snapshot({ one, two }, { blue: ["one"], b: ["two"], a: ["two", "one"] });
      const turned = snapshot(
        { two: two.toReversed(), one: one.toReversed() },
        { b: ["two"], blue: ["one"], a: ["one", "two"] },
      );
      assert.equal(tables(straight).bridge, tables(turned).bridge);
      const flows = [A, B, C].flatMap((from) => [A, B, C].map((to) => tcp(from, to, 80)));
      assert.deepEqual(flows.map(judge(straight)), flows.map(judge(turned)));
    }),
    { numRuns: 50 },
  );
});
