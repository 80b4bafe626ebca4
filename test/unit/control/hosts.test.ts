// Hosts that join, drain, fall silent, are given up and come back, as the control plane of one server sees them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault, type Reason } from "../../../src/model/fault.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import { Control } from "../../../src/control/control.ts";
import { ADMIN, ADMIN_TOKEN, JOIN_TOKEN, type Lab, openLab, refuses, reportOf, sorted, v4 } from "./lab.ts";

const MINUTE = 60_000;
const isFault =
  (reason: Reason, text = /./) =>
  (error: unknown) =>
    error instanceof Fault && error.reason === reason && text.test(error.message);
const routed = { subnets: [{ cidr: "10.1.0.0/16", hostPrefix: 24 }] };
const switched = { subnets: [{ cidr: "10.2.0.0/24" }] };
const stateOf = async (lab: Lab, host: string) =>
  (await lab.control.status()).hosts.find((one) => one.host === host)?.state;
const reportAll = async (lab: Lab, ...hosts: string[]) => {
  for (const host of hosts) await lab.control.report(reportOf(host));
};

test("silence takes nothing: a lost host keeps all it had, and is ready when it is back", async () => {
  const lab = await openLab();
  for (const n of [1, 2]) await lab.join(n);
  await lab.put("dcos", routed);
  await lab.attach("dcos", "h1", "web", { addresses: ["10.1.0.2"] });
  await reportAll(lab, "h1", "h2");
  const before = sorted(await lab.snapshot());
  const seen: (string | undefined)[] = [];
  for (const ms of [30_000, 1, 269_999, 1]) {
    lab.time.now += ms;
    await reportAll(lab, "h2");
    seen.push(await stateOf(lab, "h1"));
    assert.equal(await lab.control.reclaimLost(), undefined);
  }
  assert.deepEqual(seen, ["ready", "suspect", "suspect", "lost"]);
  assert.deepEqual(sorted(await lab.snapshot()), before);
  const [lost] = await lab.control.conditions();
  assert.equal(lost?.reason, "host-lost");
  assert.match(lost?.message ?? "", /"h1" has been lost for 0s and keeps its 1 blocks and 1 endpoints/);
  await reportAll(lab, "h1");
  assert.deepEqual([await stateOf(lab, "h1"), await lab.control.conditions()], ["ready", []]);
});

test("reclaim: only what is lost, shown before it is done, and its token says what became of it", async () => {
  const lab = await openLab();
  const token = await lab.join(1);
  await lab.join(2);
  await lab.put("dcos", routed);
  await lab.attach("dcos", "h1", "web", { addresses: ["10.1.0.2"] });
  await reportAll(lab, "h1", "h2");
  await assert.rejects(lab.control.reclaim("h1"), isFault("in-use", /is ready, not lost: it reported 0s ago/));
  await assert.rejects(lab.control.reclaim("h9"), isFault("host-unknown"));
  lab.time.now += 6 * MINUTE;
  await reportAll(lab, "h2");
  const before = sorted(await lab.snapshot());
  const dry = await lab.control.reclaim("h1", { dryRun: true });
  const keys = dry.changes.map((change) => ("remove" in change ? change.remove : "put")).sort();
  assert.deepEqual(keys, ["block/dcos.h1.4", "endpoint/web.eth0", "host/h1", "vtep/dcos.h1"]);
  assert.deepEqual(sorted(await lab.snapshot()), before);
  assert.deepEqual(lab.control.identify(token), { role: "host", host: "h1" });

  const done = await lab.control.reclaim("h1");
  assert.deepEqual(done.changes, dry.changes);
  assert.throws(() => lab.control.identify(token), isFault("host-reclaimed", /10\.1\.0\.0\/24.*join token/));
  const row = (await lab.control.status()).hosts.find((one) => one.host === "h1");
  assert.deepEqual([row?.state, row?.sinceMs, row?.underlay], ["reclaimed", lab.time.now, "192.168.0.1"]);
  // The block is somebody else's before the host is back, and stays so.
  await lab.join(3);
  const claim = { host: "h1", underlay: "192.168.0.1", underlayMtu: 1500, hostPrefixes: [] };
  await assert.rejects(lab.control.join(claim, token), isFault("host-reclaimed"));
  await assert.rejects(lab.control.join(claim, JOIN_TOKEN, token), isFault("host-reclaimed"));
  const again = await lab.control.join(claim, JOIN_TOKEN);
  assert.deepEqual(lab.control.identify(again.token), { role: "host", host: "h1" });
  assert.throws(() => lab.control.identify(token), isFault("host-reclaimed"));
  const blocks = (await lab.snapshot()).blocks.map(({ spec }) => `${spec.host} ${spec.cidr}`).sort();
  assert.deepEqual(blocks, ["h1 10.1.2.0/24", "h2 10.1.1.0/24", "h3 10.1.0.0/24"]);
  assert.equal((await lab.control.status()).hosts.filter((one) => one.host === "h1").length, 1);
});

