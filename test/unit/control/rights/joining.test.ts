// The two-way join: the network permits the workload's owner, and who manages the workload joins it. Each is tried
// without the other; and nobody's instances are taken in by another's membership.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Lab } from "../lab.ts";
import { v4 } from "../lab.ts";
import { ROOT, as, callerOf, cluster, give, put, tried } from "./lab.ts";

const HOST = { role: "host", host: "h1" } as const;
const [ann, ben] = [callerOf("ann"), callerOf("ben")];
const join = (network: string, more: object = {}) => ({
  verb: "join-network",
  claim: { network, workload: "web", ...more },
});
const claimOf = (owner: string, network: string, ifname = "eth0", more: object = {}) => ({
  verb: "attach",
  by: HOST,
  claim: { network, host: "h1", owner, ifname, netns: `/run/netns/${owner}`, workload: "web", ...more },
});
/** As the host asks for what a membership lacks. */
const joined = (owner: string, network: string, user?: string) =>
  claimOf(owner, network, "eth1", { joined: true, ...(user === undefined ? {} : { user }) });
const asHost = { ...ROOT, identity: HOST };

/** ann, ben and nobody have an instance of a workload of the same name in blue. */
async function labWithWorkloads(): Promise<Lab> {
  const lab = await cluster([]);
  for (const user of ["ann", "ben"]) await give(lab, user, { kinds: ["network"], name: "blue" }, "use");
  assert.equal(await tried(lab.control, ann, claimOf("a1", "blue")), "done");
  assert.equal(await tried(lab.control, ben, claimOf("b1", "blue")), "done");
  assert.equal(await tried(lab.control, asHost, claimOf("n1", "blue")), "done");
  return lab;
}

const memberships = async (lab: Lab) => (await lab.snapshot()).memberships.map(({ name }) => name);
const ownerOf = async (lab: Lab, name: string) =>
  (await lab.snapshot()).endpoints.find((each) => each.name === name)?.access?.owner;

test("joining takes use of the network and manage of the workload, and neither is enough", async () => {
  const lab = await labWithWorkloads();
  assert.equal(await tried(lab.control, ann, join("green")), "network-unknown", "the network does not permit it");
  await give(lab, "ann", { kinds: ["network"], name: "green" }, "use");
  assert.equal(await tried(lab.control, ann, join("green", { user: "ben" })), "forbidden", "ben's workload");
  assert.equal(await tried(lab.control, ann, join("green")), "done", "use is enough of the network");
  assert.deepEqual(await memberships(lab), ["green~web~ann"]);
  await give(lab, "ann", { kinds: ["endpoint"], name: "b1.eth0" }, "use", "manage");
  assert.equal(await tried(lab.control, ann, join("green", { user: "ben" })), "forbidden", "ben may not use it");
  await give(lab, "ben", { kinds: ["network"], name: "green" }, "use");
  assert.equal(await tried(lab.control, ann, join("green", { user: "ben" })), "done");
  assert.equal(
    await tried(lab.control, ann, join("green", { user: "cat" })),
    "not-found",
    "cat, whom ann does not know",
  );
  assert.equal(await tried(lab.control, ROOT, join("green")), "done", "what no user owns");
  assert.deepEqual((await memberships(lab)).sort(), ["green~web", "green~web~ann", "green~web~ben"]);
  assert.equal(await tried(lab.control, ROOT, join("green", { user: "cat" })), "forbidden", "nor by administrators");
  assert.equal(await tried(lab.control, ROOT, join("green", { user: "eve" })), "not-found");
  const narrowed = { ...ann, identity: { role: "user", user: "ann", narrowing: { rights: ["use"] } } as const };
  assert.equal(await tried(lab.control, narrowed, join("blue")), "forbidden", "a token without manage");
  await lab.put("here", v4("9.1.0.0/16", 24));
  assert.equal(await tried(lab.control, ROOT, join("here")), "done");
  assert.equal(await tried(lab.control, ROOT, join("here", { user: "ann" })), "forbidden");
  await give(lab, "ann", { kinds: ["network"], name: "here" }, "use");
  assert.equal(await tried(lab.control, ann, join("here")), "unsupported", "its host gives addresses by itself");
});

