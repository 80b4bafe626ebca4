// What the rules say to a flow: its protocol, ports and type, its peer, and which endpoints are asked.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Rule } from "../../../../src/model/group.ts";
import { type Resource, snapshotOf } from "../../../../src/model/resource.ts";
import { type FlowView, judgeOf } from "../../../../src/datapath/policy/verdict.ts";
import { worldOf } from "../../../../src/datapath/world/world.ts";

function make(kind: string, name: string, spec: object): Resource {
  return { kind, name, uid: name, revision: 1, spec } as Resource;
}

function endpoint(owner: string, n: number, more: object = {}): Resource {
  const place = { network: "blue", host: "h1", owner, ifname: "eth0", netns: `/run/netns/${owner}` };
  const own = { mac: `02:00:0a:07:00:0${n}`, addresses: [`10.7.0.${n}`, `fd07::${n}`] };
  return make("endpoint", `${owner}.eth0`, { ...place, ...own, ...more });
}

const group = (name: string, rules: readonly Rule[], more: object = {}) =>
  make("securitygroup", name, { rules, ...more });

/** A judge on h1, of the VRF's networks `blue` and `green`. */
function judge(...resources: readonly Resource[]) {
  const networks = [7, 8].map((vni) =>
    make("network", vni === 7 ? "blue" : "green", {
      driver: "vxlan",
      ipam: "global",
      vrf: "blue",
      vni,
      subnets: [{ cidr: `10.${vni}.0.0/16` }, { cidr: `fd0${vni}::/64` }],
      masquerade: false,
      enabled: true,
      ranges: [{ name: "ranged", type: "ip4", first: `10.${vni}.1.0`, size: 4, securityGroups: ["app"] }],
    }),
  );
  const vrf = make("vrf", "blue", {
    index: 1,
    vni: 4096,
    tunnelPort: 4789,
    vtepSubnets: [],
    vtepMacOui: "70:b3:d5",
    hostAccess: false,
  });
  const hosts = [1, 2].map((order) =>
    make("host", `h${order}`, { underlay: `192.0.2.${order}`, underlayMtu: 1500, order }),
  );
  const world = worldOf(snapshotOf("c", 1, [...hosts, vrf, ...networks, ...resources]), "h1") ?? assert.fail();
  return judgeOf(world, "blue") ?? assert.fail("nothing is filtered");
}

const IN = { direction: "in", action: "allow" } as const;
const OUT = { direction: "out", action: "allow" } as const;
const SELF = "10.7.0.2";
const SELF6 = "fd07::2";
const PEER = "10.9.0.9";
const PEER6 = "fd09::9";

const flow = (protocol: number, more: Partial<FlowView> = {}): FlowView => ({
  source: PEER,
  destination: SELF,
  protocol,
  ...more,
});
const tcp = (destinationPort: number, more: Partial<FlowView> = {}) => flow(6, { destinationPort, ...more });
const SIX = { source: PEER6, destination: SELF6 } as const;

/** Whether one rule lets these flows begin to an endpoint that has no other. */
function allowed(rule: Omit<Rule, "direction" | "action">, ...flows: readonly FlowView[]): boolean[] {
  const isAllowed = judge(group("g", [{ ...IN, ...rule }]), endpoint("a", 2, { securityGroups: ["g"] }));
  return flows.map((one) => isAllowed(one));
}

test("a rule is of a protocol, and of ports or a type of it", () => {
  assert.deepEqual(allowed({ protocol: "all" }, tcp(80), flow(47), flow(58, SIX)), [true, true, true]);
  assert.deepEqual(allowed({ protocol: "tcp" }, tcp(80), flow(6), flow(17)), [true, true, false]);
  assert.deepEqual(allowed({ protocol: 47 }, flow(47), flow(46)), [true, false]);
  assert.deepEqual(
    allowed({ protocol: "tcp", ports: [80, "90-92"] }, ...[79, 80, 81, 89, 90, 92, 93].map((port) => tcp(port))),
    [false, true, false, false, true, true, false],
  );
  // Without a port, it is of none of these.
  assert.deepEqual(allowed({ protocol: "tcp", ports: ["0-65535"] }, flow(6)), [false]);
  const ping = { protocol: "icmp", icmpType: 8 } as const;
  assert.deepEqual(allowed(ping, flow(1, { icmpType: 8 }), flow(1, { icmpType: 0 }), flow(1)), [true, false, false]);
  assert.deepEqual(allowed(ping, flow(1, { icmpType: 8, ...SIX })), [false], "ICMP of IPv4 is in IPv4");
  const ping6 = { protocol: "icmpv6", icmpType: 128 } as const;
  assert.deepEqual(allowed(ping6, flow(58, { icmpType: 128, ...SIX }), flow(58, { icmpType: 128 })), [true, false]);
});