test("what became of a host outlives the server, and a failed commit has not happened", async () => {
  const inner = openMemoryStore();
  let isBroken = false;
  const store = { ...inner, secret: inner.secret.bind(inner), watch: inner.watch.bind(inner) };
  Object.defineProperty(store, "revision", { get: () => inner.revision });
  store.commit = (...args: Parameters<typeof inner.commit>) =>
    isBroken ? Promise.reject(new Error("the disk is full")) : inner.commit(...args);
  const lab = await openLab(store);
  const token = await lab.join(1);
  isBroken = true;
  await assert.rejects(lab.control.reclaim("h1", { force: true }), /disk is full/);
  isBroken = false;
  assert.deepEqual(lab.control.identify(token), { role: "host", host: "h1" });
  assert.equal(await stateOf(lab, "h1"), "suspect");
  await lab.control.reclaim("h1", { force: true });
  await lab.control.close();
  const clock = { nowMs: () => 0, monotonicMs: () => 0, sleep: () => new Promise<void>(() => {}) };
  const control = await Control.open(store, { clock });
  assert.throws(() => control.identify(token), isFault("host-reclaimed"));
  assert.deepEqual(
    (await control.status()).hosts.map(({ host, state }) => [host, state]),
    [["h1", "reclaimed"]],
  );
  const forget = () => control.write({ verb: "delete", kind: "host", name: "h1" });
  isBroken = true;
  await assert.rejects(forget(), /disk is full/);
  isBroken = false;
  assert.deepEqual(
    (await control.status()).hosts.map(({ state }) => state),
    ["reclaimed"],
    "it is forgotten on disk or not at all",
  );
  assert.deepEqual((await forget()).changes, []);
  await assert.rejects(forget(), isFault("host-unknown"));
  assert.deepEqual((await control.status()).hosts, []);
  assert.throws(() => control.identify(token), isFault("host-reclaimed"));
});

test("the server gives up a host by itself only when told to, never many, nor when it has just started", async () => {
  const liveness = { suspectAfterMs: 30_000, lostAfterMs: 300_000, reclaimAfterMs: 600_000 };
  const store = openMemoryStore();
  const first = await openLab(store);
  for (let n = 1; n <= 6; n++) await first.join(n);
  await first.control.close();
  const time = { now: 50_000_000 };
  const clock = { nowMs: () => time.now, monotonicMs: () => time.now, sleep: () => new Promise<void>(() => {}) };
  const control = await Control.open(store, { clock, liveness });
  const report = async (...hosts: string[]) => {
    for (const host of hosts) await control.report(reportOf(host));
  };
  const pass = async (ms: number, ...hosts: string[]) => {
    const given: string[] = [];
    for (const end = time.now + ms; time.now < end; ) {
      time.now += 10_000;
      await report(...hosts);
      const one = await control.reclaimLost();
      if (one !== undefined) given.push(one);
    }
    return given;
  };
  const all = ["h1", "h2", "h3", "h4", "h5", "h6"];
  assert.deepEqual(await pass(30 * MINUTE), [], "nobody has reported since the start");
  assert.deepEqual(await pass(20 * MINUTE, "h1", "h2", "h3"), [], "half of them is too many");
  assert((await control.conditions()).some((one) => one.reason === "mass-loss" && /3 of 6 hosts/.test(one.message)));
  assert.deepEqual(await pass(10 * MINUTE, ...all.slice(0, 5)), [], "h6 has its time again");
  assert.deepEqual(await pass(MINUTE, ...all.slice(0, 5)), ["h6"]);
  assert.equal((await control.status()).hosts.find((one) => one.host === "h6")?.state, "reclaimed");
});

