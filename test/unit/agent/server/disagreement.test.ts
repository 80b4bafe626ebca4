// What journal and server disagree about, and what is done about it: tables of journal and snapshot.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { portName } from "../../../../src/datapath/state/names.ts";
import type { Endpoint, Snapshot } from "../../../../src/model/resource.ts";
import type { Entry } from "../../../../src/agent/journal/journal.ts";
import { disagreement, forgettable } from "../../../../src/agent/server/register.ts";
import { DETACHING, endpoint, entriesOf, entry, REVISION, snapshotWith, WEB, WIDE } from "../samples.ts";

describe("journal and server", () => {
  const EVERY: ReadonlySet<string> = Object.assign(new Set<string>(), { has: () => true });
  type Given = { readonly inFlight?: readonly string[]; readonly ports?: readonly string[] };
  function between(entries: readonly Entry[], seen: Snapshot, { inFlight = [], ports }: Given = {}) {
    // By default every port is there.
    const there = ports?.map((name) => portName(name));
    const own = {
      host: "h1",
      entries: entriesOf(...entries),
      inFlight: new Set(inFlight),
      ports: there === undefined ? EVERY : new Set(there),
    };
    const { register, release, detach } = disagreement(seen, own);
    return { register: register.map(({ name }) => name), release, detach };
  }
  const NOTHING = { register: [], release: [], detach: [] };

  test("agree on what both have, and on what neither has", () => {
    assert.deepEqual(between([], snapshotWith()), NOTHING);
    assert.deepEqual(between([entry(WEB)], snapshotWith(WEB)), NOTHING);
    assert.deepEqual(between([entry(WIDE)], snapshotWith(WIDE)), NOTHING);
    assert.deepEqual(between([entry(WEB)], snapshotWith({ ...WEB, name: "web.eth0@h1" })), NOTHING);
    assert.deepEqual(between([], snapshotWith(endpoint("db", { host: "h2" }))), NOTHING);
  });

  test("a local endpoint that the server lacks is registered; a global one is gone, if that word is newer", () => {
    assert.deepEqual(between([entry(WEB)], snapshotWith()), { ...NOTHING, register: ["web.eth0"] });
    assert.deepEqual(between([entry(WEB)], snapshotWith({ ...WEB, spec: { ...WEB.spec, host: "h2" } })), {
      ...NOTHING,
      register: ["web.eth0"],
    });
    for (const [revision, isGone] of [
      [REVISION - 1, true],
      [REVISION, true],
      [REVISION + 1, false],
    ] as const) {
      const wide = endpoint("web", { network: "wide" }, revision);
      assert.deepEqual(between([entry(wide)], snapshotWith()), { ...NOTHING, detach: isGone ? ["web.eth0"] : [] });
      // The same of a network that is not there, or is another under the same name.
      const of = endpoint("web", { network: "gone" }, revision);
      assert.deepEqual(between([entry(of)], snapshotWith()), { ...NOTHING, detach: isGone ? ["web.eth0"] : [] });
      const again = entry(endpoint("web", {}, revision), { networkUid: "an older one's" });
      const told = between([again], snapshotWith(WEB));
      assert.deepEqual(told, { ...NOTHING, detach: isGone ? ["web.eth0"] : [] });
    }
    const { networkUid: _, ...older } = entry(WEB);
    assert.deepEqual(between([older], snapshotWith(WEB)), NOTHING);
  });

  test("what the server wants gone is detached, however new", () => {
    for (const own of [WEB, WIDE, endpoint("web", {}, REVISION + 1)]) {
      const known = { ...own, spec: { ...own.spec, detaching: true as const } };
      assert.deepEqual(between([entry(own)], snapshotWith(known)), { ...NOTHING, detach: ["web.eth0"] });
    }
  });

  test("what is on its way, in or out, is left alone", () => {
    const inFlight = ["web.eth0"];
    assert.deepEqual(between([entry(WEB)], snapshotWith(), { inFlight }), NOTHING);
    assert.deepEqual(between([entry(WIDE)], snapshotWith(), { inFlight }), NOTHING);
    assert.deepEqual(between([], snapshotWith(WEB), { inFlight, ports: [] }), NOTHING);
    assert.deepEqual(between([entry(WEB, DETACHING)], snapshotWith()), NOTHING);
    assert.deepEqual(between([entry(WIDE, DETACHING)], snapshotWith()), NOTHING);
  });

  test("the server lets go of what this host does not have, when its port is gone", () => {
    const release = ["web.eth0"];
    assert.deepEqual(between([], snapshotWith(WEB), { ports: [] }), { ...NOTHING, release });
    assert.deepEqual(between([], snapshotWith({ ...WEB, name: "web.eth0@h1" }), { ports: [] }), {
      ...NOTHING,
      release: ["web.eth0@h1"],
    });
    // A port that the journal has lost comes back, unless the server asks for it to go.
    assert.deepEqual(between([], snapshotWith(WEB)), NOTHING);
    const unwanted = { ...WEB, spec: { ...WEB.spec, detaching: true as const } };
    assert.deepEqual(between([], snapshotWith(unwanted)), { ...NOTHING, release });
    assert.deepEqual(between([entry(WEB, DETACHING)], snapshotWith(WEB), { ports: [] }), { ...NOTHING, release });
    assert.deepEqual(between([entry(WEB, DETACHING)], snapshotWith(WEB), { ports: ["web.eth0"] }), NOTHING);
    assert.deepEqual(between([entry(WEB, DETACHING)], snapshotWith(WEB), { ports: ["db.eth0"] }), {
      ...NOTHING,
      release,
    });
  });

  test("an old lease of a name that was attached anew is let go of", () => {
    for (const other of [{ addresses: ["10.2.1.3"] }, { addresses: ["10.2.1.2", "fd02::2"] }, { netns: "/n" }]) {
      const told = between([entry(WEB)], snapshotWith(endpoint("web", other)));
      assert.deepEqual(told, { ...NOTHING, release: ["web.eth0"] }, JSON.stringify(other));
    }
    const moved = between([entry(WEB)], snapshotWith(WIDE));
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
    const told = between([entry(a), entry(b), entry(c)], snapshotWith(unwanted, d, a), { ports: [] });
    assert.deepEqual(told, { register: ["b.eth0"], release: ["d.eth0"], detach: ["c.eth0"] });
  });
});

test("an address is free when its endpoint is detached, its port gone, and the server has let go", () => {
  const free = (
    state: Entry["state"],
    { inFlight = [], ports = [], server = [], released = [] }: Readonly<Partial<Record<string, readonly string[]>>>,
  ) => {
    const snapshot = snapshotWith(...server.map((name) => ({ ...WEB, name })));
    const there = new Set(ports.map((name) => portName(name)));
    const entries = entriesOf(entry(WEB, { state }));
    return forgettable(snapshot, { host: "h1", entries, inFlight: new Set(inFlight), ports: there }, released);
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
