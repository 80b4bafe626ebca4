// Nobody sees what is decided before it is durable; what failed has not happened; what only asks changes nothing.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Fault } from "../../../src/model/fault.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import type { Store } from "../../../src/store/store.ts";
import { Control } from "../../../src/control/control.ts";
import { ADMIN, JOIN_TOKEN, Reader, openLab, refuses, reportOf, sorted, v4 } from "./lab.ts";
import type { Write } from "../../../src/control/write.ts";

type Asked = Exclude<Write, { verb: "join" }>;
const HOST = { role: "host", host: "h1" } as const;
const isFault = (reason: string) => (error: unknown) => error instanceof Fault && error.reason === reason;

/** A store whose disk does what the test says: `before` and `after` each transaction. */
function slow() {
  const inner = openMemoryStore({ cluster: "lab" });
  const disk = { before: async () => {}, after: async () => {}, read: async () => {} };
  const store: Store = {
    ...inner,
    get revision() {
      return inner.revision;
    },
    async commit(commits, secrets) {
      await disk.before();
      const revisions = await inner.commit(commits, secrets);
      await disk.after();
      return revisions;
    },
    async read() {
      await disk.read();
      return inner.read();
    },
  };
  return { store, disk };
}

async function turns(): Promise<void> {
  for (let i = 0; i < 10; i++) await setImmediate();
}

for (const fate of ["is kept", "fails"] as const) {
  test(`nobody sees a write before it is durable; then it ${fate}`, async () => {
    const { store, disk } = slow();
    const lab = await openLab(store);
    const { control } = lab;
    await lab.join(1);
    await lab.put("red", { ...v4("10.8.0.0/16"), vrf: "v" });
    const reader = await Reader.open(control, ADMIN);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    disk.before = () => promise;
    const revision = control.revision;
    const writing = lab.put("blue", { ...v4("10.7.0.0/16"), vrf: "v" }).then(
      () => "kept",
      () => "failed",
    );
    await turns();
    const seen: Record<string, boolean> = {};
    const look = (name: string, asked: Promise<unknown>) =>
      asked.then((value) => (seen[name] = JSON.stringify(value ?? "").includes("blue")));
    const looks = [
      look("snapshot", control.snapshot(ADMIN)),
      look("a host's snapshot", control.snapshot(HOST)),
      look("list", control.list("network", ADMIN, { after: "", limit: 10 })),
      look("find", control.find("network", "blue", ADMIN)),
      look("use", control.addressUse()),
      look("vteps", control.list("vrf", HOST, { after: "", limit: 10 })),
      look("groups", control.list("securitygroup", ADMIN)),
      look("map", control.spaceMap("blue")),
      look("status", control.status()),
      look("conditions", control.conditions()),
    ];
    await turns();
    assert.deepEqual(Object.values(seen).filter(Boolean), [], "before it is durable");
    assert.equal(control.revision, revision);
    if (fate === "is kept") resolve();
    else reject(new Error("the disk is full"));
    assert.equal(await writing, fate === "is kept" ? "kept" : "failed");
    disk.before = async () => {};
    await Promise.all(looks);
    const names = (await lab.snapshot()).networks.map(({ name }) => name);
    assert.deepEqual(names.toSorted(), fate === "is kept" ? ["blue", "red"] : ["red"]);
    assert.deepEqual(seen["snapshot"], fate === "is kept");
    assert.deepEqual(seen["find"], fate === "is kept");
    await lab.put("green", v4("10.9.0.0/16"));
    await reader.readTo(control.revision);
    assert.deepEqual(reader.state, sorted(await lab.snapshot()));
    await reader.close();
  });
}

