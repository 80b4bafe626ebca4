// What the server is told of a round, by what the kernel refused in it.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { KernelObject } from "../../../../src/datapath/kinds.ts";
import type { OpResult } from "../../../../src/kernel/kernel.ts";
import { emptySnapshot } from "../../../../src/model/resource.ts";
import type { HostReport } from "../../../../src/model/status.ts";
import { failedOutcome, outcomeOf } from "../../../../src/agent/server/report.ts";

const at = (revision: number) => ({ ...emptySnapshot("c"), revision });
const before = (revision: number, policyRevision?: number) =>
  ({ revision, ...(policyRevision === undefined ? {} : { policyRevision }) }) as unknown as HostReport;
const refused = (...objects: readonly KernelObject[]) =>
  objects.map((object): OpResult => ({ op: { op: "add", object }, refusal: { class: "busy", message: "EBUSY" } }));
const peer = { name: "eth0", mtu: 1450, mac: "02:00:00:00:00:02" };
const port = (name: string, far: "/run/netns/web" | "host"): KernelObject => ({
  kind: "veth",
  ns: "vrf:blue",
  name,
  mtu: 1450,
  mac: "fe:00:00:00:00:01",
  alias: "weft:x:y",
  peer: { ns: far, ...peer },
});
const address = (ns: KernelObject["ns"], dev: string): KernelObject =>
  ({ kind: "address", ns, dev, cidr: "10.7.0.2/24" }) as KernelObject;
const BRIDGE: KernelObject = { kind: "bridge", ns: "vrf:blue", name: "wb", mtu: 1450, mac: "", alias: "weft:x:y" };
const PORT = port("wp1", "/run/netns/web");

test("a round that did all has reached its revision", () => {
  assert.deepEqual(outcomeOf(at(7), [], before(3), "weft-"), {
    revision: 7,
    policyRevision: 7,
    policyFailed: [],
    errors: [],
  });
});

test("what is refused holds the revision back, but not in a workload's namespace or on its port", () => {
  const cases: readonly (readonly [what: string, refusals: readonly OpResult[], isHeldBack: boolean])[] = [
    ["a bridge", refused(BRIDGE), true],
    ["a way out", refused(port("uplink", "host")), true],
    ["a port", refused(PORT), false],
    ["a port, and what hangs on it", refused(PORT, address("vrf:blue", "wp1")), false],
    ["what hangs on a port that is there", refused(address("vrf:blue", "wp1")), true],
    ["what hangs on another port", refused(PORT, address("vrf:blue", "wp2")), true],
    ["what hangs on it in another namespace", refused(PORT, address("vrf:red", "wp1")), true],
    ["a workload's address", refused(address("/run/netns/web", "eth0")), false],
    ["a workload's address, and a bridge", refused(address("/run/netns/web", "eth0"), BRIDGE), true],
    ["a table", refused({ kind: "nft", ns: "vrf:blue", digest: "d", body: "" }), true],
    ["a namespace", refused(PORT, { kind: "netns", ns: "vrf:blue" }), true],
  ];
  for (const [what, refusals, isHeldBack] of cases) {
    assert.equal(outcomeOf(at(7), refusals, before(3), "weft-").revision, isHeldBack ? 3 : 7, what);
    // Also where that revision was reached before: it is not held any more.
    assert.equal(outcomeOf(at(7), refusals, before(7), "weft-").revision, isHeldBack ? 6 : 7, what);
    assert.equal(outcomeOf(at(0), refusals, before(0), "weft-").revision, 0, what);
  }
});

test("the first twenty refusals are told, each with what was to be done and what the kernel said", () => {
  const many = refused(...Array.from({ length: 21 }, (_, i) => address("vrf:blue", `d${i}`)));
  const { errors } = outcomeOf(at(7), many, before(3), "weft-");
  assert.equal(errors.length, 20);
  assert.match(errors[0] ?? "", /address add 10\.7\.0\.2\/24 dev d0: EBUSY$/);
  assert.match(errors[19] ?? "", /dev d19: EBUSY$/);
});

test("a round that broke off has reached nothing, and says why", () => {
  const error = new Error("no dump");
  const told = failedOutcome(at(7), error, before(7, 7));
  assert.deepEqual([told.revision, told.policyRevision, told.errors.length], [6, 6, 1]);
  assert.match(told.errors[0] ?? "", /: no dump$/);
  assert.match(failedOutcome(at(7), "text", before(7)).errors[0] ?? "", /: text$/);
  const older = failedOutcome(at(9), error, before(5, 4));
  assert.deepEqual([older.revision, older.policyRevision], [5, 4]);
  assert.equal("policyRevision" in failedOutcome(at(9), error, before(5)), false);
  assert.deepEqual(failedOutcome(undefined, error, before(5)).revision, 5);
  assert.deepEqual(failedOutcome(at(0), error, before(5)).revision, 0);
});
