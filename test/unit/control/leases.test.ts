// The life of addresses in global networks: strategies, quarantine, stickiness, holds, and what ends by itself.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Fault } from "../../../src/model/fault.ts";
import type { EndpointClaim, NetworkInput } from "../../../src/model/input.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import type { Store } from "../../../src/store/store.ts";
import { Control } from "../../../src/control/control.ts";
import { ADMIN, type Lab, openLab, refuses } from "./lab.ts";

const SECOND = 1000;
const subnet: NetworkInput = { subnets: [{ cidr: "10.0.0.0/29" }] };

async function labWith(spec: NetworkInput, store?: Store): Promise<Lab> {
  const lab = await openLab(store);
  for (const n of [1, 2]) await lab.join(n);
  await lab.put("net", spec);
  return lab;
}
const attach = async (lab: Lab, owner: string, more: Partial<EndpointClaim> = {}) =>
  (await lab.attach("net", "h1", owner, more)).spec.addresses.join();
const detach = (lab: Lab, owner: string) => lab.detach(`${owner}.eth0`);
const asking =
  (lab: Lab, address: string, owner = "asker") =>
  () =>
    lab.attach("net", "h1", owner, { addresses: [address] });
const expire = (lab: Lab) => lab.control.write({ verb: "expire" });
const hold = (lab: Lab, first: string, last = first, expiresInSeconds?: number) =>
  lab.control.write({
    verb: "hold",
    request: {
      network: "net",
      first,
      last,
      reason: "a printer",
      owner: "ops",
      ...(expiresInSeconds === undefined ? {} : { expiresInSeconds }),
    },
  });
const release = (lab: Lab, first: string, last = first) =>
  lab.control.write({ verb: "release", span: { network: "net", first, last } });
const holds = async (lab: Lab) =>
  (await lab.snapshot()).holds.map(({ spec }) => [spec.first, spec.last].join("-")).toSorted();

test("an address that was given back is nobody else's for a minute, while any other is free", async () => {
  const lab = await labWith(subnet);
  assert.equal(await attach(lab, "a"), "10.0.0.2");
  assert.equal(await attach(lab, "b"), "10.0.0.3");
  await detach(lab, "a");
  assert.equal(await attach(lab, "c"), "10.0.0.4");
  const refused = await refuses(lab, "address-quarantined", /10.0.0.2 is in quarantine/, asking(lab, "10.0.0.2"));
  assert.match(refused.message, /"a.eth0" gave it back.*free at 1970-01-01T00:17:40.000Z/);
  lab.time.now += 59 * SECOND;
  await expire(lab);
  assert.equal(await attach(lab, "d"), "10.0.0.5");
  lab.time.now += 1 * SECOND;
  await expire(lab);
  assert.deepEqual((await lab.snapshot()).freed, []);
  assert.equal(await attach(lab, "e"), "10.0.0.2");
});

test("its former owner may have it back at once, asked for or not", async () => {
  const lab = await labWith(subnet);
  await attach(lab, "a");
  await attach(lab, "b");
  await detach(lab, "b");
  await detach(lab, "a");
  assert.equal(await attach(lab, "b"), "10.0.0.3");
  assert.equal(await attach(lab, "a", { addresses: ["10.0.0.2"] }), "10.0.0.2");
  assert.deepEqual((await lab.snapshot()).freed, []);
});

test("setting the clock ends no quarantine early, and blocks no address for longer", async () => {
  for (const step of [3_600_000, -3_600_000]) {
    const lab = await labWith(subnet);
    await lab.attach("net", "h1", "a", { addresses: ["10.0.0.2"] });
    await lab.detach("a.eth0");
    lab.time.offset += step;
    lab.time.now += 59 * SECOND;
    await expire(lab);
    await refuses(lab, "address-quarantined", /10.0.0.2 is in quarantine/, asking(lab, "10.0.0.2"));
    lab.time.now += SECOND;
    await expire(lab);
    await asking(lab, "10.0.0.2")();
  }
});

test("over a restart of the server, too, whose process begins with the clock as it is then", async () => {
  for (const step of [3_600_000, -3_600_000]) {
    const store = openMemoryStore({ cluster: "lab" });
    const before = await labWith(subnet, store);
    await before.attach("net", "h1", "a", { addresses: ["10.0.0.2"] });
    await before.detach("a.eth0");
    await before.control.close();
    const lab = await openLab(store, {}, { now: before.time.now + step, offset: 0 });
    lab.time.now += 59 * SECOND;
    await expire(lab);
    await refuses(lab, "address-quarantined", /10.0.0.2 is in quarantine/, asking(lab, "10.0.0.2"));
    lab.time.now += SECOND;
    await expire(lab);
    await asking(lab, "10.0.0.2")();
  }
});