test("a rule is of a peer: addresses to their ends, in their family", () => {
  const from = (...sources: readonly string[]) =>
    sources.map((source) => tcp(80, source.includes(":") ? { source, destination: SELF6 } : { source }));
  const of = (peer: Rule["peer"], ...sources: readonly string[]) =>
    allowed({ protocol: "all", ...(peer === undefined ? {} : { peer }) }, ...from(...sources));
  assert.deepEqual(of({ cidr: "10.9.0.8/30" }, "10.9.0.7", "10.9.0.8", "10.9.0.11", "10.9.0.12"), [
    false,
    true,
    true,
    false,
  ]);
  assert.deepEqual(of({ first: "10.9.0.8", size: 2 }, "10.9.0.9", "10.9.0.10", PEER6), [true, false, false]);
  assert.deepEqual(of({ cidr: "::a09:0/120" }, "::a09:9", PEER), [true, false], "the same number in the other family");
  assert.deepEqual(of({ network: "green" }, "10.8.9.9", "fd08::9", PEER), [true, true, false]);
  assert.deepEqual(of({ network: "gone" }, PEER), [false]);
  assert.deepEqual(of({ cidr: "0.0.0.0/0" }, "nowhere"), [false], "what is no address is nobody's");
});

test("members of a group are its endpoints everywhere, with what they may also have; of a range's, too", () => {
  const rules: readonly Rule[] = [{ ...IN, protocol: "all", peer: { group: "app" } }];
  const isAllowed = judge(
    group("g", rules),
    endpoint("a", 2, { securityGroups: ["g"] }),
    endpoint("b", 3, { host: "h2", securityGroups: ["app"], allowedAddresses: [{ address: "10.7.0.99" }] }),
    endpoint("c", 4, { host: "h2" }),
    endpoint("d", 5, { range: "ranged", addresses: ["10.7.1.0"] }),
  );
  assert.deepEqual(
    ["10.7.0.3", "10.7.0.99", "10.7.0.4", "10.7.1.0"].map((source) => isAllowed(tcp(80, { source }), "in")),
    [true, true, false, true],
  );
  // Its range's group, of which there is nothing, lets nothing in.
  assert.equal(isAllowed(tcp(80, { destination: "10.7.1.0" })), false);
  assert.equal(isAllowed(tcp(80, { source: "fd07::3", destination: SELF6 })), true);
});

test("the smaller priority decides; of equals, whoever denies", () => {
  const decided = (...rules: readonly Rule[]) =>
    judge(group("g", rules), endpoint("a", 2, { securityGroups: ["g"] }))(tcp(80));
  const allow: Rule = { ...IN, protocol: "tcp" };
  const deny: Rule = { ...allow, action: "deny", ports: [80] };
  assert.equal(decided(allow), true);
  assert.equal(decided(allow, deny), false);
  assert.equal(decided(deny, allow), false);
  assert.equal(decided({ ...deny, priority: 501 }, allow), true);
  assert.equal(decided({ ...deny, priority: 499 }, allow), false);
  assert.equal(decided({ ...deny, ports: [81] }, allow), true);
  assert.equal(decided({ ...OUT, protocol: "all" }), false, "what goes out says nothing about what comes in");
});

test("each end is asked about its own side, and a side alone if that is said; only endpoints here are asked", () => {
  const [web, none] = [group("web", [{ ...IN, protocol: "all" }]), group("none", [])];
  const [a, b] = ["10.7.0.2", "10.7.0.3"];
  const between = (source: string, destination: string) => tcp(80, { source, destination });
  const isAllowed = judge(
    web,
    none,
    endpoint("a", 2, { securityGroups: ["web"] }),
    endpoint("b", 3, { securityGroups: ["none"] }),
    endpoint("far", 4, { host: "h2", securityGroups: ["none"] }),
    endpoint("free", 5),
  );
  const sides = (source: string, destination: string) =>
    [undefined, "in", "out"].map((side) =>
      side === undefined
        ? isAllowed(between(source, destination))
        : isAllowed(between(source, destination), side as "in" | "out"),
    );
  assert.deepEqual(sides(PEER, a), [true, true, true]);
  assert.deepEqual(sides(PEER, b), [false, false, true]);
  assert.deepEqual(sides(a, PEER), [false, true, false], "its group lets nothing out");
  assert.deepEqual(sides(b, a), [false, true, false]);
  assert.deepEqual(sides("10.7.0.4", "10.7.0.5"), [true, true, true]);
  assert.deepEqual(sides("10.7.0.5", b), [false, false, true]);
});

test("an address that an endpoint may also have is its own; one that keeps its flows does not object", () => {
  const allowedAddresses = [{ address: "10.7.0.99" }];
  const isAllowed = (keepFlows: boolean) =>
    judge(group("none", [], { keepFlows }), endpoint("a", 2, { securityGroups: ["none"], allowedAddresses }));
  for (const destination of [SELF, "10.7.0.99"]) {
    assert.equal(isAllowed(false)(tcp(80, { destination })), false);
    assert.equal(isAllowed(true)(tcp(80, { destination })), true);
    assert.equal(isAllowed(false)(tcp(80, { source: destination, destination: PEER })), false);
  }
});