test("nobody sees a write that failed while the store is read again, nor while it cannot be", async () => {
  const { store, disk } = slow();
  const lab = await openLab(store);
  const { control } = lab;
  await lab.put("red", v4("10.8.0.0/16"));
  const { promise, resolve } = Promise.withResolvers<void>();
  disk.before = () => Promise.reject(new Error("the disk is full"));
  disk.read = () => promise;
  const writing = lab.put("blue", v4("10.7.0.0/16")).then(
    () => "kept",
    () => "failed",
  );
  await turns();
  let seen: string[] | undefined;
  const looking = control.snapshot(ADMIN).then(({ networks }) => (seen = networks.map(({ name }) => name)));
  await turns();
  assert.equal(seen, undefined);
  resolve();
  assert.equal(await writing, "failed");
  await looking;
  assert.deepEqual(seen, ["red"]);
  disk.read = () => Promise.reject(new Error("the disk is gone"));
  await assert.rejects(lab.put("blue", v4("10.7.0.0/16")));
  const lookings = [
    () => control.snapshot(ADMIN),
    () => control.list("network", ADMIN),
    () => control.find("network", "red", ADMIN),
    () => control.status(),
    () => control.conditions(),
    () => control.spaceMap("red"),
    () => control.addressUse(),
    () => control.leaseHistory({ address: "10.8.0.2", limit: 1 }),
    () => control.report(reportOf("h1")),
    () => control.acceptHistory("h1"),
    () => control.reclaimLost(),
    () => control.ready(),
    () => control.check({}),
    () => control.setToken("join", JOIN_TOKEN),
    () => lab.put("blue", v4("10.7.0.0/16")),
  ];
  for (const look of lookings) await assert.rejects(look(), isFault("unavailable"), String(look));
  disk.read = async () => {};
  disk.before = async () => {};
  await lab.put("blue", v4("10.7.0.0/16"));
  assert.equal((await control.list("network", ADMIN)).items.length, 2);
});

test("a transaction that is durable although it failed: writers are refused, watchers list again", async () => {
  const { store, disk } = slow();
  const lab = await openLab(store);
  await lab.join(1);
  await lab.put("red", v4("10.8.0.0/16"));
  const from = lab.control.revision;
  const watch = lab.control.watch(from, HOST, new AbortController().signal)[Symbol.asyncIterator]();
  disk.after = () => Promise.reject(new Error("the answer was lost"));
  await assert.rejects(lab.put("blue", v4("10.7.0.0/16")), /answer was lost/);
  disk.after = async () => {};
  assert.deepEqual((await lab.snapshot()).networks.map(({ name }) => name).toSorted(), ["blue", "red"]);
  assert.equal(lab.control.revision, store.revision);
  await assert.rejects(watch.next(), isFault("compacted"));
  assert.throws(() => lab.control.watch(from, HOST, new AbortController().signal), isFault("compacted"));
  assert.equal((await lab.put("green", v4("10.9.0.0/16"))).name, "green");
});

test("a dry run says what would be, and changes nothing", async () => {
  const lab = await openLab();
  const { control } = lab;
  for (const n of [1, 2]) await lab.join(n);
  const ranges = [{ name: "a", type: "ip4", first: "10.7.0.8", size: 40 }] as const;
  await lab.put("blue", { ...v4("10.7.0.0/24"), ranges, vrf: "v" });
  await lab.put("green", { ...v4("10.8.0.0/24"), vrf: "v" });
  await lab.attach("blue", "h1", "web");
  const claim = { network: "blue", host: "h1", owner: "db", ifname: "eth0", netns: "/run/netns/db" };
  const writes: readonly Asked[] = [
    { verb: "put", kind: "network", name: "red", spec: v4("10.9.0.0/24") },
    { verb: "put", kind: "vrf", name: "kept", spec: {} },
    { verb: "put", kind: "securitygroup", name: "g", spec: { rules: [] } },
    { verb: "attach", claim, by: HOST },
    { verb: "attach-all", claims: [{ ...claim, owner: "vm" }], by: HOST },
    { verb: "patch-endpoint", name: "web.eth0", patch: { securityGroups: ["default"] } },
    { verb: "hold", request: { network: "blue", first: "10.7.0.30", reason: "r", owner: "o" } },
    { verb: "reserve", network: "blue", request: { name: "piece", size: 2 } },
    { verb: "join-network", claim: { network: "green", workload: "web" } },
    { verb: "migrate", request: { from: "blue", to: "green", endpoint: "db.eth0" } },
    { verb: "drain", host: "h2", drained: true },
    { verb: "detach", endpoint: "web.eth0", by: ADMIN },
    { verb: "release", span: { network: "blue", first: "10.7.0.30" } },
    { verb: "delete", kind: "network", name: "blue", force: true },
    { verb: "delete", kind: "host", name: "h1", force: true },
  ];
  for (const write of writes) {
    const before = sorted(await lab.snapshot());
    const revision = lab.store.revision;
    const dry = await control.write(write, { dryRun: true });
    assert.deepEqual(sorted(await lab.snapshot()), before, write.verb);
    assert.equal(lab.store.revision, revision, write.verb);
    const real = await control.write(write);
    const names = ({ changes }: typeof dry) =>
      changes.map((change) => ("put" in change ? `put ${change.put.kind}/${change.put.name}` : change.remove));
    assert.deepEqual(names(dry), names(real), write.verb);
    assert.ok(real.changes.length > 0, `${write.verb} would have done something`);
  }
});

