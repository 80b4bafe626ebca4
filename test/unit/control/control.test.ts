// The control plane as a whole: groups, failures of the store, restarts, credentials, reports; and the law of watching.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { Fault } from "../../../src/model/fault.ts";
import { vrfsOn } from "../../../src/model/carrying.ts";
import { type Resource, type Snapshot, snapshotOf } from "../../../src/model/resource.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import type { Store } from "../../../src/store/store.ts";
import { aimed, anyWrite } from "./anyWrite.ts";
import { Control } from "../../../src/control/control.ts";
import { ADMIN, ADMIN_TOKEN, JOIN_TOKEN, type Lab, Reader, openLab, reportOf, sorted } from "./lab.ts";
import type { Write } from "../../../src/control/write.ts";

const blue = { subnets: [{ cidr: "10.7.0.0/16" }] };
const isFault = (reason: string) => (error: unknown) => error instanceof Fault && error.reason === reason;

/** The store, with a count of its transactions and a way to make the next one fail. */
function watched(inner: Store): { inner: Store; store: Store; transactions: number; fail: Error | undefined } {
  const state = { inner, store: inner, transactions: 0, fail: undefined as Error | undefined };
  state.store = {
    cluster: inner.cluster,
    get revision() {
      return inner.revision;
    },
    read: () => inner.read(),
    async commit(...written) {
      state.transactions++;
      const { fail } = state;
      state.fail = undefined;
      if (fail !== undefined) throw fail;
      return inner.commit(...written);
    },
    watch: (from, signal) => inner.watch(from, signal),
    secret: (key) => inner.secret(key),
    leases: (query) => inner.leases(query),
    audit: inner.audit,
    close: () => inner.close(),
  };
  return state;
}

test("writes of one turn share a transaction; each has its own answer, a refused one disturbs nobody", async () => {
  const disk = watched(openMemoryStore());
  const lab = await openLab(disk.store);
  await lab.put("blue", blue);
  await lab.join(1);
  const before = disk.transactions;
  const outcomes = await Promise.allSettled([
    lab.attach("blue", "h1", "a"),
    lab.attach("nowhere", "h1", "b"),
    lab.attach("blue", "h1", "c"),
    lab.attach("blue", "h1", "a"),
    lab.attach("blue", "h1", "d", { addresses: ["10.7.0.3"] }),
    lab.attach("blue", "h1", "e"),
  ]);
  assert.equal(disk.transactions, before + 1);
  const told = outcomes.map((each) =>
    each.status === "fulfilled"
      ? `${each.value.revision} ${each.value.spec.addresses[0]}`
      : (each.reason as Fault).reason,
  );
  assert.deepEqual(told, ["3 10.7.0.2", "network-unknown", "4 10.7.0.3", "3 10.7.0.2", "address-taken", "5 10.7.0.4"]);
  assert.equal((await lab.snapshot()).revision, 5);
  assert.equal(disk.store.revision, 5);
});

test("when the store fails, nobody is told of a success, nothing has changed, the next write goes well", async () => {
  const disk = watched(openMemoryStore());
  const lab = await openLab(disk.store);
  await lab.put("blue", blue);
  await lab.join(1);
  const before = sorted(await lab.snapshot());
  disk.fail = new Error("disk full");
  const outcomes = await Promise.allSettled([
    lab.attach("blue", "h1", "a"),
    lab.attach("blue", "h1", "b"),
    lab.attach("blue", "h1", "a"),
  ]);
  assert.deepEqual(
    outcomes.map((each) => each.status),
    ["rejected", "rejected", "rejected"],
  );
  assert.deepEqual(sorted(await lab.snapshot()), before);
  assert.deepEqual((await lab.attach("blue", "h1", "b")).spec.addresses, ["10.7.0.2"]);
});

test("while the store cannot be read at all, everything says so; afterwards it goes on", async () => {
  const disk = watched(openMemoryStore());
  const lab = await openLab(disk.store);
  await lab.put("blue", blue);
  const read = () => disk.inner.read();
  disk.fail = new Error("disk gone");
  disk.store.read = () => Promise.reject(new Error("disk gone"));
  await assert.rejects(lab.put("green", blue));
  await assert.rejects(lab.control.ready(), isFault("unavailable"));
  await assert.rejects(lab.snapshot(), isFault("unavailable"));
  await assert.rejects(lab.put("green", blue), isFault("unavailable"));
  disk.store.read = read;
  const names = async () => (await lab.snapshot()).networks.map((network) => network.name);
  assert.deepEqual(await names(), ["blue"], "also when nobody writes");
  await lab.put("green", blue);
  assert.deepEqual(await names(), ["blue", "green"]);
});

