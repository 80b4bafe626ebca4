// Migrations: who moves, whether there is room for all before anybody does, what becomes of memberships.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { MigrationRequest, NetworkInput } from "../../../src/model/input.ts";
import { type Lab, openLab, refuses, v4 } from "./lab.ts";

const migrate =
  (lab: Lab, more: Partial<MigrationRequest> = {}) =>
  () =>
    lab.control.write({ verb: "migrate", request: { from: "old", to: "new", ...more } });
const moved = async (lab: Lab) => (await lab.snapshot()).moves.map(({ spec }) => spec.endpoint).toSorted();

/** `n` members in `old` on each host; `new` as given, nobody there yet. */
async function labWith(target: NetworkInput, onHosts: readonly number[] = [1]): Promise<Lab> {
  const lab = await openLab();
  for (const n of onHosts.keys()) await lab.join(n + 1);
  await lab.put("old", { ...v4("10.1.0.0/24"), vrf: "v" });
  await lab.put("new", { vrf: "v", ...target });
  for (const [i, count] of onHosts.entries())
    for (let n = 1; n <= count; n++) await lab.attach("old", `h${i + 1}`, `m${i + 1}-${n}`, { workload: "web" });
  return lab;
}

test("a segment must have room for all: what is free, and what rests, but nothing that is held or used", async () => {
  const lab = await labWith({ subnets: [{ cidr: "10.2.0.0/29" }, { cidr: "fd02::/125", gateway: "none" }] }, [3]);
  await lab.attach("new", "h1", "there");
  await lab.attach("new", "h1", "gone");
  await lab.detach("gone.eth0");
  const hold = (first: string) =>
    lab.control.write({ verb: "hold", request: { network: "new", first, last: first, reason: "r", owner: "o" } });
  await hold("10.2.0.6");
  await migrate(lab)();
  await lab.control.write({ verb: "delete", kind: "migration", name: `m${lab.control.revision}`, force: true });
  await hold("10.2.0.5");
  const { detail } = await refuses(lab, ["exhausted", "to"], /too few free addresses for 3 members/, migrate(lab));
  assert.deepEqual(detail.blockers, ["IPv4: 2 free for 3"]);
  for (const first of ["fd02::4", "fd02::5", "fd02::6", "fd02::7"]) await hold(first);
  const both = await refuses(lab, "exhausted", /3 members/, migrate(lab));
  assert.deepEqual(both.detail.blockers, ["IPv4: 2 free for 3", "IPv6: 2 free for 3"]);
  await migrate(lab, { endpoint: "m1-1.eth0" })();
});

test("a member that is there already needs no room", async () => {
  const lab = await labWith({ subnets: [{ cidr: "10.2.0.0/29" }] }, [4]);
  const place = { netns: "/var/run/netns/m1-1" };
  for (const [owner, more] of [
    ["m1-1", place],
    ["other", place],
    ["m1-2", { netns: "/elsewhere" }],
  ] as const)
    await lab.attach("new", "h1", owner, { ifname: "eth1", ...more });
  const { detail } = await refuses(lab, "exhausted", /for 3 members/, migrate(lab));
  assert.deepEqual(detail.blockers, ["IPv4: 2 free for 3"]);
  await lab.detach("other.eth1");
  await migrate(lab)();
});

test("a routed network must have room on each host: in its block, of each family", async () => {
  const lab = await labWith(
    {
      subnets: [
        { cidr: "9.0.0.0/24", hostPrefix: 29 },
        { cidr: "fd09::/64", hostPrefix: 126 },
      ],
    },
    [2, 1],
  );
  await migrate(lab)();
  await lab.control.write({ verb: "delete", kind: "migration", name: `m${lab.control.revision}`, force: true });
  const taken = (await lab.snapshot()).blocks.flatMap(({ name, spec }) => (name === "new.h1.6" ? [spec.cidr] : []));
  assert.deepEqual(taken, ["fd09::/126"]);
  await lab.attach("new", "h1", "x", { addresses: ["fd09::2"] });
  const one = await refuses(lab, "exhausted", /for 3 members/, migrate(lab));
  assert.deepEqual(one.detail.blockers, ["host h1: 1 free for 2"]);
  for (const n of [2, 3, 4, 5]) await lab.attach("new", "h1", `y${n}`, { addresses: [`9.0.0.${n}`] });
  const two = await refuses(lab, "exhausted", /for 3 members/, migrate(lab));
  assert.deepEqual(two.detail.blockers, ["host h1: 1 free for 2", "host h1: 1 free for 2"]);
  await migrate(lab, { endpoint: "m2-1.eth0" })();
});

