// What a host knows better than its server, and what they tell each other: tables of journal and snapshot.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { portName } from "../../../../src/datapath/state/names.ts";
import {
  emptySnapshot,
  type Endpoint,
  type EndpointSpec,
  type Network,
  type Snapshot,
} from "../../../../src/model/resource.ts";
import { type Entry, memoryJournal } from "../../../../src/agent/journal/journal.ts";
import {
  withServerSettings,
  disagreement,
  freeIn,
  endedWorkloads,
  isAlive,
  isInUse,
  isSameElsewhere,
  isSameExceptOwn,
  ownOf,
  rewind,
  changesOtherRoutes,
  withLocal,
  withoutHost,
} from "../../../../src/agent/reconcile/localSnapshot.ts";

const REVISION = 10;
function endpoint(owner: string, more: Partial<EndpointSpec> = {}, revision = 3): Endpoint {
  const spec = {
    network: "near",
    host: "h1",
    owner,
    ifname: "eth0",
    netns: `/run/netns/${owner}`,
    mac: "02:00:00:00:00:02",
    addresses: ["10.2.1.2"],
    ...more,
  };
  return { kind: "endpoint", name: `${owner}.${spec.ifname}`, uid: `uid-${owner}`, revision, spec };
}
const entry = (one: Endpoint, more: Partial<Entry> = {}): Entry => ({
  endpoint: one,
  netnsId: `id of ${one.spec.netns}`,
  bootId: "b",
  networkUid: `uid-${one.spec.network}`,
  state: "attached",
  ...more,
});
const entriesOf = (...entries: readonly Entry[]) => new Map(entries.map((one) => [one.endpoint.name, one]));
const network = (name: string, ipam: "local" | "global"): Network =>
  ({ kind: "network", name, uid: `uid-${name}`, revision: 1, spec: { ipam } }) as unknown as Network;
const snapshotOf = (...endpoints: readonly Endpoint[]): Snapshot => ({
  ...emptySnapshot("c"),
  revision: REVISION,
  networks: [network("near", "local"), network("wide", "global")],
  endpoints,
});
const leaving = { state: "detaching" } as const;
const WEB = endpoint("web");
const WIDE = endpoint("web", { network: "wide" });
const GROUPS = { securityGroups: ["g"] };

describe("the snapshot of a host", () => {
  const isThere = () => true;

  test("has others' endpoints as the server says, and its own as the journal says", () => {
    const others = [endpoint("a", { host: "h2" }), endpoint("b", { host: "h3" })];
    const released = endpoint("old");
    const seen = snapshotOf(others[0] ?? WEB, released, others[1] ?? WEB);
    const local = withLocal(seen, "h1", [entry(WEB), entry(endpoint("late"), leaving)], isThere);
    assert.deepEqual(local, { ...seen, endpoints: [...others, WEB] });
    assert.deepEqual(withLocal(seen, "h1", [entry(WEB)], () => false).endpoints, others);
  });

  test("has of its own what the server changed since: limits, groups, allowed addresses, and nothing else", () => {
    const changes: readonly Partial<EndpointSpec>[] = [
      {},
      GROUPS,
      { qos: { inbound: { average: 1 } } },
      { allowedAddresses: [{ address: "10.2.1.9" }] },
      { ...GROUPS, qos: { inbound: { average: 1 } }, allowedAddresses: [{ address: "10.2.1.9" }] },
    ];
    for (const was of changes)
      for (const is of changes) {
        const own = endpoint("web", was);
        const known = { ...endpoint("web", { ...is, mac: "02:00:00:00:00:99", workload: "w" }), uid: "another" };
        const wanted = endpoint("web", is);
        for (const name of ["web.eth0", "web.eth0@h1"]) {
          const local = withLocal(snapshotOf({ ...known, name }), "h1", [entry(own)], isThere);
          assert.deepEqual(local.endpoints, [wanted], JSON.stringify([was, is]));
        }
        assert.deepEqual(withServerSettings(own, known), wanted);
        assert.equal(withServerSettings(own, undefined), own);
        // Of another lease under the same name nothing is taken, nor of another host's.
        for (const other of [{ addresses: ["10.2.1.3"] }, { netns: "/n" }, { network: "wide" }])
          assert.equal(withServerSettings(own, endpoint("web", { ...is, ...other })), own, JSON.stringify(other));
        const elsewhere = snapshotOf(endpoint("web", { ...is, host: "h2" }));
        assert.deepEqual(withLocal(elsewhere, "h1", [entry(own)], isThere).endpoints.at(-1), own);
      }
    assert.equal(withServerSettings(WEB, endpoint("web")), WEB, "the same object, where nothing is news");
  });

  test("that is no longer has nothing of its own", () => {
    const hosts = ["h1", "h2"].map((name) => ({ name }) as unknown as Snapshot["hosts"][number]);
    const seen = { ...snapshotOf(WEB), hosts };
    assert.deepEqual(withoutHost(seen, "h1"), { ...seen, hosts: [hosts[1]] });
    assert.deepEqual(ownOf(snapshotOf(WEB, endpoint("db", { host: "h2" })), "h1"), { endpoints: [WEB] });
  });
});