test("a server that starts again over the same store goes on where the last answer was", async () => {
  const store = openMemoryStore();
  const lab = await openLab(store);
  await lab.put("dcos", { subnets: [{ cidr: "9.0.0.0/8", hostPrefix: 24 }] });
  const token = await lab.join(1, { hostPrefixes: ["172.17.0.1/16", "172.18.0.0/16"] });
  await lab.control.report(reportOf("h1", { hostPrefixes: ["172.19.0.0/16"] }));
  const before = sorted(await lab.snapshot());
  await lab.control.close();
  await assert.rejects(lab.put("late", blue), isFault("unavailable"));

  const clock = { nowMs: () => 0, monotonicMs: () => 0, sleep: () => new Promise<void>(() => {}) };
  const control = await Control.open(store, { clock });
  assert.deepEqual(sorted(await control.snapshot(ADMIN)), before);
  assert.deepEqual(control.identify(token), { role: "host", host: "h1" });
  assert.deepEqual(control.identify(ADMIN_TOKEN), ADMIN);
  assert.deepEqual([control.hasToken("admin"), control.hasToken("join")], [true, true]);
  // What the host has of its own is known before its first report.
  await assert.rejects(
    control.write({ verb: "put", kind: "network", name: "n", spec: { subnets: [{ cidr: "172.19.1.0/24" }] } }),
    isFault("overlap"),
  );
  await control.write({ verb: "put", kind: "network", name: "n", spec: { subnets: [{ cidr: "172.18.1.0/24" }] } });
  const status = await control.status();
  assert.deepEqual(status.hosts, [{ host: "h1", underlay: "192.168.0.1", state: "suspect", sinceMs: 0 }]);
});

test("tokens: wrong, none, replaced, revoked", async () => {
  const lab = await openLab();
  const token = await lab.join(1);
  for (const wrong of [undefined, "", "x", ADMIN_TOKEN + "x", ADMIN_TOKEN.slice(1)])
    assert.throws(() => lab.control.identify(wrong), isFault("token-wrong"));
  assert.deepEqual(lab.control.identify(JOIN_TOKEN), { role: "join", token: "default" });
  await lab.control.setToken("admin", "another-0123456789abcdef0123456789");
  assert.throws(() => lab.control.identify(ADMIN_TOKEN), isFault("token-wrong"));
  assert.deepEqual(lab.control.identify(token), { role: "host", host: "h1" });
  await lab.control.write({ verb: "delete", kind: "host", name: "h1" }, { dryRun: true });
  assert.deepEqual(lab.control.identify(token), { role: "host", host: "h1" });
  await lab.control.write({ verb: "delete", kind: "host", name: "h1" });
  assert.throws(() => lab.control.identify(token), isFault("host-deleted"));
});

test("status: who reports, how far, how long it took", async () => {
  const lab = await openLab();
  for (const n of [1, 2]) await lab.join(n);
  await lab.control.write({
    verb: "put",
    kind: "vrf",
    name: "dcos",
    spec: { dcos: { vtepMacOui: "70:B3:D5:00:00:00", masters: ["192.168.0.1"], agents: ["192.168.0.7"] } },
  });
  await lab.control.report(reportOf("h1", { revision: 2 }));
  assert.deepEqual(
    (await lab.control.status()).hosts.map(({ host, state }) => [host, state]),
    [
      ["h1", "ready"],
      ["h2", "suspect"],
      ["192.168.0.7", "expected"],
    ],
  );
  await lab.put("blue", blue);
  const { revision } = await lab.snapshot();
  lab.time.now += 250;
  await lab.control.report(reportOf("h1", { revision }));
  const lagOf = async () => (await lab.control.status()).hosts[0]?.status?.lagMs;
  assert.equal(await lagOf(), 250);
  // A heartbeat says nothing new, and neither does a revision that was about somebody else.
  lab.time.now += 10_000;
  await lab.control.report(reportOf("h1", { revision }));
  await lab.attach("blue", "h2", "web");
  lab.time.now += 5_000;
  await lab.control.report(reportOf("h1", { revision: revision + 1 }));
  assert.equal(await lagOf(), 250);
  lab.time.now += 30_001;
  assert.equal((await lab.control.status()).hosts[0]?.state, "suspect");
  await assert.rejects(lab.control.report(reportOf("h9")), isFault("host-unknown"));
});

