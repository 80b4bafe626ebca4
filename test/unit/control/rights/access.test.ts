// Whose a resource is: what a user makes is its own, a put keeps it, hosts do not see it, and users see what their
// rights allow and nothing else.
import assert from "node:assert/strict";
import { test } from "node:test";
import { emptySnapshot, resourcesIn, type Resource } from "../../../../src/model/resource.ts";
import { parseMode } from "../../../../src/model/rights.ts";
import { admit } from "../../../../src/control/admit/admit.ts";
import { viewOf } from "../../../../src/control/state/view.ts";
import type { Viewer, Write } from "../../../../src/control/write.ts";
import { openMemoryStore } from "../../../../src/store/memory.ts";
import { putting } from "../../../contract/store/contract.ts";
import { type Lab, Reader, openLab, refuses, sorted, v4 } from "../lab.ts";
import { as, people } from "./lab.ts";

const names = async (lab: Lab, viewer: Viewer, kind: "network" | "endpoint" | "user" | "host" = "network") =>
  (await lab.control.list(kind, viewer)).items.map(({ name }) => name);

test("what a user makes is its own, and stays so when it is put again", async () => {
  const lab = await openLab();
  await people(lab.control);
  const { store } = lab;
  const { resources } = await store.read();
  const view = viewOf("lab", store.revision, resources);
  const context = {
    uid: () => "u",
    nowMs: () => 0,
    quarantineTime: () => ({ nowMs: 0, boot: "b", untilMs: () => 0 }) as never,
    prefixes: new Map(),
  };
  const write: Write = { verb: "put", kind: "network", name: "blue", spec: v4("10.7.0.0/24") };
  const { changes } = admit(view, write, context, { role: "user", user: "ann" });
  const access = { owner: "ann", group: "red", mode: "uma------" };
  const made = changes.flatMap((change): Resource[] => ("put" in change ? [change.put] : []));
  for (const each of made) {
    const owned = ["network", "vrf"].includes(each.kind);
    const own = each.kind === "network" ? access : { ...access, mode: "um-------" };
    assert.deepEqual(each.access, owned ? own : undefined, each.kind);
  }
  const later = viewOf("lab", 9, [...resources, ...made]);
  const again = admit(later, { ...write, spec: { ...v4("10.7.0.0/24"), description: "mine" } }, context);
  assert.deepEqual(
    again.changes.map((change) => "put" in change && [change.put.name, change.put.access]),
    [["blue", access]],
  );
});

test("access and lock are kept by the store, and hosts get neither in snapshots nor in change sets", async () => {
  const store = openMemoryStore({ cluster: "lab" });
  const lab = await openLab(store);
  await people(lab.control);
  await lab.put("blue", v4("10.7.0.0/24"));
  await lab.join(1);
  const host = { role: "host", host: "h1" } as const;
  const reader = await Reader.open(lab.control, host);
  await store.commit([putting(await owned(lab, "blue", "um-u-----"))]);
  const again = await openLab(store);
  const kept = (await again.snapshot()).networks[0];
  assert.deepEqual([kept?.access?.owner, kept?.lock], ["ann", "manage"]);
  const seen = await again.snapshot(host);
  for (const each of resourcesIn(seen)) assert.ok(!("access" in each) && !("lock" in each), each.name);
  assert.ok(!("access" in ((await again.control.find("network", "blue", host)) ?? {})));
  await again.put("blue", { ...v4("10.7.0.0/24"), description: "x" });
  assert.equal((await again.snapshot()).networks[0]?.access?.owner, "ann");
  await reader.close();
});

async function owned(lab: Lab, name: string, mode: string): Promise<Resource> {
  const network = (await lab.snapshot()).networks.find((each) => each.name === name) ?? assert.fail();
  return { ...network, access: { owner: "ann", group: "red", mode }, lock: "manage" };
}

test("a user sees what it may use, itself and its groups, and of a network's parts what it manages", async () => {
  const store = openMemoryStore({ cluster: "lab" });
  const first = await openLab(store);
  await people(first.control);
  for (const [i, name] of ["blue", "green"].entries()) await first.put(name, v4(`10.${i}.0.0/24`));
  await first.join(1);
  await first.attach("blue", "h1", "web");
  await store.commit([putting(await owned(first, "blue", "um-u-----"))]);
  const lab = await openLab(store);
  assert.deepEqual(await names(lab, as("ann")), ["blue"]);
  assert.deepEqual(await names(lab, as("ben")), ["blue"], "of the group, which may use it");
  assert.deepEqual(await names(lab, as("cat")), []);
  assert.deepEqual(await names(lab, as("ann"), "endpoint"), ["web.eth0"]);
  assert.deepEqual(await names(lab, as("ben"), "endpoint"), [], "leases of others");
  assert.deepEqual(await names(lab, as("ben"), "user"), ["ben"]);
  assert.deepEqual(await names(lab, as("ann"), "host"), []);
  assert.equal(await lab.control.find("network", "green", as("ann")), undefined);
  const all = resourcesIn(await lab.snapshot(as("cat"))).map(({ kind, name }) => `${kind}/${name}`);
  assert.deepEqual(all, ["user/cat", "usergroup/green"]);
  assert.deepEqual(Object.keys(await lab.snapshot(as("cat"))), Object.keys(emptySnapshot("lab")));
  const rule = { subject: { user: "cat" }, resource: { kinds: ["network"], all: true }, rights: ["use"] } as const;
  await lab.control.write({ verb: "put", kind: "aclrule", name: "cats", spec: rule });
  assert.deepEqual(await names(lab, as("cat")), ["blue", "green"]);
  await lab.control.write({ verb: "put", kind: "user", name: "cat", spec: { group: "green", enabled: false } });
  await assert.rejects(names(lab, as("cat")), /user "cat" may do nothing: the user is disabled/);
  await assert.rejects(names(lab, as("nobody")), /there is no such user/);
});