test("a workload is alive in the namespace that it was attached in, in this boot", () => {
  const kernel = (id: string | undefined) => ({ netnsId: (path: string) => (path === WEB.spec.netns ? id : "other") });
  assert.equal(isAlive(entry(WEB), "b", kernel("id of /run/netns/web")), true);
  assert.equal(isAlive(entry(WEB), "b", kernel("another")), false);
  assert.equal(isAlive(entry(WEB), "b", kernel(undefined)), false);
  assert.equal(isAlive(entry(WEB), "another", kernel("id of /run/netns/web")), false);
});

describe("journal and server", () => {
  type Given = { readonly inFlight?: readonly string[]; readonly ports?: readonly string[] };
  function between(entries: readonly Entry[], seen: Snapshot, { inFlight = [], ports }: Given = {}) {
    const hasPort = (name: string) => ports === undefined || ports.includes(name);
    const { register, release, detach } = disagreement(seen, "h1", entriesOf(...entries), new Set(inFlight), hasPort);
    return { register: register.map(({ name }) => name), release, detach };
  }
  const NOTHING = { register: [], release: [], detach: [] };

  test("agree on what both have, and on what neither has", () => {
    assert.deepEqual(between([], snapshotOf()), NOTHING);
    assert.deepEqual(between([entry(WEB)], snapshotOf(WEB)), NOTHING);
    assert.deepEqual(between([entry(WIDE)], snapshotOf(WIDE)), NOTHING);
    assert.deepEqual(between([entry(WEB)], snapshotOf({ ...WEB, name: "web.eth0@h1" })), NOTHING);
    assert.deepEqual(between([], snapshotOf(endpoint("db", { host: "h2" }))), NOTHING);
  });

  test("a local endpoint that the server lacks is registered; a global one is gone, if that word is newer", () => {
    assert.deepEqual(between([entry(WEB)], snapshotOf()), { ...NOTHING, register: ["web.eth0"] });
    assert.deepEqual(between([entry(WEB)], snapshotOf({ ...WEB, spec: { ...WEB.spec, host: "h2" } })), {
      ...NOTHING,
      register: ["web.eth0"],
    });
    for (const [revision, isGone] of [
      [REVISION - 1, true],
      [REVISION, true],
      [REVISION + 1, false],
    ] as const) {
      const wide = endpoint("web", { network: "wide" }, revision);
      assert.deepEqual(between([entry(wide)], snapshotOf()), { ...NOTHING, detach: isGone ? ["web.eth0"] : [] });
      // The same of a network that is not there, or is another under the same name.
      const of = endpoint("web", { network: "gone" }, revision);
      assert.deepEqual(between([entry(of)], snapshotOf()), { ...NOTHING, detach: isGone ? ["web.eth0"] : [] });
      const again = entry(endpoint("web", {}, revision), { networkUid: "an older one's" });
      const told = between([again], snapshotOf(WEB));
      assert.deepEqual(told, { ...NOTHING, detach: isGone ? ["web.eth0"] : [] });
    }
    const { networkUid: _, ...older } = entry(WEB);
    assert.deepEqual(between([older], snapshotOf(WEB)), NOTHING);
  });

  test("what the server wants gone is detached, however new", () => {
    for (const own of [WEB, WIDE, endpoint("web", {}, REVISION + 1)]) {
      const known = { ...own, spec: { ...own.spec, detaching: true as const } };
      assert.deepEqual(between([entry(own)], snapshotOf(known)), { ...NOTHING, detach: ["web.eth0"] });
    }
  });

  test("what is on its way, in or out, is left alone", () => {
    const inFlight = ["web.eth0"];
    assert.deepEqual(between([entry(WEB)], snapshotOf(), { inFlight }), NOTHING);
    assert.deepEqual(between([entry(WIDE)], snapshotOf(), { inFlight }), NOTHING);
    assert.deepEqual(between([], snapshotOf(WEB), { inFlight, ports: [] }), NOTHING);
    assert.deepEqual(between([entry(WEB, leaving)], snapshotOf()), NOTHING);
    assert.deepEqual(between([entry(WIDE, leaving)], snapshotOf()), NOTHING);
  });

  test("the server lets go of what this host does not have, when its port is gone", () => {
    const release = ["web.eth0"];
    assert.deepEqual(between([], snapshotOf(WEB), { ports: [] }), { ...NOTHING, release });
    assert.deepEqual(between([], snapshotOf({ ...WEB, name: "web.eth0@h1" }), { ports: [] }), {
      ...NOTHING,
      release: ["web.eth0@h1"],
    });
    // A port that the journal has lost comes back, unless the server asks for it to go.
    assert.deepEqual(between([], snapshotOf(WEB)), NOTHING);
    const unwanted = { ...WEB, spec: { ...WEB.spec, detaching: true as const } };
    assert.deepEqual(between([], snapshotOf(unwanted)), { ...NOTHING, release });
    assert.deepEqual(between([entry(WEB, leaving)], snapshotOf(WEB), { ports: [] }), { ...NOTHING, release });
    assert.deepEqual(between([entry(WEB, leaving)], snapshotOf(WEB), { ports: ["web.eth0"] }), NOTHING);
    assert.deepEqual(between([entry(WEB, leaving)], snapshotOf(WEB), { ports: ["db.eth0"] }), { ...NOTHING, release });
  });

  test("an old lease of a name that was attached anew is let go of", () => {
    for (const other of [{ addresses: ["10.2.1.3"] }, { addresses: ["10.2.1.2", "fd02::2"] }, { netns: "/n" }]) {
      const told = between([entry(WEB)], snapshotOf(endpoint("web", other)));
      assert.deepEqual(told, { ...NOTHING, release: ["web.eth0"] }, JSON.stringify(other));
    }
    const moved = between([entry(WEB)], snapshotOf(WIDE));
    assert.deepEqual(moved, { ...NOTHING, release: ["web.eth0"] });
  });

  test("of several each is judged by itself", () => {
    const [a, b, c, d] = ["a", "b", "c", "d"].map((owner) => endpoint(owner)) as [
      Endpoint,
      Endpoint,
      Endpoint,
      Endpoint,
    ];
    const unwanted = { ...c, spec: { ...c.spec, detaching: true as const } };
    const told = between([entry(a), entry(b), entry(c)], snapshotOf(unwanted, d, a), { ports: [] });
    assert.deepEqual(told, { register: ["b.eth0"], release: ["d.eth0"], detach: ["c.eth0"] });
  });

  test("what the journal knows from higher revisions is older than a server that went back", () => {
    const all = [endpoint("a", {}, 4), endpoint("b", {}, 5), endpoint("c", {}, 6)];
    const journal = memoryJournal(entriesOf(...all.map((one) => entry(one))));
    rewind(journal, 5);
    assert.deepEqual(
      [...journal.entries.values()],
      [...all.slice(0, 2).map((one) => entry(one)), entry(endpoint("c", {}, 5))],
    );
    assert.equal(journal.version, 1);
  });
});

