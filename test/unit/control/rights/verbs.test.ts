// What the table of OpenNebula (reference.test.ts) leaves open: fields, what comes along, what is given away.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ACL_KINDS, RIGHTS } from "../../../../src/model/rights.ts";
import { v4 } from "../lab.ts";
import { RANGES as ranges, ROOT, blueWith, callerOf, cluster, tried } from "./lab.ts";

/** Fields that reach beyond the network, each as a user might try to say it. */
const PRIVILEGED: Readonly<Record<string, object>> = {
  driver: { driver: "gre" },
  vni: { vni: 4242 },
  bridge: { bridge: "br0", placement: "host" },
  hosts: { hosts: ["*"] },
  spoofing: { spoofing: { mac: false } },
  parent: { driver: "vlan", parent: "lan", vlan: 5 },
  peers: { peers: "multicast" },
  "a MAC inside of a range": {
    ranges: [{ name: "a", type: "ip4", first: "10.9.0.10", size: 4, mac: "02:00:00:00:00:01" }],
  },
  reservedFrom: { reservedFrom: "blue" },
  takeOver: { takeOver: true },
};

test("who may create networks says nothing that reaches beyond them, whether they are new or there", async () => {
  const lab = await cluster([[["create"], ["network", "vrf"]]]);
  const ann = callerOf("ann");
  const put = (name: string, more: object, kind = "network") => ({
    verb: "put",
    kind,
    name,
    spec: kind === "network" ? { ...v4("10.9.0.0/24"), ...more } : more,
  });
  assert.equal(await tried(lab.control, ann, put("mine", {})), "done");
  assert.equal(await tried(lab.control, ann, put("other", { driver: "vxlan" })), "done", "the default may be said");
  for (const [field, more] of Object.entries(PRIVILEGED)) {
    assert.equal(await tried(lab.control, ann, put("new", more)), "forbidden", `new, ${field}`);
    // Where admission refuses it for another reason, nothing is changed either.
    assert.notEqual(await tried(lab.control, ann, put("mine", more)), "done", `there, ${field}`);
  }
  for (const more of [{ hostAccess: true }, { vni: 4242 }, { placement: "host" }, { tunnelPort: 5000 }]) {
    assert.equal(await tried(lab.control, ann, put("w", more, "vrf")), "forbidden");
    assert.notEqual(await tried(lab.control, ann, put("mine", more, "vrf")), "done", "its network's own");
  }
  assert.equal(await tried(lab.control, callerOf("cat"), put("cats", {})), "forbidden", "without create");
  const admin = { subject: { user: "ann" }, resource: { kinds: ["hostcluster"], all: true }, rights: ["admin"] };
  await lab.control.write({ verb: "put", kind: "aclrule", name: "hc", spec: admin as never });
  assert.equal(await tried(lab.control, ann, put("new", { vni: 4242 })), "done", "with admin of clusters");
});

test("nobody gets into the VRF of others: not by a network in it, not by a reservation, not by a move", async () => {
  const lab = await cluster([
    [["create"], ["network"]],
    [["use"], ["network"], "blue"],
  ]);
  const ann = callerOf("ann");
  const inside = { verb: "put", kind: "network", name: "mine", spec: { ...v4("10.9.0.0/24"), vrf: "v" } };
  assert.equal(await tried(lab.control, ann, inside), "name-taken", "it would make a VRF of that name");
  assert.equal(
    await tried(lab.control, ann, { verb: "reserve", network: "blue", request: { name: "m", size: 2 } }),
    "done",
  );
  const made = (await lab.snapshot()).networks.find(({ name }) => name === "m") ?? assert.fail();
  assert.deepEqual(made.access, { owner: "ann", group: "red", mode: "um-------" });
  assert.equal(await tried(lab.control, ann, inside), "name-taken", "its reservation in the VRF gives no right to it");
  const own = { verb: "put", kind: "network", name: "own", spec: v4("10.9.0.0/24") };
  assert.equal(await tried(lab.control, ann, own), "done");
  const moved = { ...own, spec: { ...own.spec, vrf: "v" } };
  assert.equal(await tried(lab.control, ann, moved), "name-taken");
  assert.equal(await tried(lab.control, ann, { verb: "apply", items: [moved] }), "name-taken");
  assert.equal(await tried(lab.control, ann, { verb: "apply", items: [], pruneVrf: "v" }), "done", "of nothing");
  assert.ok((await lab.snapshot()).networks.some(({ name }) => name === "blue"));
});