test("quarantine stops nobody: when nothing else is free, the oldest goes first", async () => {
  const lab = await labWith(subnet);
  for (const owner of ["a", "b", "c", "d", "e"]) await attach(lab, owner);
  for (const owner of ["c", "a"]) {
    await detach(lab, owner);
    lab.time.now += SECOND;
  }
  assert.equal(await attach(lab, "f"), "10.0.0.4");
  assert.equal(await attach(lab, "g"), "10.0.0.2");
  await refuses(lab, "exhausted", /all 5 of 10.0.0.0\/29 are in use/, () => lab.attach("net", "h1", "h"));
  // What was taken out of quarantine is not its former owner's any more.
  await refuses(lab, "exhausted", /no free address/, () => lab.attach("net", "h1", "c"));
});

test("quarantine in a range: the whole lease, MAC and addresses", async () => {
  const lab = await labWith({
    subnets: [{ cidr: "10.0.0.0/24" }, { cidr: "fd00::/64" }],
    ranges: [{ name: "a", type: "ip4-6-static", first: "10.0.0.10", first6: "fd00::10", size: 2 }],
  });
  assert.equal(await attach(lab, "a"), "10.0.0.10,fd00::10");
  await detach(lab, "a");
  assert.equal(await attach(lab, "b"), "10.0.0.11,fd00::11");
  for (const wish of [{ addresses: ["fd00::10"] }, { mac: "02:00:0a:00:00:0a" }, { addresses: ["10.0.0.10"] }])
    await refuses(lab, "address-quarantined", /in quarantine/, () => lab.attach("net", "h1", "c", wish));
  assert.equal(await attach(lab, "c"), "10.0.0.10,fd00::10");
  await detach(lab, "c");
  lab.time.now += 61 * SECOND;
  // Its time is over, whether or not it has been removed yet.
  assert.equal(await attach(lab, "d", { addresses: ["10.0.0.10"] }), "10.0.0.10,fd00::10");
});

test("a hold takes an address out of quarantine; the other family stays in it", async () => {
  const lab = await labWith({ subnets: [{ cidr: "10.0.0.0/29" }, { cidr: "fd00::/64" }] });
  assert.equal(await attach(lab, "a"), "10.0.0.2,fd00::2");
  await detach(lab, "a");
  await hold(lab, "10.0.0.2");
  assert.deepEqual(
    (await lab.snapshot()).freed.map(({ spec }) => spec.addresses),
    [["fd00::2"]],
  );
  await refuses(lab, "address-quarantined", /fd00::2/, asking(lab, "fd00::2"));
  assert.equal(await attach(lab, "a"), "10.0.0.3,fd00::2");
});

test("a forced deletion of a host quarantines what it had: the machine may still be talking", async () => {
  const lab = await labWith(subnet);
  await attach(lab, "a");
  await lab.control.write({ verb: "delete", kind: "host", name: "h1", force: true });
  const next = await lab.attach("net", "h2", "b");
  assert.deepEqual(next.spec.addresses, ["10.0.0.3"]);
});

test("sticky: who comes back has the same address, until somebody else needed it", async () => {
  const lab = await labWith({ ...subnet, sticky: true, quarantine: 10 });
  for (const owner of ["a", "b"]) await attach(lab, owner);
  for (const owner of ["a", "b"]) await detach(lab, owner);
  lab.time.now += 11 * SECOND;
  await expire(lab);
  assert.equal(await attach(lab, "b"), "10.0.0.3");
  // Only remembered, so free for others.
  assert.equal(await attach(lab, "c"), "10.0.0.2");
  assert.equal(await attach(lab, "a"), "10.0.0.4");
  assert.deepEqual((await lab.snapshot()).freed, []);
  await detach(lab, "a");
  lab.time.now += 11 * SECOND;
  await expire(lab);
  assert.equal((await lab.snapshot()).freed.length, 1);
  await lab.put("net", { ...subnet, sticky: false });
  assert.deepEqual((await lab.snapshot()).freed, [], "nothing is remembered where nobody asks for it");
});

