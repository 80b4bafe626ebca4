// A rule as one word, both ways; the order in which rules count; who is up to date.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/model/fault.ts";
import { type Resource, snapshotOf } from "../../../../src/model/resource.ts";
import type { ClusterStatus } from "../../../../src/model/status.ts";
import { overriddenText, ruleOf, ruleText } from "../../../../src/cli/group/rule.ts";
import { effectiveRules, progressOf } from "../../../../src/cli/group/status.ts";

test("a rule is read as it is meant, and told again", () => {
  const told = (text: string) => ruleText(ruleOf("allow", text));
  assert.equal(told("in:tcp:22,80-90:from=10.0.0.0/8"), "allow in:tcp:22,80-90:from=10.0.0.0/8");
  assert.equal(told("out:all"), "allow out:all");
  assert.equal(told("in:icmp:8"), "allow in:icmp:8");
  assert.equal(told("in:47:log:priority=3:from=10.0.0.5+10"), "allow in:47:from=10.0.0.5+10:priority=3:log");
  assert.equal(told("out:udp:53:to=fd00::1:2:log"), "allow out:udp:53:to=fd00::1:2:log");
  assert.equal(told("in:tcp:from=group/web"), "allow in:tcp:from=group/web");
  assert.equal(told("out:tcp:to=network/blue"), "allow out:tcp:to=network/blue");
  for (const bad of ["tcp:22", "in", "in:tcp:ssh", "in:tcp:to=10.0.0.0/8", "in:tcp:priority=x"])
    assert.throws(() => ruleOf("allow", bad), Fault, bad);
});

test("default beside others is told", () => {
  assert.equal(overriddenText(["default"]), "");
  assert.equal(overriddenText(["web"]), "");
  assert.match(
    overriddenText(["default", "web"]),
    /default is also assigned and allows everything; only what web denies/,
  );
});

const make = (kind: string, name: string, revision: number, spec: object) =>
  ({ kind, name, uid: name, revision, spec }) as Resource;
const endpoint = (owner: string, host: string) =>
  make("endpoint", `${owner}.eth0`, 5, { network: "blue", host, owner, securityGroups: ["own"], addresses: [] });
const rule = (action: string, priority?: number) => ({
  direction: "in",
  action,
  protocol: "all",
  ...(priority === undefined ? {} : { priority }),
});
const snapshot = snapshotOf("c", 9, [
  make("network", "blue", 4, { vrf: "blue", securityGroups: ["shared"] }),
  make("securitygroup", "shared", 3, { rules: [rule("allow"), rule("allow", 1)] }),
  make("securitygroup", "own", 8, { rules: [rule("deny")] }),
  endpoint("a", "h1"),
  endpoint("b", "h1"),
  endpoint("c", "h2"),
]);

test("effective rules are in the order they are asked, each with where it comes from", () => {
  const [network] = snapshot.networks;
  const [first] = snapshot.endpoints;
  assert(first !== undefined);
  assert.deepEqual(
    effectiveRules(first, network, snapshot.securityGroups).map(
      ({ group, number, from }) => `${group}[${number}] ${from}`,
    ),
    ["shared[1] network/blue", "own[0] endpoint/a.eth0", "shared[0] network/blue"],
  );
});

test("up to date, pending, failed: by what each host reported", () => {
  const host = (name: string, report: object) => ({ host: name, underlay: "", state: "ready", status: report });
  const status = {
    cluster: "c",
    revision: 9,
    hosts: [host("h1", { policyRevision: 8, policyFailed: ["b.eth0"] }), host("h2", { policyRevision: 7 })],
  } as unknown as ClusterStatus;
  const told = progressOf(snapshot, status, "own");
  assert.deepEqual(told, [
    { host: "h1", upToDate: ["a.eth0"], pending: [], failed: ["b.eth0"] },
    { host: "h2", upToDate: [], pending: ["c.eth0"], failed: [] },
  ]);
  assert.deepEqual(progressOf(snapshot, status, "nobody"), []);
});