describe("whether two snapshots ask the same of a host", () => {
  test("every list counts that is part of its ground, and no other does", () => {
    const seen = snapshotOf(endpoint("db", { host: "h2" }));
    assert.equal(isSameExceptOwn(seen, seen, "h1"), true);
    assert.equal(isSameExceptOwn(seen, { ...seen, revision: 11, memberships: [], moves: [], freed: [] }, "h1"), true);
    for (const list of ["vrfs", "networks", "hosts", "blocks", "vteps", "securityGroups"] as const)
      assert.equal(isSameExceptOwn(seen, { ...seen, [list]: [...seen[list]] }, "h1"), false, list);
    assert.equal(isSameExceptOwn(seen, { ...seen, endpoints: [] }, "h1"), false);
  });

  test("others' endpoints are compared whole, its own by what may change while attached", () => {
    const pool = ["a", "b", "c", "d", "e", "f", "g"].map((owner, i) =>
      endpoint(owner, { host: i % 3 === 1 ? "h1" : "h2" }),
    );
    const wished = pool.map((one) => ({ ...one, spec: { ...one.spec, ...GROUPS } }));
    // Of each name at most one, plain or with groups.
    const pick = fc
      .tuple(...pool.map(() => fc.constantFrom(0, 1, 1, 1, 2)))
      .map((which) => which.flatMap((n, i) => (n === 0 ? [] : ((n === 1 ? pool : wished)[i] ?? []))));
    const wishes = (list: readonly Endpoint[]) =>
      new Map(list.filter(({ spec }) => spec.host === "h1").map(({ name, spec }) => [name, spec.securityGroups]));
    fc.assert(
      fc.property(pick, pick, (was, is) => {
        const [before, after] = [was, is].map((list) => list.filter(({ spec }) => spec.host !== "h1"));
        const [old, now] = [wishes(was), wishes(is)];
        const isSameWish = [...now].every(([name, groups]) => old.get(name)?.join() === groups?.join());
        const isSame = before?.length === after?.length && before?.every((one, i) => one === after?.[i]) === true;
        assert.equal(isSameElsewhere(was, is, "h1"), isSame && isSameWish);
      }),
      { numRuns: 2_000 },
    );
  });
});