test("a host without a block, and one without bridges, has no room", async () => {
  const lab = await labWith({ subnets: [{ cidr: "9.0.0.0/24", hostPrefix: 24 }] }, [1, 2]);
  const { detail } = await refuses(lab, "exhausted", /for 3 members/, migrate(lab));
  assert.deepEqual(detail.blockers, ["host h2: no block for 2"]);
  const dcos = { vtepMacOui: "70:B3:D5:00:00:00", masters: ["192.168.0.1"], agents: [] };
  await lab.control.write({ verb: "put", kind: "vrf", name: "v", spec: { dcos } });
  const slices = ["a", "b"].map((name) => ({ name, bridge: name }));
  await lab.put("new", { vrf: "v", subnets: [{ cidr: "9.0.0.0/16", hostPrefix: 29 }], slices });
  const master = await refuses(lab, "exhausted", /for 3 members/, migrate(lab));
  assert.deepEqual(master.detail.blockers, ["host h1: no block for 1", "host h2: 1 free for 2"]);
});

test("slices count by themselves: a host gets from the first that it has a bridge for", async () => {
  const slices = ["a", "b"].map((name) => ({ name, bridge: name }));
  const target = { vrf: "v", subnets: [{ cidr: "9.0.0.0/16", hostPrefix: 28 }], slices };
  const lab = await openLab();
  await lab.join(1);
  await lab.join(2, { slices: ["b"] });
  await lab.put("old", { ...v4("10.1.0.0/24"), vrf: "v" });
  await lab.put("new", target);
  for (const host of ["h1", "h2"]) for (const n of [1, 2, 3]) await lab.attach("old", host, `${host}-${n}`);
  const attach = (host: string, slice: string, last: number) =>
    lab.attach("new", host, `${host}-${last}`, { ifname: "eth9", slice, addresses: [`9.0.0.${last}`], netns: "/n" });
  // h1 has .0 to .15, h2 .16 to .31; each slice is half of that, with room for five.
  for (const last of [10, 11, 12, 13, 14]) await attach("h1", "b", last);
  for (const last of [26, 27]) await attach("h2", "b", last);
  await migrate(lab)();
  await lab.control.write({ verb: "delete", kind: "migration", name: `m${lab.control.revision}`, force: true });
  await attach("h2", "b", 28);
  const { detail } = await refuses(lab, "exhausted", /for 6 members/, migrate(lab));
  assert.deepEqual(detail.blockers, ["host h2: 2 free for 3"]);
});

test("who moves: all, one workload's, or one; nobody who is being detached or on the way already", async () => {
  const lab = await labWith(v4("10.2.0.0/24"), [2, 1]);
  await lab.attach("old", "h1", "db", { workload: "db" });
  await lab.attach("old", "h1", "plain");
  await lab.control.write({ verb: "detach", endpoint: "m2-1.eth0", by: { role: "admin" } });
  for (const [more, expected] of [
    [{}, ["db.eth0", "m1-1.eth0", "m1-2.eth0", "plain.eth0"]],
    [{ workload: "web" }, ["m1-1.eth0", "m1-2.eth0"]],
    [{ endpoint: "m1-2.eth0" }, ["m1-2.eth0"]],
    [{ endpoint: "m1-2.eth0", workload: "web" }, ["m1-2.eth0"]],
  ] as const) {
    await migrate(lab, more)();
    assert.deepEqual(await moved(lab), expected);
    const busy = await refuses(lab, "in-use", /on their way already/, migrate(lab, more));
    assert.deepEqual(busy.detail.blockers, expected);
    await lab.control.write({ verb: "delete", kind: "migration", name: `m${lab.control.revision}`, force: true });
  }
  await refuses(lab, ["not-found", "endpoint"], /does not have m2-1\.eth0/, migrate(lab, { endpoint: "m2-1.eth0" }));
  await refuses(
    lab,
    ["not-found", "endpoint"],
    /does not have m1-1/,
    migrate(lab, { endpoint: "m1-1.eth0", workload: "db" }),
  );
  await refuses(lab, ["not-found", "workload"], /an instance of workload "x"/, migrate(lab, { workload: "x" }));
  await refuses(lab, ["not-found", "from"], /does not have anything/, migrate(lab, { from: "new", to: "old" }));
  await refuses(lab, ["endpoint-unknown", "endpoint"], /no endpoint "x\.eth0"/, migrate(lab, { endpoint: "x.eth0" }));
  await refuses(lab, ["network-unknown", "from"], /no network "x"/, migrate(lab, { from: "x" }));
  await refuses(lab, ["network-unknown", "to"], /no network "x"/, migrate(lab, { to: "x" }));
  await refuses(lab, ["request-invalid", "to"], /same network/, migrate(lab, { to: "old" }));
  await lab.put("new", { ...v4("10.2.0.0/24"), vrf: "v", enabled: false });
  await refuses(lab, ["network-disabled", "to"], /"new" is disabled/, migrate(lab));
});

