// Rights and templates are about things, not names: a later owner's thing of the name is not what was meant.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Lab } from "../lab.ts";
import { v4 } from "../lab.ts";
import { ROOT, callerOf, cluster, give, put, tried } from "./lab.ts";

const [ann, cat] = [callerOf("ann"), callerOf("cat")];
const remove = (kind: string, name: string) => ({ verb: "delete", kind, name, force: true });
const rulesOf = async (lab: Lab) =>
  (await lab.snapshot()).aclRules.map(({ spec: { resource } }) => `${resource.kinds.join()} ${resource.name}`);

test("a rule for one thing ends with it, and is never about a later one of the name", async () => {
  const lab = await cluster();
  for (const user of ["ann", "cat"]) await give(lab, user, { kinds: ["network", "vrf"], all: true }, "create");
  const mine = put("network", "mine", v4("10.9.0.0/24"));
  assert.equal(await tried(lab.control, ann, mine), "done");
  await give(lab, "ben", { kinds: ["network", "vrf"], name: "mine" }, "use", "manage");
  await give(lab, "ben", { kinds: ["network"], name: "green" }, "use");
  assert.equal(await tried(lab.control, ann, remove("network", "mine")), "done", "although it manages no rule");
  const left = (await rulesOf(lab)).filter((text) => text.includes("mine"));
  assert.deepEqual(left, [], "the VRF went along");
  assert.ok((await rulesOf(lab)).includes("network green"));
  assert.equal(await tried(lab.control, cat, mine), "done");
  assert.equal(await tried(lab.control, callerOf("ben"), remove("network", "mine")), "network-unknown");
  const rule = { subject: { user: "ben" }, resource: { kinds: ["network", "pool"], name: "mine" }, rights: ["use"] };
  assert.equal(await tried(lab.control, ROOT, put("aclrule", "early", rule)), "not-found", "there is no such pool");
  const inside = { ...rule, resource: { kinds: ["network"], hostcluster: "east" } };
  assert.equal(await tried(lab.control, ROOT, put("aclrule", "early", inside)), "not-found", "nor such a cluster");
  await lab.control.write(put("hostcluster", "east", { hosts: ["h1"] }) as never);
  assert.equal(await tried(lab.control, ROOT, put("aclrule", "east", inside)), "done");
  assert.equal(await tried(lab.control, ROOT, remove("hostcluster", "east")), "done");
  assert.ok(!(await rulesOf(lab)).includes("network undefined"));
});

test("a rule loses the kind of what went, follows a new name, and goes with the endpoint that it names", async () => {
  const lab = await cluster();
  await lab.control.write(put("vrf", "blue", {}) as never);
  await give(lab, "ann", { kinds: ["network", "vrf"], name: "blue" }, "use");
  await give(lab, "ann", { kinds: ["endpoint"], name: "web.eth0" }, "use", "manage");
  assert.equal(await tried(lab.control, ROOT, remove("network", "blue")), "done");
  assert.deepEqual(await rulesOf(lab), ["vrf blue"], "web.eth0 went with its network");
  await lab.control.write(put("template", "old", { network: {} }) as never);
  await give(lab, "ann", { kinds: ["template"], name: "old" }, "use");
  assert.equal(await tried(lab.control, ROOT, { verb: "rename-template", template: "old", name: "new" }), "done");
  assert.ok((await rulesOf(lab)).includes("template new"));
});

test("a template makes nothing in a later thing of a name that it has, until its author means that", async () => {
  const lab = await cluster();
  for (const user of ["ann", "cat"])
    await give(lab, user, { kinds: ["network", "vrf", "template", "pool"], all: true }, "create");
  assert.equal(await tried(lab.control, ann, put("network", "inner", v4("10.9.0.0/24"))), "done");
  const spec = { network: { vrf: "inner", subnets: [{ cidr: "10.9.1.0/24" }] } };
  assert.equal(await tried(lab.control, ann, put("template", "t", spec)), "done");
  assert.equal(await tried(lab.control, ROOT, { verb: "clone-template", template: "t", name: "u" }), "done");
  const make = (name: string, template = "t") => ({ verb: "instantiate", template, request: { name } });
  assert.equal(await tried(lab.control, ann, make("one")), "done");
  for (const name of ["one", "inner"]) assert.equal(await tried(lab.control, ann, remove("network", name)), "done");
  assert.equal(await tried(lab.control, ann, make("two")), "not-found", "it would be in a VRF that nobody meant");
  assert.equal(await tried(lab.control, cat, put("network", "inner", v4("10.9.0.0/24"))), "done");
  assert.equal(await tried(lab.control, ann, make("two")), "not-found", "it is cat's");
  for (const template of ["t", "u"]) assert.equal(await tried(lab.control, ROOT, make("two", template)), "not-found");
  assert.equal(await tried(lab.control, ann, put("template", "t", spec)), "vrf-unknown", "written again, it is judged");
  const own = { ...make("two"), request: { name: "two", network: { vrf: "two" } } };
  assert.equal(await tried(lab.control, ann, own), "done", "what is not used does no harm");
  await give(lab, "ann", { kinds: ["vrf"], name: "inner" }, "manage");
  assert.equal(await tried(lab.control, ann, put("template", "t", spec)), "done");
  assert.equal(await tried(lab.control, ann, make("three")), "done");
});

test("a template keeps what else it names: pool, parent, groups, clusters", async () => {
  const lab = await cluster();
  const cases = [
    ["pool", "q", { globalSubnets: [{ cidr: "10.20.<id>.0/24" }] }, { pool: { name: "q" } }],
    ["securitygroup", "sg", { rules: [] }, { securityGroups: ["sg"], subnets: [{ cidr: "10.21.0.0/24" }] }],
    ["hostcluster", "east", {}, { clusters: ["east"], subnets: [{ cidr: "10.22.0.0/24" }] }],
    ["physicalnetwork", "lan", {}, { driver: "vlan", parent: "lan", vlan: 7, subnets: [{ cidr: "10.23.0.0/24" }] }],
  ] as const;
  for (const [kind, name, spec, network] of cases) {
    await lab.control.write(put(kind, name, spec) as never);
    await lab.control.write(put("template", `of-${kind}`, { network }) as never);
    await lab.control.write(remove(kind, name) as never);
    await lab.control.write(put(kind, name, spec) as never);
    const made = { verb: "instantiate", template: `of-${kind}`, request: { name: `n-${kind}` } };
    assert.equal(await tried(lab.control, ROOT, made), "not-found", kind);
    await lab.control.write(put("template", `of-${kind}`, { network }) as never);
    assert.equal(await tried(lab.control, ROOT, made), "done", kind);
  }
});
