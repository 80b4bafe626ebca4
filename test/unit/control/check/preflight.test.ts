// What a preflight's report makes of the results of two hosts: each state, with its reason and its way out.
import assert from "node:assert/strict";
import { test } from "node:test";
import { reportOf } from "../../../../src/control/check/preflight.ts";
import type { Channel, TrialResult } from "../../../../src/model/preflight.ts";
import type { Host } from "../../../../src/model/resource.ts";

const UDP: Channel = { driver: "vxlan", port: 4789 };

function host(name: string, underlay: string, order: number): Host {
  return { kind: "host", name, uid: name, revision: 1, spec: { underlay, underlayMtu: 1500, order } };
}
const A = host("a", "10.0.0.1", 1);
const B = host("b", "10.0.0.2", 2);

function result(peer: string, seen: { passed?: number; heard?: boolean; ping?: boolean }, mtu = 1500): TrialResult {
  const { passed = 0, heard = false, ping = false } = seen;
  return { mtu, peers: [{ host: peer, ping, channels: [{ channel: UDP, passed, heard }] }], filters: [] };
}

/** The way from a to b. */
function way(of: TrialResult | string, far: TrialResult | string, to = B) {
  const { ways, problems } = reportOf(
    [A, to],
    [UDP],
    new Map([
      ["a", of],
      ["b", far],
    ]),
  );
  return { ...ways.find(({ from }) => from === "a"), problems };
}

test("whole packets pass if the smaller of the two hosts' MTUs does", () => {
  assert.equal(way(result("b", { passed: 1500 }), result("a", {})).state, "passes");
  assert.equal(way(result("b", { passed: 1400 }, 9000), result("a", {}, 1400)).state, "passes");
});

test("a smaller packet is said with the MTU that networks can have", () => {
  const small = way(result("b", { passed: 1450 }), result("a", {}));
  assert.deepEqual([small.state, small.size], ["small", 1450]);
  assert.match(small.why ?? "", /an MTU of 1400 or less/);
});

test("what arrives without an answer is one way, what does not arrive is blocked or dead", () => {
  assert.equal(way(result("b", {}), result("a", { heard: true })).state, "one-way");
  const blocked = way(result("b", { ping: true }), result("a", {}));
  assert.equal(blocked.state, "blocked");
  assert.match(blocked.why ?? "", /open UDP 4789 from 10\.0\.0\.1 to 10\.0\.0\.2/);
  assert.equal(way(result("b", {}), result("a", {})).state, "dead");
});

test("a host that could not try is named, and its ways are not judged", () => {
  for (const silent of ["away: its agent does not follow the server", { ...result("a", {}), obstacle: "no sockets" }]) {
    const untried = way(result("b", {}), silent);
    assert.equal(untried.state, "untried");
    assert.match(untried.problems.join(), /^host b could not try: (away|no sockets)/);
  }
});

test("addresses of two families never reach each other", () => {
  const six = host("b", "fd00::2", 2);
  const dead = way(result("b", {}), result("a", {}), six);
  assert.equal(dead.state, "dead");
  assert.match(dead.why ?? "", /one family/);
});

test("a host without what a driver needs is named, although packets pass", () => {
  const lacking = { ...B, spec: { ...B.spec, features: [] } };
  const passing = way(result("b", { passed: 1500 }), result("a", {}), lacking);
  assert.equal(passing.state, "passes");
  assert.equal(
    passing.problems[0],
    "host b cannot carry networks with driver vxlan: it lacks VXLAN devices (kernel module vxlan)",
  );
});

test("filters are only told of where something does not pass", () => {
  const filters = ["chain input of table ip x: udp dport 4789 drop"];
  const good = { ...result("b", { passed: 1500 }), filters };
  const back = { ...result("a", { passed: 1500 }), filters };
  assert.deepEqual(
    reportOf(
      [A, B],
      [UDP],
      new Map([
        ["a", good],
        ["b", back],
      ]),
    ).problems,
    [],
  );
  const bad = way({ ...result("b", { ping: true }), filters }, result("a", { passed: 1500 }));
  assert.ok(bad.problems.some((line) => line.startsWith("host a filters: chain input")));
});