/** What a host should see, said without any index. */
function filtered(full: Snapshot, host: string): object {
  const carried = vrfsOn(full, host);
  const switched = new Set(
    full.networks
      .filter((network) => network.spec.ipam === "global" && carried.has(network.spec.vrf))
      .map((network) => network.name),
  );
  const peers = new Set(full.securityGroups.flatMap(({ spec }) => spec.rules.flatMap(({ peer }) => peer?.group ?? [])));
  const networks = new Map(full.networks.map((network) => [network.name, network.spec]));
  const isPeer = ({ spec }: Snapshot["endpoints"][number]) => {
    const network = networks.get(spec.network);
    const groups = [...(network?.securityGroups ?? []), ...(spec.securityGroups ?? [])];
    return carried.has(network?.vrf ?? "") && groups.some((group) => peers.has(group));
  };
  const endpoints = full.endpoints.filter(
    (endpoint) => endpoint.spec.host === host || switched.has(endpoint.spec.network) || isPeer(endpoint),
  );
  const moves = full.moves.filter(({ spec }) => spec.host === host);
  return sorted({ ...full, endpoints, moves, pools: [], migrations: [], holds: [], freed: [], cursors: [] });
}

function snapshotOfReader(reader: Reader): Snapshot {
  const { cluster, revision, all } = reader.state as { cluster: string; revision: number; all: Map<string, Resource> };
  return snapshotOf(cluster, revision, all.values());
}

async function tryWrite(lab: Lab, any: Write): Promise<void> {
  const write = any.verb === "move" ? aimed(any, (await lab.snapshot()).moves) : any;
  try {
    // Hosts of these tests own their names, so a join of one that exists is the same host.
    if (write.verb === "join")
      await lab.control.join(write.claim, JOIN_TOKEN, `the-token-of-${write.claim.host}-0123456789abcdef`);
    else await lab.control.write(write);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
  }
}

/**
 * Three hosts, a switched and a routed network in one VRF, and another switched one: something to see and not to see.
 */
const PREAMBLE: readonly Write[] = [
  ...[1, 2, 3].map(
    (n): Write => ({
      verb: "join",
      by: ADMIN,
      claim: { host: `h${n}`, underlay: `192.168.0.${n}`, underlayMtu: 1500, hostPrefixes: [] },
    }),
  ),
  { verb: "put", kind: "network", name: "red", spec: { vrf: "one", subnets: [{ cidr: "10.0.0.0/29" }] } },
  {
    verb: "put",
    kind: "network",
    name: "green",
    spec: { vrf: "two", subnets: [{ cidr: "10.0.1.0/28" }, { cidr: "fd00:1::/64" }] },
  },
];
const anyGroups = fc.array(fc.array(anyWrite, { minLength: 1, maxLength: 6 }), {
  minLength: 5,
  maxLength: 20,
  size: "max",
});

test("law: at every revision a host's mirror is its filtered snapshot, however slowly it reads", async () => {
  let sawForeign = 0;
  await fc.assert(
    fc.asyncProperty(anyGroups, fc.nat(6), fc.boolean(), async (groups, late, isSlow) => {
      const lab = await openLab();
      const { control } = lab;
      const readers = new Map<string, Reader>();
      const admin = await Reader.open(control, ADMIN);
      const open = async () => {
        for (const host of ["h1", "h2"]) readers.set(host, await Reader.open(control, { role: "host", host }));
      };
      /** Revision by revision, everybody against the naive answer. */
      const compare = async () => {
        while (admin.revision < control.revision) {
          await admin.readOne();
          const full = snapshotOfReader(admin);
          for (const [host, reader] of readers) {
            if (reader.revision >= admin.revision) continue;
            await reader.readOne();
            assert.deepEqual(reader.state, filtered(full, host), `${host} at ${admin.revision}`);
            sawForeign += full.endpoints.some((e) => e.spec.host !== host) ? 1 : 0;
            // The watch of a removed host ends; it begins anew with the next snapshot.
            if (!full.hosts.some((each) => each.name === host)) {
              await reader.close();
              readers.delete(host);
            }
          }
        }
      };
      for (const [i, group] of [PREAMBLE, ...groups].entries()) {
        if (i === late) await open();
        // In one turn, so that the commits of a group share a transaction.
        await Promise.all(group.map((write) => tryWrite(lab, write)));
        if (!isSlow) await compare();
      }
      await compare();
      for (const host of ["h1", "h2"])
        assert.deepEqual(sorted(await lab.snapshot({ role: "host", host })), filtered(await lab.snapshot(), host));
      for (const reader of [admin, ...readers.values()]) await reader.close();
    }),
    { numRuns: 250 },
  );
  assert.ok(sawForeign > 500, `only ${sawForeign} comparisons had endpoints of other hosts`);
});