test("IPv6 runs out like IPv4: in a segment, beside an IPv4 that does not, and in blocks", async () => {
  const lab = await openLab();
  for (const n of [1, 2]) await lab.join(n);
  await lab.put("six", { subnets: [{ cidr: "fd07::/126" }] });
  await lab.put("both", { subnets: [{ cidr: "10.7.0.0/24" }, { cidr: "fd08::/126" }] });
  for (const network of ["six", "both"]) {
    const given: string[] = [];
    for (const owner of ["a", "b"])
      given.push(...(await lab.attach(network, "h1", `${network}-${owner}`)).spec.addresses);
    assert.equal(new Set(given.filter((address) => address.includes(":"))).size, 2, given.join());
    await refuses(lab, "exhausted", /all \d of fd0[78]::\/126 are in use/, () => lab.attach(network, "h1", "c"));
    await lab.detach(`${network}-a.eth0`);
    assert.equal(
      (await lab.attach(network, "h2", `${network}-c`)).spec.addresses.at(-1),
      given[network === "six" ? 0 : 1],
    );
  }
  await lab.put("blocks", {
    subnets: [
      { cidr: "10.9.0.0/16", hostPrefix: 24 },
      { cidr: "fd09::/63", hostPrefix: 64 },
    ],
  });
  await lab.join(3);
  const { blocks } = await lab.snapshot();
  const cidrs = (host: string) => blocks.filter(({ spec }) => spec.network === "blocks" && spec.host === host).length;
  assert.deepEqual(["h1", "h2", "h3"].map(cidrs), [2, 2, 0], "all families or none");
  const seen = (await lab.control.conditions()).map(({ reason, host }) => `${reason} ${host}`);
  assert.deepEqual(seen, ["exhausted h3"]);
});

test("that a host has left is said late: a lease made anew under the same name stays", async () => {
  const lab = await openLab();
  await lab.join(1);
  for (const [i, name] of ["old", "new"].entries()) await lab.put(name, { ...v4(`10.${i}.0.0/24`), vrf: "v" });
  await lab.attach("old", "h1", "a");
  await lab.control.write({ verb: "migrate", request: { from: "old", to: "new", endpoint: "a.eth0" } });
  const move = (await lab.snapshot()).moves[0]?.name ?? assert.fail("no move");
  const say = (state: "joined" | "left") => lab.control.write({ verb: "move", move, report: { state }, by: HOST });
  await say("joined");
  await say("left");
  assert.deepEqual((await lab.snapshot()).endpoints, []);
  const anew = await lab.attach("old", "h1", "a");
  await say("left");
  assert.deepEqual((await lab.snapshot()).endpoints, [anew]);
});

test("what a host has said in an earlier life is not said by its next one", async () => {
  const lab = await openLab();
  await lab.join(1);
  await lab.control.report(reportOf("h1", { revision: lab.control.revision, objects: 7 }));
  const said = async () => (await lab.control.status()).hosts.map(({ host, status }) => [host, status?.objects]);
  assert.deepEqual(await said(), [["h1", 7]]);
  await lab.control.write({ verb: "delete", kind: "host", name: "h1" });
  assert.deepEqual(await said(), []);
  await lab.join(1);
  assert.deepEqual(await said(), [["h1", undefined]]);
});