test("what a membership makes is its user's, whose right is asked again; others are not taken in", async () => {
  const lab = await labWithWorkloads();
  await give(lab, "ann", { kinds: ["network"], name: "green" }, "use");
  assert.equal(await tried(lab.control, ann, join("green")), "done");
  const seen = await lab.snapshot(HOST);
  const users = Object.fromEntries(seen.endpoints.map(({ name, spec }) => [name, spec.user]));
  assert.deepEqual(users, { "web.eth0": undefined, "a1.eth0": "ann", "b1.eth0": "ben", "n1.eth0": undefined });
  assert.equal(await tried(lab.control, asHost, joined("a1", "green", "ann")), "done");
  assert.equal(await ownerOf(lab, "a1.eth1"), "ann");
  // What no membership of the user, or no instance of his, is behind is the host's own.
  assert.equal(await tried(lab.control, asHost, joined("b1", "green", "ann")), "done");
  assert.equal(await ownerOf(lab, "b1.eth1"), undefined);
  assert.equal(await tried(lab.control, asHost, claimOf("a2", "blue", "eth0", { user: "ann" })), "done");
  assert.equal(await ownerOf(lab, "a2.eth0"), undefined);
  assert.equal(await tried(lab.control, ann, claimOf("a3", "blue", "eth0", { user: "ben" })), "forbidden");
  const rule = (await lab.snapshot()).aclRules.find(({ spec }) => spec.resource.name === "green");
  await lab.control.write({ verb: "delete", kind: "aclrule", name: rule?.name ?? "" });
  assert.equal(await tried(lab.control, ann, claimOf("a4", "blue")), "done");
  assert.equal(await tried(lab.control, asHost, joined("a4", "green", "ann")), "forbidden", "permitted no longer");
});

test("either side ends it: who manages the network, and whose workload it is", async () => {
  const lab = await labWithWorkloads();
  const leave = (name: string) => ({ verb: "delete", kind: "membership", name });
  await give(lab, "ann", { kinds: ["network"], name: "green" }, "use");
  await give(lab, "cat", { kinds: ["network"], name: "green" }, "use", "manage");
  assert.equal(await tried(lab.control, ann, join("green")), "done");
  const list = async (user: string) => (await lab.control.list("membership", as(user))).items.map(({ name }) => name);
  assert.deepEqual(
    [await list("ann"), await list("ben"), await list("cat")],
    [["green~web~ann"], [], ["green~web~ann"]],
  );
  assert.notEqual(await tried(lab.control, ben, leave("green~web~ann")), "done");
  assert.equal(await tried(lab.control, callerOf("cat"), leave("green~web~ann")), "done");
  assert.equal(await tried(lab.control, ann, join("green")), "done");
  assert.equal(await tried(lab.control, ann, leave("green~web~ann")), "done");
  assert.equal(await tried(lab.control, ann, join("green")), "done");
  await lab.control.write({ verb: "delete", kind: "user", name: "ann", force: true });
  assert.deepEqual(await memberships(lab), [], "a later user of the name gets nothing of it");
  await lab.control.write(put("user", "ann", { group: "red" }) as never);
});

test("a migration keeps whose an endpoint and a membership are", async () => {
  const lab = await labWithWorkloads();
  await give(lab, "ann", { kinds: ["network"], name: "green" }, "use");
  assert.equal(await tried(lab.control, ann, join("blue")), "done");
  await lab.put("here", v4("9.1.0.0/16", 24));
  const migrate = (to: string) => ({ verb: "migrate", request: { from: "blue", to, workload: "web" } });
  assert.equal(await tried(lab.control, ROOT, migrate("here")), "unsupported");
  assert.equal(await tried(lab.control, ROOT, migrate("green")), "done");
  assert.deepEqual(await memberships(lab), ["green~web~ann"]);
  assert.equal(await tried(lab.control, asHost, claimOf("a1", "green", "eth1", { user: "ann" })), "done");
  assert.equal(await ownerOf(lab, "a1.eth1"), "ann");
  const [migration] = (await lab.snapshot()).migrations;
  await lab.control.write({ verb: "delete", kind: "migration", name: migration?.name ?? "", force: true });
});