test("with use alone nobody takes, moves or frees an address of others", async () => {
  const lab = await cluster([[["use"], ["network", "endpoint"]]]);
  const ann = callerOf("ann");
  for (const write of [
    { verb: "detach", endpoint: "web.eth0", by: ann.identity, force: true },
    { verb: "detach", endpoint: "web.eth0", by: ann.identity },
    { verb: "patch-endpoint", name: "web.eth0", patch: { securityGroups: [] } },
    { verb: "patch-endpoint", name: "web.eth0", patch: { allowedAddresses: [] } },
    { verb: "migrate", request: { from: "blue", to: "green", endpoint: "web.eth0" } },
    { verb: "hold", request: { network: "blue", first: "10.7.0.50", reason: "r", owner: "o" } },
    { verb: "release", span: { network: "blue", first: "10.7.0.50" } },
    { verb: "reserve", network: "blue", request: { name: "piece", size: 2 } },
    { verb: "join-network", claim: { network: "blue", workload: "w", user: "cat" } },
    { verb: "commit-group", name: "web" },
    { verb: "expire" },
    { verb: "drain", host: "h1", drained: true },
    { verb: "set-host", host: "h1", settings: {} },
    { verb: "delete", kind: "host", name: "h1", force: true },
    { verb: "delete", kind: "network", name: "blue", force: true },
    { verb: "advance-conversion", name: "v", revision: 1, hosts: [] },
    { verb: "move", move: "m", report: { state: "joined" }, by: ann.identity },
    { verb: "attach", claim: claimOf("mine"), by: ann.identity },
    { verb: "attach-all", claims: [claimOf("mine")], by: ann.identity },
    { verb: "attach", claim: claimOf("web"), by: { role: "host", host: "h1" } },
    { verb: "attach", claim: { ...claimOf("mine"), allowedAddresses: [] }, by: { role: "host", host: "h1" } },
  ])
    assert.match(
      await tried(lab.control, ann, write),
      /^(forbidden|not-found|host-unknown|group-unknown)$/,
      JSON.stringify(write),
    );
  assert.equal(
    await tried(lab.control, ann, { verb: "attach", claim: claimOf("mine"), by: { role: "host", host: "h1" } }),
    "done",
  );
  const made = (await lab.snapshot()).endpoints.find(({ name }) => name === "mine.eth0") ?? assert.fail();
  assert.equal(made.access?.owner, "ann");
  assert.equal(await tried(lab.control, ann, { verb: "detach", endpoint: "mine.eth0", by: ann.identity }), "done");
});

const claimOf = (owner: string) => ({
  network: "blue",
  host: "h1",
  owner,
  ifname: "eth0",
  netns: `/run/netns/${owner}`,
});

test("nobody gives what he has not: by ACL rules, modes, owners or groups of users", async () => {
  const lab = await cluster(
    [
      [["use", "manage", "create"], ["aclrule"]],
      [["use", "manage"], ["network"], "green"],
      [["use", "manage", "create"], ["user"]],
    ],
    "um-------",
  );
  const ann = callerOf("ann");
  const rule = (rights: readonly string[], resource: object, name = "mine") => ({
    verb: "put",
    kind: "aclrule",
    name,
    spec: { subject: { user: "cat" }, resource, rights },
  });
  const network = { kinds: ["network"], name: "green" };
  assert.equal(await tried(lab.control, ann, rule(["use", "manage"], network)), "done");
  assert.equal(await tried(lab.control, ann, rule(["admin"], network)), "forbidden");
  assert.equal(await tried(lab.control, ann, rule(["use"], { kinds: ["network"], all: true })), "forbidden");
  assert.equal(await tried(lab.control, ann, rule(["use"], { kinds: ["network"], usergroup: "red" })), "forbidden");
  assert.equal(await tried(lab.control, ann, rule(["create"], { kinds: ["network"], all: true })), "forbidden");
  assert.equal(await tried(lab.control, ann, rule(["admin"], { kinds: ["hostcluster"], all: true })), "forbidden");
  const chmod = (mode: string) => ({ verb: "chmod", kind: "network", name: "blue", mode });
  assert.equal(await tried(lab.control, ann, chmod("um-um-u--")), "done");
  assert.equal(await tried(lab.control, ann, chmod("uma------")), "forbidden", "admin, which it has not");
  const chown = (to: object) => ({ verb: "chown", kind: "network", name: "blue", ...to });
  assert.equal(await tried(lab.control, ann, chown({ group: "green" })), "not-found", "a group it is not in");
  const into = { verb: "put", kind: "user", name: "eve", spec: { group: "green" } };
  assert.equal(await tried(lab.control, ann, into), "not-found", "a user in a group that it does not manage");
  assert.equal(await tried(lab.control, callerOf("ben"), chown({ owner: "ben" })), "forbidden", "takes it for itself");
  assert.equal(await tried(lab.control, callerOf("dan"), chown({ group: "green" })), "done", "by the group's manage");
});