test("a step of the server's clock makes no host silent, gives none up, and is named", async () => {
  const liveness = { suspectAfterMs: 30_000, lostAfterMs: 300_000, reclaimAfterMs: 600_000 };
  const lab = await openLab(openMemoryStore(), { liveness });
  for (const n of [1, 2, 3, 4]) {
    await lab.join(n);
    await lab.control.report(reportOf(`h${n}`));
  }
  const stepped = async () => (await lab.control.conditions()).filter((one) => one.reason === "clock-stepped");
  for (const step of [60 * MINUTE, -120 * MINUTE, 24 * 60 * MINUTE]) {
    lab.time.offset += step;
    lab.time.now += 10_000;
    assert.equal(await lab.control.reclaimLost(), undefined);
    for (const n of [1, 2, 3]) await lab.control.report(reportOf(`h${n}`));
    const { hosts } = await lab.control.status();
    assert.deepEqual(
      hosts.map((one) => one.state),
      ["ready", "ready", "ready", "ready"],
    );
    const shownAgoMs = lab.time.now + lab.time.offset - (hosts[0]?.status?.reportedAtMs ?? 0);
    assert.equal(shownAgoMs, 0, "what is shown is by the wall clock as it is now");
    assert.equal((await stepped()).length, 1);
  }
  assert.match((await stepped())[0]?.message ?? "", /^the clock of the server was set forward by 1d, to 1970-01-01T/);
  // What is silent is silent, however far back the clock goes.
  lab.time.offset = -1_000 * MINUTE;
  const given: (string | undefined)[] = [];
  for (let n = 0; n < 62; n++) {
    lab.time.now += 10_000;
    for (const each of [1, 2, 3]) await lab.control.report(reportOf(`h${each}`));
    given.push(await lab.control.reclaimLost());
  }
  assert.deepEqual(given.filter(Boolean), ["h4"]);
  lab.time.now += 60 * MINUTE;
  await lab.control.reclaimLost();
  assert.deepEqual(await stepped(), []);
});

test("a host that is heard of at the last moment is not given up", async () => {
  const lab = await openLab();
  for (const n of [1, 2, 3]) await lab.join(n);
  lab.time.now += 6 * MINUTE;
  const reclaimed = lab.control.reclaim("h1");
  await lab.control.report(reportOf("h1"));
  await assert.rejects(reclaimed, isFault("in-use", /is ready/));
  assert.equal((await lab.snapshot()).hosts.length, 3);
});

test("a drained host takes nothing new, keeps what it has, and goes without force when it is empty", async () => {
  const lab = await openLab();
  await lab.join(1);
  const token = await lab.join(2);
  await lab.put("red", switched);
  await lab.put("dcos", routed);
  await lab.attach("red", "h2", "old");
  const drain = (drained: boolean) => lab.control.write({ verb: "drain", host: "h2", drained });
  const { revision } = await drain(true);
  assert.equal((await drain(true)).revision, revision, "again changes nothing");
  await assert.rejects(lab.attach("red", "h2", "new"), isFault("host-drained", /"h2" takes no new endpoints/));
  await assert.rejects(
    lab.control.write({
      verb: "attach",
      by: ADMIN,
      claim: { network: "dcos", host: "h2", owner: "x", ifname: "eth0", netns: "/n", addresses: ["10.1.1.2"] },
    }),
    isFault("host-drained"),
  );
  assert.equal((await lab.attach("red", "h2", "old")).name, "old.eth0", "what is there may be confirmed");
  // The agent gave this address before it could hear of the drain: a fact, not a request.
  assert.equal((await lab.attach("dcos", "h2", "fact", { addresses: ["10.1.1.2"] })).spec.host, "h2");
  const rejoined = await lab.control.join(
    { host: "h2", underlay: "192.168.0.2", underlayMtu: 9000, hostPrefixes: [] },
    token,
  );
  assert.equal(rejoined.host.spec.drained, true, "it stays drained over a restart of its agent");
  await assert.rejects(lab.control.write({ verb: "delete", kind: "host", name: "h2" }), isFault("in-use", /old\.eth0/));
  await drain(false);
  await lab.attach("red", "h2", "new");
  await drain(true);
  for (const name of ["old.eth0", "new.eth0", "fact.eth0"]) await lab.detach(name);
  await lab.control.write({ verb: "delete", kind: "host", name: "h2" });
  await assert.rejects(drain(true), isFault("host-unknown"));
  assert.throws(() => lab.control.identify(token), isFault("host-deleted"));
});