test("sticky: who cannot have all of what it had begins anew, and nothing of it is forgotten", async () => {
  const both = { subnets: [{ cidr: "10.0.0.0/29" }, { cidr: "fd00::/64" }], sticky: true, quarantine: 0 };
  const lab = await labWith(both);
  for (const owner of ["a", "b"]) await attach(lab, owner);
  await detach(lab, "b");
  await hold(lab, "10.0.0.3");
  assert.equal(await attach(lab, "b"), "10.0.0.4,fd00::3");
  await detach(lab, "b");
  assert.equal(await attach(lab, "b"), "10.0.0.4,fd00::3", "what it had last");
});

test("next-fit goes on after the last one given, over restarts, and begins again at the end", async () => {
  const lab = await labWith({ ...subnet, strategy: "next", quarantine: 0 });
  for (const address of ["10.0.0.2", "10.0.0.3", "10.0.0.4"]) {
    assert.equal(await attach(lab, "a"), address);
    await detach(lab, "a");
  }
  const again = await openLab(lab.store);
  const given = [];
  for (const owner of ["b", "c", "d"]) given.push((await again.attach("net", "h1", owner)).spec.addresses[0]);
  assert.deepEqual(given, ["10.0.0.5", "10.0.0.6", "10.0.0.2"]);
  assert.deepEqual(
    (await again.snapshot()).cursors.map(({ name, spec }) => [name, spec]),
    [["net:", { network: "net", range: "", last: ["10.0.0.2"] }]],
  );
});