test("locks hold for administrators, too, each as far as its level, and are taken off by who manages", async () => {
  const blocked = {
    use: ["use", "manage", "admin"],
    manage: ["manage", "admin"],
    admin: ["admin"],
    all: RIGHTS,
  } as const;
  for (const level of ["use", "manage", "admin", "all"] as const) {
    const lab = await cluster([[["use", "manage", "admin"], ["network"], "blue"]]);
    const lock = { verb: "lock", kind: "network", name: "blue" };
    assert.equal(await tried(lab.control, ROOT, { ...lock, level }), "done");
    const add = [...ranges, { name: "c", type: "ip4", first: "10.7.0.80", size: 2 }];
    for (const [right, write] of [
      ["use", { verb: "reserve", network: "blue", request: { name: "m", size: 2 } }],
      ["manage", await blueWith(lab, { description: level })],
      ["admin", await blueWith(lab, { ranges: add })],
    ] as const)
      for (const caller of [ROOT, callerOf("ann")]) {
        const isBlocked = (blocked[level] as readonly string[]).includes(right);
        const result = await tried(lab.control, caller, write);
        if (isBlocked) assert.equal(result, "locked", `${right} at ${level}`);
        else if (caller === ROOT) assert.equal(result, "done", `${right} at ${level}`);
      }
    const host = { ...ROOT, identity: { role: "host", host: "h1" } as const };
    const attach = { verb: "attach", claim: claimOf("late"), by: host.identity };
    const isUse = level === "use" || level === "all";
    assert.equal(await tried(lab.control, host, attach), isUse ? "locked" : "done");
    assert.ok((await lab.control.list("network", host.identity)).items.every((one) => one.lock === undefined));
    assert.equal(await tried(lab.control, callerOf("ann"), lock), "done", "unlocked");
    assert.equal(await tried(lab.control, ROOT, await blueWith(lab, { description: "free" })), "done");
  }
});

test("what a delete by force takes along is judged, too", async () => {
  const lab = await cluster([[["use", "manage"], ["network"], "blue"]]);
  const remove = { verb: "delete", kind: "network", name: "blue", force: true };
  await lab.control.write({ verb: "chown", kind: "network", name: "piece", owner: "cat" });
  assert.equal(await tried(lab.control, callerOf("ann"), remove), "forbidden", "cat's reservation is in the way");
  assert.equal(await tried(lab.control, callerOf("cat"), { ...remove, name: "piece" }), "done");
  assert.equal(await tried(lab.control, callerOf("ann"), remove), "done", "its VRF goes with the last network");
});

test("a narrowed token does less than its owner, never more", async () => {
  const lab = await cluster([[["use", "manage"], ["network"]]]);
  const narrowed = (narrowing: object) => ({
    ...callerOf("ann"),
    identity: { role: "user", user: "ann", narrowing } as const,
  });
  const write = await blueWith(lab, { description: "x" });
  assert.equal(await tried(lab.control, narrowed({ rights: ["use"] }), write), "forbidden");
  assert.equal(await tried(lab.control, narrowed({ networks: ["green"] }), write), "forbidden");
  assert.equal(await tried(lab.control, narrowed({ networks: ["blue"], rights: ["use", "manage"] }), write), "done");
  const instantiate = { verb: "instantiate", template: "private-ipv4", request: { name: "fresh" } } as const;
  assert.equal(await tried(lab.control, narrowed({ rights: ["use"] }), instantiate), "forbidden");
  assert.equal(await tried(lab.control, narrowed({ networks: ["green"] }), instantiate), "forbidden");
  assert.equal(await tried(lab.control, narrowed({ networks: ["fresh"] }), instantiate), "done");
  const seen = await lab.control.list("network", narrowed({ networks: ["green"] }).identity);
  assert.deepEqual(
    seen.items.map(({ name }) => name),
    ["green"],
  );
});

test("refusals say which right is missing, and who can give it", async () => {
  const lab = await cluster([], "um-u-----");
  const write = await blueWith(lab, { description: "x" });
  await assert.rejects(
    lab.control.writeAs(callerOf("ben"), write as never),
    /user "ben" may not manage network "blue": the right manage is missing .*ask its owner "ann", or an administrator/,
  );
});

test("kinds of ACL rules are kinds, or will be", async () => {
  const { ALL_KINDS } = await import("../../../../src/model/kinds.ts");
  const unknown = ACL_KINDS.filter((kind) => !(ALL_KINDS as readonly string[]).includes(kind));
  assert.ok(unknown.every((kind) => ["template", "hostcluster"].includes(kind)));
});