for (const fate of ["is kept", "fails"] as const)
  test(`watchers told while a write is on its way hear only of what is durable; the write ${fate}`, async () => {
    const { store, disk } = slow();
    const waiting: (() => void)[] = [];
    const clock = { nowMs: () => 0, monotonicMs: () => 0, sleep: () => new Promise<void>(() => {}) };
    const control = await Control.open(store, { clock, later: (run) => waiting.push(run) });
    const tell = () => waiting.splice(0).forEach((run) => run());
    const put = (description: string) =>
      control.write({ verb: "put", kind: "network", name: "red", spec: { ...v4("10.8.0.0/16"), description } });
    await control.setToken("join", JOIN_TOKEN);
    await control.join({ host: "h1", underlay: "192.168.0.1", underlayMtu: 1500, hostPrefixes: [] }, JOIN_TOKEN);
    await turns();
    tell();
    const reader = await Reader.open(control, HOST);
    const reading = reader.readOne();
    await turns();
    await put("as it was");
    const before = sorted(await control.snapshot(HOST));
    const seen = control.revision;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    disk.before = () => promise;
    const writing = put("as it will be").then(
      () => "is kept",
      () => "fails",
    );
    await turns();
    assert.equal(waiting.length, 1, "what was is to be told");
    tell();
    await turns();
    disk.before = async () => {};
    if (fate === "is kept") resolve();
    else reject(new Error("the disk is full"));
    assert.equal(await writing, fate);
    await turns();
    tell();
    await reading;
    assert.equal(reader.revision, seen);
    assert.deepEqual(reader.state, before);
    await reader.readTo(control.revision);
    const now = sorted(await control.snapshot(HOST));
    assert.deepEqual(reader.state, now);
    if (fate === "fails") assert.deepEqual(now, before);
    await reader.close();
  });

test("how long a transaction takes is told, with its commits; and how long a change takes to a kernel", async () => {
  const { store, disk } = slow();
  const time = { now: 5_000_000 };
  const clock = { nowMs: () => time.now, monotonicMs: () => time.now, sleep: () => new Promise<void>(() => {}) };
  const told: (readonly [string, number, number?])[] = [];
  const meter = {
    committed: (commits: number, seconds: number) => told.push(["committed", commits, seconds]),
    converged: (seconds: number) => told.push(["converged", seconds]),
  };
  const control = await Control.open(store, { clock, meter });
  await control.setToken("join", JOIN_TOKEN);
  assert.deepEqual(told, [], "a transaction without commits is none of them");
  await control.join({ host: "h1", underlay: "192.168.0.1", underlayMtu: 1500, hostPrefixes: [] }, JOIN_TOKEN);
  disk.before = async () => void (time.now += 250);
  const put = (name: string) => control.write({ verb: "put", kind: "network", name, spec: v4("10.7.0.0/16") });
  await Promise.all([put("a"), put("b"), put("a")]);
  await control.report(reportOf("h1", { revision: 1 }));
  time.now += 1500;
  await control.report(reportOf("h1", { revision: control.revision }));
  assert.deepEqual(told, [
    ["committed", 1, 0],
    ["committed", 2, 0.25],
    ["converged", 1.5],
  ]);
});

test("a server has begun its piece of history before it hears anybody", async () => {
  const { store, disk } = slow();
  const { promise, resolve } = Promise.withResolvers<void>();
  disk.before = () => promise;
  const clock = { nowMs: () => 0, monotonicMs: () => 0, sleep: () => new Promise<void>(() => {}) };
  let isOpen = false;
  const opening = Control.open(store, { clock }).finally(() => (isOpen = true));
  await turns();
  assert.equal(isOpen, false);
  resolve();
  const control = await opening;
  const { pieces } = JSON.parse(store.secret("history") ?? "") as { pieces: { id: string }[] };
  assert.equal((await control.snapshot(HOST)).history, pieces.at(-1)?.id);
});

test("a write that comes while another is made durable has its turn, also when nothing comes after it", async () => {
  const { store, disk } = slow();
  const lab = await openLab(store);
  const { promise, resolve } = Promise.withResolvers<void>();
  disk.before = () => promise;
  const first = lab.put("red", v4("10.8.0.0/16"));
  await turns();
  const second = lab.put("blue", v4("10.7.0.0/16"));
  await turns();
  resolve();
  assert.deepEqual([(await first).revision, (await second).revision], [1, 2]);
});