test("memberships go where their instances go, but for one endpoint alone; what is broken off comes back", async () => {
  const lab = await labWith(v4("10.2.0.0/24"), [2]);
  const memberships = async () => (await lab.snapshot()).memberships.map(({ name }) => name).toSorted();
  for (const workload of ["web", "db"])
    await lab.control.write({ verb: "join-network", claim: { network: "old", workload } });
  await lab.attach("old", "h1", "d", { workload: "db", joined: true });
  await migrate(lab, { endpoint: "m1-1.eth0" })();
  assert.deepEqual(await memberships(), ["old~db", "old~web"], "made by hand, it moves alone");
  const end = (force: boolean) =>
    lab.control.write({ verb: "delete", kind: "migration", name: `m${lab.control.revision}`, force });
  await end(true);
  await migrate(lab, { workload: "web" })();
  assert.deepEqual(await memberships(), ["new~web", "old~db"]);
  await end(true);
  assert.deepEqual(await memberships(), ["new~web", "old~db"], "nobody of it was made by a membership");
  await migrate(lab)();
  assert.deepEqual(await memberships(), ["new~db", "new~web"]);
  await end(true);
  assert.deepEqual(await memberships(), ["new~db", "new~web", "old~db"]);
  assert.deepEqual((await lab.snapshot()).moves, []);
  // Of the member that has left nothing is needed any more.
  await lab.control.write({ verb: "delete", kind: "membership", name: "old~db" });
  const { resource } = await migrate(lab, { endpoint: "d.eth0" })();
  const by = { role: "host", host: "h1" } as const;
  const move = `${resource?.name}~d.eth0`;
  for (const state of ["joined", "left"] as const)
    await lab.control.write({ verb: "move", move, report: { state }, by });
  await lab.control.write({ verb: "delete", kind: "migration", name: resource?.name ?? "" });
  assert.deepEqual(await memberships(), ["new~db", "new~web"]);
});

test("a host's word that an endpoint has left frees what is still that endpoint's, and nothing else", async () => {
  const lab = await labWith(v4("10.2.0.0/24"), [1]);
  const by = { role: "host", host: "h1" } as const;
  const say = (move: string, state: "joined" | "left") =>
    lab.control.write({ verb: "move", move, report: { state, newEndpoint: "m1-1.eth1" }, by });
  const { resource } = await migrate(lab)();
  const move = `${resource?.name}~m1-1.eth0`;
  await say(move, "joined");
  assert.deepEqual((await lab.snapshot()).endpoints.length, 1);
  // In between it was made anew elsewhere: the old word is not about that.
  await lab.detach("m1-1.eth0");
  const anew = await lab.attach("new", "h1", "m1-1");
  await say(move, "left");
  assert.deepEqual((await lab.snapshot()).endpoints, [anew]);
  assert.deepEqual((await lab.snapshot()).moves[0]?.spec.newEndpoint, "m1-1.eth1");
  assert.deepEqual((await lab.snapshot()).freed.length, 1);
});