test("later conflicts are conditions that name both sides, and end with their cause", async () => {
  const lab = await openLab();
  for (const n of [1, 2]) await lab.join(n);
  await lab.put("blue", { subnets: [{ cidr: "10.7.0.0/16", hostPrefix: 24 }] });
  await lab.put("narrow", { subnets: [{ cidr: "10.9.1.0/24" }] });
  const told = async () =>
    (await lab.control.conditions())
      .filter((one) => one.reason === "overlap")
      .map(({ object, host, message }) => `${object} ${host} ${/overlap[s]? (.*), which/.exec(message)?.[1]}`)
      .sort();
  const report = (host: string, ...hostPrefixes: string[]) => lab.control.report(reportOf(host, { hostPrefixes }));
  const [vtepSubnet] = (await lab.snapshot()).vrfs.find((vrf) => vrf.name === "blue")?.spec.vtepSubnets ?? [];
  await report("h1", "0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "192.168.0.0/24");
  assert.deepEqual(await told(), [], "the way to everything says nothing");
  // A part of a network, a network as a part, the same, and the range tunnels have.
  await report("h1", "10.7.200.0/24", "10.7.0.0/16", "10.9.0.0/16");
  await report("h2", vtepSubnet ?? "");
  assert.deepEqual(await told(), [
    "network/blue h1 10.7.200.0/24, 10.7.0.0/16",
    "network/narrow h1 10.9.0.0/16",
    `vrf/blue h2 ${vtepSubnet}`,
  ]);
  await report("h1");
  await report("h2");
  assert.deepEqual(await told(), []);
  await report("h1", "10.20.0.0/16");
  for (const cidr of ["10.20.3.0/24", "10.16.0.0/12", "10.20.0.0/16"])
    await assert.rejects(
      lab.put("late", { subnets: [{ cidr }] }),
      isFault("overlap", /host "h1" \(10\.20\.0\.0\/16\)/),
    );
  // A host that joins with an address of a network is let in and told, but not with its tunnels through itself.
  const claim = { host: "h3", underlay: "192.168.0.3", underlayMtu: 1500, hostPrefixes: ["10.7.0.0/24"] };
  await lab.control.join(claim, JOIN_TOKEN);
  assert.deepEqual(await told(), ["network/blue h3 10.7.0.0/24"]);
  await assert.rejects(
    lab.control.join({ ...claim, host: "h4", underlay: "10.7.0.4" }, JOIN_TOKEN),
    isFault("overlap", /lies in network "blue"/),
  );
});

test("an underlay address is one host's, however it is written; those that differ late are two", async () => {
  const lab = await openLab();
  const join = (host: string, underlay: string) =>
    lab.control.join({ host, underlay, underlayMtu: 1500, hostPrefixes: [] }, JOIN_TOKEN);
  const apart = ["fd01::1:0:0:1", "fd01::1:0:0:2", "fd01::1:0:1:1", "fd01::1:0:0:10", "192.168.1.1", "192.168.1.11"];
  for (const [i, underlay] of apart.entries()) await join(`h${i}`, underlay);
  const { hosts } = await lab.snapshot();
  assert.deepEqual(hosts.map(({ spec }) => spec.underlay).toSorted(), apart.toSorted());
  for (const [text, owner] of [
    ["fd01:0:0:0:1::1", "h0"],
    ["FD01::1:0:0:0002", "h1"],
    ["192.168.1.11", "h5"],
  ] as const)
    await refuses(lab, ["host-claimed", "underlay"], new RegExp(`belongs to host "${owner}"`), () =>
      join("late", text),
    );
});

test("hosts: a name belongs to whoever has its token", async () => {
  const lab = await openLab();
  const claim = { host: "h1", underlay: "192.168.0.1", underlayMtu: 1500, hostPrefixes: [] };
  const { token } = await lab.control.join(claim, JOIN_TOKEN);
  await refuses(lab, "host-claimed", /host "h1" belongs to another agent.*delete the host first/, () =>
    lab.control.join(claim, JOIN_TOKEN),
  );
  await refuses(lab, ["host-claimed", "underlay"], /192.168.0.1 belongs to host "h1"/, () =>
    lab.control.join({ ...claim, host: "h2" }, JOIN_TOKEN),
  );
  await refuses(lab, "host-claimed", /belongs to/, () =>
    lab.control.join({ ...claim, host: "h2", underlay: "192.168.0.2" }, token),
  );
  await refuses(lab, "token-wrong", /does not know this token/, () => lab.control.join(claim, "guess"));
  const again = await lab.control.join(claim, token);
  assert.deepEqual([again.token, again.host.revision], [token, 1]);
  const moved = await lab.control.join({ ...claim, underlay: "192.168.0.9", underlayMtu: 9000 }, token);
  assert.deepEqual(
    [moved.host.uid, moved.host.spec],
    [again.host.uid, { underlay: "192.168.0.9", underlayMtu: 9000, order: 1 }],
  );
  await lab.control.join({ ...claim, host: "h2" }, JOIN_TOKEN);
  await lab.put("net", v4("10.0.0.0/8"));
  await refuses(lab, "overlap", /10.1.2.3 lies in network "net"/, () =>
    lab.control.join({ ...claim, host: "h3", underlay: "10.1.2.3" }, JOIN_TOKEN),
  );
  await refuses(lab, "address-invalid", /cannot be an underlay address/, () =>
    lab.control.join({ ...claim, host: "h3", underlay: "127.0.0.1" }, JOIN_TOKEN),
  );
  await lab.control.write({ verb: "delete", kind: "host", name: "h1" });
  await refuses(lab, "host-deleted", /host "h1" was deleted at/, () => lab.control.join(claim, token));
  assert.notEqual((await lab.control.join({ ...claim, underlay: "192.168.0.9" }, JOIN_TOKEN)).token, token);
});

test("a join whose answer was lost can be repeated with the token the host proposed", async () => {
  const lab = await openLab();
  const claim = { host: "h1", underlay: "192.168.0.1", underlayMtu: 1500, hostPrefixes: [] };
  const mine = "made-by-the-host-0123456789abcdef0123";
  await lab.control.join(claim, JOIN_TOKEN, mine);
  assert.deepEqual((await lab.control.join(claim, JOIN_TOKEN, mine)).token, mine);
  assert.deepEqual(lab.control.identify(mine), { role: "host", host: "h1" });
  await refuses(lab, "host-claimed", /another agent/, () =>
    lab.control.join(claim, JOIN_TOKEN, "somebody-else-0123456789abcdef0123456"),
  );
});

test("hosts that come to stand in a network's way are conditions, not refusals", async () => {
  const lab = await openLab();
  await lab.put("blue", { ...v4("10.7.0.0/16"), mtu: 1450 });
  await lab.join(1, { hostPrefixes: ["10.7.5.0/24"], underlayMtu: 1400 });
  assert.deepEqual(
    (await lab.control.conditions()).map(({ reason, object, host }) => [reason, object, host]),
    [
      ["overlap", "network/blue", "h1"],
      ["mtu-invalid", "network/blue", "h1"],
    ],
  );
});

test("a credential belongs to one: a join proposes neither a token of the server nor another host's", async () => {
  const lab = await openLab();
  const theirs = await lab.join(1);
  const claim = (n: number) => ({
    host: `h${n}`,
    underlay: `192.168.0.${n}`,
    underlayMtu: 1500,
    hostPrefixes: [],
  });
  for (const proposed of [JOIN_TOKEN, ADMIN_TOKEN, theirs])
    await refuses(lab, ["token-taken", "token"], /is already in use.*of this host's own/, () =>
      lab.control.join(claim(2), JOIN_TOKEN, proposed),
    );
  assert.deepEqual(lab.control.identify(JOIN_TOKEN), { role: "join", token: "default" });
  assert.deepEqual(lab.control.identify(theirs), { role: "host", host: "h1" });
  // Two at once, in one transaction: the first has it.
  const own = "a-credential-that-two-hosts-propose-at-once";
  const both = await Promise.allSettled([2, 3].map((n) => lab.control.join(claim(n), JOIN_TOKEN, own)));
  assert.deepEqual(
    both.map((one) => (one.status === "fulfilled" ? "joined" : one.reason.reason)),
    ["joined", "token-taken"],
  );
  assert.deepEqual(lab.control.identify(own), { role: "host", host: "h2" });
  assert.equal((await lab.control.join(claim(2), JOIN_TOKEN, own)).token, own, "a join may be repeated");
  for (const token of [own, ADMIN_TOKEN])
    await assert.rejects(lab.control.setToken("join", token), isFault("token-taken", /join token is already in use/));
});

test("a credential of a join that was refused is free for another host", async () => {
  const lab = await openLab();
  await lab.join(1);
  const own = "a-credential-of-a-join-that-is-refused";
  const join = (n: number, underlay: string) =>
    lab.control.join({ host: `h${n}`, underlay, underlayMtu: 1500, hostPrefixes: [] }, JOIN_TOKEN, own);
  await assert.rejects(join(2, "192.168.0.1"), isFault("host-claimed"));
  assert.throws(() => lab.control.identify(own), isFault("token-wrong"));
  await join(3, "192.168.0.3");
  assert.deepEqual(lab.control.identify(own), { role: "host", host: "h3" });
});

test("a copy of a host is refused while the host is heard, and both are named; a restart elsewhere waits", async () => {
  const lab = await openLab();
  const claim = (bootId: string, underlay: string) => ({
    host: "h1",
    underlay,
    underlayMtu: 1500,
    hostPrefixes: [],
    bootId,
  });
  const { token } = await lab.control.join(claim("first", "192.168.0.1"), JOIN_TOKEN);
  const cloned = async () => (await lab.control.conditions()).filter((one) => one.reason === "host-cloned");
  const report = (bootId: string) => lab.control.report(reportOf("h1", { bootId }));
  await report("first");
  await refuses(lab, "host-cloned", /192.168.0.1 \(boot first\), which is heard, and 192.168.0.9 \(boot copy\)/, () =>
    lab.control.join(claim("copy", "192.168.0.9"), token),
  );
  await assert.rejects(report("copy"), isFault("host-cloned", /the one that reports from boot copy/));
  assert.match((await cloned())[0]?.message ?? "", /boot first.*boot copy/);
  // A host that moved, and one that restarted where it was, are the same host.
  await lab.control.join(claim("first", "192.168.0.2"), token);
  assert.deepEqual(await cloned(), []);
  await lab.control.join(claim("second", "192.168.0.2"), token);
  await report("second");
  await assert.rejects(report("first"), isFault("host-cloned"));
  // A restart with another address is taken when the first is silent, also by a server that has just started.
  await lab.control.close();
  const again = await openLab(lab.store, {}, { now: 9_000_000, offset: 0 });
  const elsewhere = () => again.control.join(claim("third", "192.168.0.3"), token);
  await assert.rejects(elsewhere(), isFault("host-cloned"));
  again.time.now += 30_001;
  assert.equal((await elsewhere()).host.spec.underlay, "192.168.0.3");
  await assert.rejects(again.control.report(reportOf("h1", { bootId: "second" })), isFault("host-cloned"));
  await again.control.report(reportOf("h1", { bootId: "third" }));
  again.time.now += 61_000;
  assert.deepEqual(
    (await again.control.conditions()).filter((one) => one.reason === "host-cloned"),
    [],
  );
});

test("a host with another history is heard: neither silent nor suspect, also once it is accepted", async () => {
  const lab = await openLab();
  for (const n of [1, 2]) await lab.join(n);
  const { control: reopened } = await openLab(lab.store, {}, { now: 9_000_000, offset: 0 });
  const reasons = async () => (await reopened.conditions()).map((one) => one.reason).sort();
  const states = async () => (await reopened.status()).hosts.map((one) => one.state);
  assert.deepEqual(await states(), ["suspect", "suspect"]);
  for (const host of ["h1", "h2"])
    await assert.rejects(reopened.snapshot({ role: "host", host }, { history: "other", revision: 999 }));
  await reopened.reclaimLost();
  assert.deepEqual(
    [await states(), await reasons()],
    [
      ["ready", "ready"],
      ["another-history", "another-history"],
    ],
  );
  for (const host of ["h1", "h2"]) await reopened.acceptHistory(host);
  await reopened.reclaimLost();
  assert.deepEqual([await states(), await reasons()], [["ready", "ready"], []]);
});

test("a host that joins an old server is not lost before its first report", async () => {
  const lab = await openLab();
  lab.time.now += 3_600_000;
  await lab.join(1);
  const [host] = (await lab.control.status()).hosts;
  assert.deepEqual([host?.state, host?.sinceMs], [await stateOf(lab, "h1"), lab.time.now]);
  assert.notEqual(host?.state, "lost");
  lab.time.now += 300_001;
  assert.equal(await stateOf(lab, "h1"), "lost");
});