test("hosts that see the same of a commit get one and the same set, so that it is encoded once", async () => {
  const lab = await openLab();
  for (const n of [1, 2, 3]) await lab.join(n);
  await lab.put("flat", { ipam: "global", subnets: [{ cidr: "10.0.0.0/24" }] });
  for (const host of ["h1", "h2"]) await lab.attach("flat", host, `first-${host}`);
  const stop = new AbortController();
  const watches = ["h1", "h2", "h3"].map((host) =>
    lab.control.watch(lab.control.revision, { role: "host", host }, stop.signal)[Symbol.asyncIterator](),
  );
  for (const watch of watches) await watch.next();
  const newest = () =>
    Promise.all(
      watches.map(async (watch) => {
        for (;;) {
          const { value } = await watch.next();
          if (value === undefined || value.revision === lab.control.revision) return value;
        }
      }),
    );
  const made = await lab.attach("flat", "h1", "second");
  const [h1, h2, h3] = await newest();
  assert.deepEqual(h1, { revision: made.revision, changes: [{ put: made }] });
  assert.equal(h1, h2);
  assert.deepEqual(h3, { revision: made.revision, changes: [] });
  await lab.detach(made.name);
  const [gone, goneToo] = await newest();
  assert.deepEqual(gone?.changes, [{ remove: `endpoint/${made.name}` }]);
  assert.equal(gone, goneToo);
  stop.abort();
});

test("a routed network that moves into a VRF brings its endpoints into every host's sight, and out of it", async () => {
  const lab = await openLab();
  for (const n of [1, 2]) await lab.join(n);
  const routed = { subnets: [{ cidr: "9.0.0.0/8", hostPrefix: 24 }] };
  await lab.put("routed", { ...routed, vrf: "one" });
  await lab.put("blue", { ...blue, vrf: "two" });
  await lab.attach("blue", "h2", "web");
  const reader = await Reader.open(lab.control, { role: "host", host: "h1" });
  const sees = async () => {
    await reader.readTo(lab.control.revision);
    assert.deepEqual(reader.state, sorted(await lab.snapshot({ role: "host", host: "h1" })));
    return snapshotOfReader(reader).endpoints.map((endpoint) => endpoint.name);
  };
  assert.deepEqual(await sees(), []);
  await lab.put("routed", { ...routed, vrf: "two" });
  assert.deepEqual(await sees(), ["web.eth0"]);
  await lab.put("routed", { ...routed, vrf: "one" });
  assert.deepEqual(await sees(), []);
  await reader.close();
});

test("a watch that resumes gets exactly what it missed", async () => {
  const lab = await openLab();
  for (const n of [1, 2]) await lab.join(n);
  await lab.put("blue", blue);
  for (const owner of ["a", "b"]) await lab.attach("blue", "h2", owner);
  const from = (await lab.snapshot()).revision;
  await lab.attach("blue", "h1", "mine");
  await lab.detach("a.eth0");
  await lab.detach("mine.eth0");
  const stop = new AbortController();
  const seen: string[] = [];
  for await (const { revision, changes } of lab.control.watch(from, { role: "host", host: "h1" }, stop.signal)) {
    seen.push(
      `${revision - from}: ${changes
        .map((c) => ("put" in c ? `+${c.put.name}` : `-${c.remove}`))
        .sort()
        .join(" ")}`,
    );
    if (changes.length === 0 && revision === from + 3) stop.abort();
  }
  assert.deepEqual(seen, [
    "1: +a.eth0 +b.eth0 +mine.eth0",
    "2: -endpoint/a.eth0",
    "3: -endpoint/b.eth0 -endpoint/mine.eth0",
    "3: ",
  ]);
});

test("a watch from the future, from before memory, of a removed host, and over the server's end", async () => {
  const store = openMemoryStore({ history: 2 });
  const lab = await openLab(store);
  const viewer = { role: "host", host: "h1" } as const;
  await lab.join(1);
  const never = new AbortController().signal;
  for (const each of [viewer, ADMIN])
    assert.throws(() => lab.control.watch(99, each, never), isFault("revision-stale"));
  const control = await Control.open(store, {
    clock: { nowMs: () => 0, monotonicMs: () => 0, sleep: async () => {} },
    history: 2,
  });
  assert.throws(() => control.watch(0, viewer, never), isFault("compacted"));
  const sets = control.watch(1, viewer, never)[Symbol.asyncIterator]();
  assert.deepEqual((await sets.next()).value, { revision: 1, changes: [] });
  await control.write({ verb: "delete", kind: "host", name: "h1" });
  assert.deepEqual((await sets.next()).value, { revision: 2, changes: [{ remove: "host/h1" }] });
  assert.equal((await sets.next()).done, true);
  const other = control.watch(2, { role: "host", host: "h2" }, never)[Symbol.asyncIterator]();
  await other.next();
  const ending = other.next();
  await setImmediate();
  await control.close();
  assert.equal((await ending).done, true);
});