test("workloads that ended without a detach are told, with what is to be freed", () => {
  const two = endpoint("db", { addresses: ["10.2.1.3", "fd02::3"] });
  const isHere = ({ endpoint: { name } }: Entry) => name === "web.eth0";
  assert.deepEqual(endedWorkloads([entry(WEB), entry(two), entry(endpoint("x"), leaving)], isHere), [
    "endpoint db.eth0: /run/netns/db is gone; detach it to free 10.2.1.3, fd02::3",
  ]);
});

test("routes of others turn when one beside them comes or goes that is not alone there", () => {
  const of = (ifname: string, more: Partial<EndpointSpec> = {}) => endpoint("web", { ifname, ...more });
  const isTurned = (comes: Endpoint, ...beside: readonly Entry[]) => changesOtherRoutes(beside, comes);
  assert.equal(isTurned(of("eth0")), false);
  assert.equal(isTurned(of("eth1"), entry(of("eth0"))), false, "the first is the way out");
  assert.equal(isTurned(of("eth0"), entry(of("eth1"))), true, "the other is no longer the way out");
  assert.equal(isTurned(of("eth2"), entry(of("eth0")), entry(of("eth1"))), true);
  assert.equal(isTurned(of("eth0"), entry(of("eth1"), leaving)), false);
  assert.equal(isTurned(of("eth0"), entry(of("eth1", { netns: "/n" }))), false);
  assert.equal(isTurned(of("eth0"), entry(of("eth0"))), false, "its own entry");
});

test("a network is in use while something is attached to it", () => {
  assert.equal(isInUse([entry(WIDE), entry(WEB)], "near"), true);
  assert.equal(isInUse([entry(WEB)], "wide"), false);
  assert.equal(isInUse([entry(WEB, leaving)], "near"), false);
  assert.equal(isInUse([], "near"), false);
});

test("an address is free when its endpoint is detached, its port gone, and the server has let go", () => {
  const free = (
    state: Entry["state"],
    { inFlight = [], ports = [], server = [], released = [] }: Readonly<Partial<Record<string, readonly string[]>>>,
  ) => {
    const endpoints = server.map((name) => ({ ...WEB, name }));
    const there = new Set(ports.map((name) => portName(name)));
    return freeIn(entriesOf(entry(WEB, { state })), new Set(inFlight), there, { endpoints }, released);
  };
  const web = ["web.eth0"];
  assert.deepEqual(free("detaching", {}), web);
  assert.deepEqual(free("detaching", { inFlight: ["db.eth0"], ports: ["db.eth0"] }), web);
  assert.deepEqual(free("attached", {}), []);
  for (const kept of [{ inFlight: web }, { ports: web }, { server: web }, { server: ["web.eth0@h1"] }])
    assert.deepEqual(free("detaching", kept), [], JSON.stringify(kept));
  assert.deepEqual(free("detaching", { server: web, released: web }), web);
  assert.deepEqual(free("detaching", { server: ["web.eth0@h1"], released: ["web.eth0@h1"] }), web);
  assert.deepEqual(free("detaching", { server: web, released: ["db.eth0"] }), []);
});