test("a user's watch is its snapshot carried on; when its rights change it has to list again", async () => {
  const lab = await openLab();
  await people(lab.control);
  const rule = (user: string, name: string) =>
    lab.control.write({
      verb: "put",
      kind: "aclrule",
      name: `${user}-${name}`,
      spec: { subject: { user }, resource: { kinds: ["network", "vrf"], name }, rights: ["use", "manage"] },
    });
  await lab.put("blue", v4("10.7.0.0/24"));
  for (const kind of ["network", "vrf"] as const)
    await lab.control.write({ verb: "chown", kind, name: "blue", owner: "ann" });
  const reader = await Reader.open(lab.control, as("ann"));
  await lab.put("red", v4("10.8.0.0/24"));
  await lab.join(1);
  await lab.attach("blue", "h1", "web");
  await lab.attach("red", "h1", "db");
  await rule("ben", "red");
  const check = async () => {
    const snapshot = await lab.snapshot(as("ann"));
    await reader.readTo(snapshot.revision);
    assert.deepEqual(reader.state, sorted(snapshot));
    return resourcesIn(snapshot).map(({ kind, name }) => `${kind}/${name}`);
  };
  assert.ok((await check()).includes("endpoint/web.eth0"));
  await lab.control.write({ verb: "delete", kind: "network", name: "blue", force: true });
  assert.ok(!(await check()).includes("network/blue"));
  await rule("ann", "red");
  await assert.rejects(reader.readTo(lab.control.revision), /what the reader may see has changed/);
  await reader.close();
  const later = await Reader.open(lab.control, as("ann"));
  await lab.control.write({ verb: "delete", kind: "network", name: "red", force: true });
  await assert.rejects(
    later.readTo(lab.control.revision),
    /what the reader may see has changed/,
    "its rule went along",
  );
  await later.close();
});

test("a user that owns something, or a group that is named, goes with force alone, and leaves no right", async () => {
  const lab = await openLab();
  await people(lab.control);
  const { control } = lab;
  const remove = (kind: "user" | "usergroup", name: string, force = false) =>
    control.write({ verb: "delete", kind, name, force });
  const spec = { subject: { user: "ann" }, resource: { kinds: ["network"], all: true }, rights: ["use"] } as const;
  await control.write({ verb: "put", kind: "aclrule", name: "r", spec });
  await refuses(lab, "in-use", /aclrule\/r/, () => remove("user", "ann"));
  await remove("user", "ann", true);
  assert.deepEqual((await lab.snapshot()).aclRules, []);
  await refuses(lab, "in-use", /primary group/, () => remove("usergroup", "red", true));
  await refuses(lab, ["not-found", "spec.group"], /no user group "x"/, () =>
    control.write({ verb: "put", kind: "user", name: "eve", spec: { group: "x" } }),
  );
  await refuses(lab, ["not-found", "spec.subject.user"], /no user "ann"/, () =>
    control.write({ verb: "put", kind: "aclrule", name: "r", spec }),
  );
});

test("modes are text, or digits as OpenNebula counts", () => {
  assert.deepEqual(
    ["640", "777", "000", "um-u-----", "124"].map((text) => parseMode(text, "mode")),
    ["um-u-----", "umaumauma", "---------", "um-u-----", "--a-m-u--"],
  );
  for (const bad of ["648", "64", "mu-------", "", "um-u-----x"])
    assert.throws(() => parseMode(bad, "mode"), /is not a mode/, bad);
});

test("who is no user, and nobody, writes nothing that people write", async () => {
  const lab = await openLab();
  const network = { verb: "put", kind: "network", name: "mine", spec: v4("10.9.0.0/24") } as const;
  for (const identity of [{ role: "nobody" }, { role: "join", token: "t" }, { role: "host", host: "h1" }] as const)
    await refuses(lab, "forbidden", /cannot write this/, () =>
      lab.control.writeAs({ identity, credential: "none", from: "test" }, network),
    );
});