test("next-fit in each range by itself", async () => {
  const lab = await labWith({
    ...subnet,
    strategy: "next",
    quarantine: 0,
    ranges: [
      { name: "a", type: "ip4", first: "10.0.0.2", size: 3 },
      { name: "e", type: "ether", mac: "02:00:00:00:00:10", size: 3 },
    ],
  });
  const macs = [];
  for (const owner of ["e1", "e2"]) {
    macs.push((await lab.attach("net", "h1", owner, { range: "e" })).spec.mac);
    await detach(lab, owner);
  }
  assert.deepEqual(macs, ["02:00:00:00:00:10", "02:00:00:00:00:11"]);
  const last = async () =>
    (await lab.snapshot()).cursors.map(({ spec }) => [spec.range, ...spec.last].join(" ")).toSorted();
  assert.deepEqual(await last(), ["e 02:00:00:00:00:11"]);
  const given = [];
  for (let n = 0; n < 4; n++) {
    given.push(await attach(lab, "a"));
    await detach(lab, "a");
  }
  assert.deepEqual(given, ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.2"]);
  assert.deepEqual(await last(), ["a 10.0.0.2", "e 02:00:00:00:00:11"]);
});

test("random: every address once, in no order that anybody would guess", async () => {
  const lab = await labWith({ subnets: [{ cidr: "10.0.0.0/26" }], strategy: "random" });
  const given: string[] = [];
  for (let n = 0; n < 61; n++) given.push(await attach(lab, `a${n}`));
  assert.equal(new Set(given).size, 61);
  assert.notDeepEqual(
    given,
    given.toSorted((a, b) => Number(a.split(".")[3]) - Number(b.split(".")[3])),
  );
  await refuses(lab, "exhausted", /all 61/, () => lab.attach("net", "h1", "last"));
});

test("holds: spans, partial release, expiry", async () => {
  const lab = await labWith({ subnets: [{ cidr: "10.0.0.0/24" }] });
  await hold(lab, "10.0.0.2", "10.0.0.9");
  assert.equal(await attach(lab, "a"), "10.0.0.10");
  await release(lab, "10.0.0.5", "10.0.0.6");
  assert.deepEqual(await holds(lab), ["10.0.0.2-10.0.0.4", "10.0.0.7-10.0.0.9"]);
  assert.equal(await attach(lab, "b"), "10.0.0.5");
  await refuses(lab, "hold-unknown", /10.0.0.5 is not held/, () => release(lab, "10.0.0.4", "10.0.0.7"));
  await release(lab, "10.0.0.2", "10.0.0.2");
  await release(lab, "10.0.0.9");
  assert.deepEqual(await holds(lab), ["10.0.0.3-10.0.0.4", "10.0.0.7-10.0.0.8"]);
  const { resource } = await hold(lab, "10.0.0.6", "10.0.0.6", 7200);
  assert.equal(resource?.kind === "hold" && resource.spec.expiresAtMs, lab.time.now + 7200 * SECOND);
  await release(lab, "10.0.0.6", "10.0.0.8");
  await hold(lab, "10.0.0.6", "10.0.0.8", 7200);
  lab.time.now += 7199 * SECOND;
  await expire(lab);
  assert.deepEqual(await holds(lab), ["10.0.0.3-10.0.0.4", "10.0.0.6-10.0.0.8"]);
  lab.time.now += SECOND;
  await expire(lab);
  assert.deepEqual(await holds(lab), ["10.0.0.3-10.0.0.4"]);
});

test("holds that cannot be", async () => {
  const lab = await labWith(subnet);
  await lab.put("routed", { subnets: [{ cidr: "10.1.0.0/16", hostPrefix: 24 }] });
  await attach(lab, "a");
  const request = { network: "net", first: "10.0.0.3", reason: "r", owner: "o" };
  const holding = (more: object) => () => lab.control.write({ verb: "hold", request: { ...request, ...more } });
  await refuses(lab, "network-unknown", /no network "nowhere"/, holding({ network: "nowhere" }));
  await refuses(lab, "unsupported", /it is local/, holding({ network: "routed", first: "10.1.0.9" }));
  await refuses(lab, "address-outside", /not inside one subnet/, holding({ first: "10.9.0.1" }));
  await refuses(lab, "address-outside", /not inside one subnet/, holding({ first: "02:00:00:00:00:01" }));
  await refuses(lab, "address-outside", /not inside one subnet/, holding({ last: "10.0.0.9" }));
  await refuses(lab, "address-invalid", /not an IP address/, holding({ first: "printer" }));
  await refuses(lab, "request-invalid", /ends before it begins/, holding({ last: "10.0.0.2" }));
  await refuses(lab, "request-invalid", /not of one kind/, holding({ last: "fd00::1" }));
  const refused = await refuses(lab, "address-taken", /10.0.0.2 is taken/, holding({ first: "10.0.0.2" }));
  assert.deepEqual(refused.detail.blockers, ["a.eth0 (10.0.0.2)"]);
});

test("hosts see nothing of holds, quarantine and cursors; a network takes them along when it goes", async () => {
  const lab = await labWith({ ...subnet, strategy: "next" });
  await hold(lab, "10.0.0.6");
  await attach(lab, "a");
  await detach(lab, "a");
  const admin = await lab.snapshot();
  assert.deepEqual([admin.holds.length, admin.freed.length, admin.cursors.length], [1, 1, 1]);
  const host = await lab.snapshot({ role: "host", host: "h1" });
  assert.deepEqual([host.holds, host.freed, host.cursors], [[], [], []]);
  for (const kind of ["hold", "freed", "cursor"] as const)
    assert.deepEqual((await lab.control.list(kind, { role: "host", host: "h1" })).items, []);
  await lab.control.write({ verb: "delete", kind: "network", name: "net" });
  const after = await lab.snapshot(ADMIN);
  assert.deepEqual([after.holds, after.freed, after.cursors], [[], [], []]);
});

test("wrong family, outside, taken: each says so", async () => {
  const lab = await labWith(subnet);
  await attach(lab, "a");
  await refuses(lab, "family-wrong", /gives no IPv6 addresses.*it has 10.0.0.0\/29/, asking(lab, "fd00::1"));
  await refuses(lab, "address-outside", /10.0.0.9 is outside/, asking(lab, "10.0.0.9"));
  await refuses(lab, "address-taken", /endpoint "a.eth0" on host "h1" has it/, asking(lab, "10.0.0.2"));
  await refuses(lab, "range-unknown", /the network has no ranges/, () => lab.attach("net", "h1", "b", { range: "r" }));
});

test("history: who had an address, over detach, return and another owner", async () => {
  const lab = await labWith({ ...subnet, quarantine: 0 });
  const start = lab.time.now;
  await attach(lab, "a");
  lab.time.now += 10 * SECOND;
  await detach(lab, "a");
  lab.time.now += 10 * SECOND;
  await attach(lab, "b");
  await lab.attach("net", "h1", "b", { netns: "/elsewhere" });
  const who = async (more: object = {}) =>
    (await lab.control.leaseHistory({ address: "10.0.0.2", limit: 10, ...more })).map(({ owner, fromMs, untilMs }) => [
      owner,
      (fromMs - start) / SECOND,
      untilMs && (untilMs - start) / SECOND,
    ]);
  const at = (seconds: number) => ({ sinceMs: start + seconds * SECOND, beforeMs: start + seconds * SECOND + 1 });
  assert.deepEqual(await who(), [
    ["b", 20, undefined],
    ["a", 0, 10],
  ]);
  assert.deepEqual(await who(at(5)), [["a", 0, 10]]);
  assert.deepEqual(await who(at(15)), []);
  assert.deepEqual(await who({ network: "other" }), []);
});

test("history of leases without addresses goes by their MAC; a local one begins when its host says so", async () => {
  const lab = await labWith({ subnets: [], ranges: [{ name: "e", type: "ether", mac: "02:00:00:00:00:10", size: 2 }] });
  await lab.put("routed", { subnets: [{ cidr: "10.1.0.0/16", hostPrefix: 24 }] });
  await attach(lab, "frames");
  await lab.attach("routed", "h1", "web", { addresses: ["10.1.0.5"] });
  await lab.attach("routed", "h1", "web", { addresses: ["10.1.0.6"] });
  const who = async (address: string) =>
    (await lab.control.leaseHistory({ address, limit: 9 })).map(({ owner, untilMs }) => [owner, untilMs !== undefined]);
  assert.deepEqual(await who("02:00:00:00:00:10"), [["frames", false]]);
  assert.deepEqual(await who("10.1.0.5"), [["web", true]]);
  assert.deepEqual(await who("10.1.0.6"), [["web", false]]);
});

test("the server expires by itself, and goes on when the store has failed for a while", async () => {
  const inner = openMemoryStore({ cluster: "lab" });
  let isBroken = false;
  const store: Store = {
    ...inner,
    get revision() {
      return inner.revision;
    },
    commit: async (...args) => {
      if (isBroken) throw new Fault("unavailable", { what: "the disk is full", fix: "free some space" });
      return inner.commit(...args);
    },
    read: async () => {
      if (isBroken) throw new Fault("unavailable", { what: "the disk is gone", fix: "wait" });
      return inner.read();
    },
  };
  const ticks: (() => void)[] = [];
  const time = { now: 0 };
  const clock = {
    nowMs: () => time.now,
    monotonicMs: () => time.now,
    sleep: () => new Promise<void>((resolve) => ticks.push(resolve)),
  };
  const control = await Control.open(store, { clock });
  await control.write({ verb: "put", kind: "network", name: "net", spec: subnet });
  const request = { network: "net", reason: "r", owner: "o", expiresInSeconds: 5 };
  for (const first of ["10.0.0.2", "10.0.0.3"]) await control.write({ verb: "hold", request: { ...request, first } });
  const stop = new AbortController();
  let isExpiring = true;
  const expiring = control.tendOn(stop.signal).then(() => (isExpiring = false));
  /** One second later, and everything that follows from it. */
  const tick = async () => {
    time.now += SECOND;
    ticks.splice(0).forEach((resolve) => resolve());
    for (let n = 0; n < 20; n++) await setImmediate();
  };
  const count = async () => (await control.list("hold", ADMIN)).items.length;
  for (let n = 0; n < 4; n++) await tick();
  assert.equal(await count(), 2);
  isBroken = true;
  for (let n = 0; n < 3; n++) await tick();
  isBroken = false;
  assert.equal(await count(), 2);
  await tick();
  assert.deepEqual([await count(), isExpiring], [0, true]);
  stop.abort();
  await tick();
  await expiring;
});

test("many holds that end at once are removed in several commits", async () => {
  const lab = await labWith({ subnets: [{ cidr: "10.0.0.0/19" }] });
  const ends = Array.from({ length: 2001 }, (_, n) => `10.0.${(n >> 7) + 1}.${(n & 127) * 2}`);
  await Promise.all(ends.map((address) => hold(lab, address, address, 60)));
  assert.equal((await holds(lab)).length, 2001);
  lab.time.now += 61 * SECOND;
  await expire(lab);
  assert.equal((await holds(lab)).length, 1);
  await expire(lab);
  assert.equal((await holds(lab)).length, 0);
});

test("a hold cannot have the reason that only the network's own holds have: nobody could release it", async () => {
  const lab = await labWith({ subnets: [{ cidr: "10.0.0.0/24" }] });
  const request = { network: "net", first: "10.0.0.3", reason: "the host's own address", owner: "eve" };
  await assert.rejects(lab.control.write({ verb: "hold", request }), { reason: "request-invalid" });
});
