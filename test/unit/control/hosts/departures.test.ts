// What is remembered of hosts that are no longer: a line for people, and an answer to whoever shows the token.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Change, Resource } from "../../../../src/model/resource.ts";
import { openMemoryStore } from "../../../../src/store/memory.ts";
import { joinTokensOf } from "./joinTokensOf.ts";
import { Credentials, adminSecret, hostSecret } from "../../../../src/control/hosts/credentials.ts";
import { type Departure, Departures, departureOf } from "../../../../src/control/hosts/departures.ts";

const departure = (host: string, more: Partial<Departure> = {}): Departure => ({
  host,
  underlay: "192.168.0.1",
  atMs: 5000,
  how: "deleted",
  by: "person",
  blocks: [],
  endpoints: [],
  ...more,
});

test("one line per name, the newest last, at most two hundred; what a token says stays", async () => {
  const store = openMemoryStore();
  const departures = new Departures(store);
  for (let n = 0; n < 201; n++) await store.commit([], departures.note(departure(`h${n}`), `digest-${n}`));
  assert.deepEqual([departures.list.length, departures.list[0]?.host], [200, "h1"]);
  await store.commit([], departures.note(departure("h5", { atMs: 9000 }), undefined));
  assert.deepEqual(
    [departures.list.length, departures.list.at(-1)?.host, departures.list.at(-1)?.atMs],
    [200, "h5", 9000],
  );
  assert.equal(departures.list.filter(({ host }) => host === "h5").length, 1);
  assert.deepEqual(new Departures(store).list, departures.list, "as the store has it");
  assert.match(departures.faultOf("digest-0")?.message ?? "", /host "h0" was deleted/);
  assert.equal(departures.faultOf(""), undefined, "without a token nothing is said to anybody");
  assert.equal(departures.faultOf("digest-999"), undefined);
  await store.commit([], departures.forget("h5"));
  assert.deepEqual(departures.forget("h5"), []);
  assert.deepEqual(departures.forget("nobody"), []);
  assert.equal(
    departures.list.some(({ host }) => host === "h5"),
    false,
  );
  assert.deepEqual(new Departures(store).list, departures.list);
  assert.match(departures.faultOf("digest-5")?.message ?? "", /host "h5" was deleted at 1970-01-01T00:00:05/);
});

test("what did not become durable has not happened", async () => {
  const store = openMemoryStore();
  const departures = new Departures(store);
  await store.commit([], departures.note(departure("h1"), "one"));
  departures.note(departure("h2"), "two");
  departures.forget("h1");
  departures.reload();
  assert.deepEqual(
    departures.list.map(({ host }) => host),
    ["h1"],
  );
});

test("how a host went is in the fault, with what it had", async () => {
  const store = openMemoryStore();
  const departures = new Departures(store);
  const blocks = ["10.1.0.0/24", "fd00::/80"];
  await store.commit([], departures.note(departure("h1", { how: "reclaimed", blocks }), "one"));
  await store.commit([], departures.note(departure("h2"), "two"));
  const [one, two] = [departures.faultOf("one"), departures.faultOf("two")];
  assert.deepEqual([one?.reason, two?.reason], ["host-reclaimed", "host-deleted"]);
  assert.match(one?.message ?? "", /h1" was reclaimed .*what it had \(10\.1\.0\.0\/24, fd00::\/80\) may belong/);
  assert.match(two?.message ?? "", /what it had may belong/);
});

test("what a host had: its own blocks and endpoints among what is removed, twenty names at most", () => {
  const made = (kind: "block" | "endpoint" | "vtep", name: string, host: string) =>
    ({ kind, name, uid: name, revision: 1, spec: { host, cidr: `${name}/24` } }) as unknown as Resource;
  const all = [
    made("block", "10.1.0.0", "h1"),
    made("block", "10.1.1.0", "h2"),
    made("vtep", "v.h1", "h1"),
    ...Array.from({ length: 21 }, (_, n) => made("endpoint", `e${n}`, "h1")),
    made("endpoint", "other", "h2"),
  ];
  const known = new Map(all.map((one) => [`${one.kind}/${one.name}`, one]));
  const [first = assert.fail()] = all;
  const changes: Change[] = [
    ...all.map(({ kind, name }): Change => ({ remove: `${kind}/${name}` })),
    { remove: "block/unknown" },
    { put: first },
  ];
  const had = departureOf({ name: "h1", underlay: "192.168.0.1" }, changes, (key) => known.get(key), {
    atMs: 7,
    how: "reclaimed",
    by: "server",
  });
  assert.deepEqual(had, {
    ...departure("h1", { atMs: 7, how: "reclaimed", by: "server", blocks: ["10.1.0.0/24"] }),
    endpoints: Array.from({ length: 20 }, (_, n) => `e${n}`),
  });
});

test("who has which token, while it is given and afterwards", async () => {
  const store = openMemoryStore();
  await store.commit([], [adminSecret("the-admin"), hostSecret("h1", "the-first"), hostSecret("h2", "second")]);
  const credentials = new Credentials(store, new Departures(store), joinTokensOf(store), ["h1", "h2", "h3"]);
  assert.deepEqual([credentials.has("admin"), credentials.has("join")], [true, false]);
  assert.deepEqual(credentials.identify("the-first"), { role: "host", host: "h1" });
  assert.deepEqual(credentials.identify("second"), { role: "host", host: "h2" });
  assert.deepEqual(
    ["the-first", "second", "other"].map((token) => credentials.isTokenOf("h1", token)),
    [true, false, false],
  );
  assert.equal(credentials.isTokenOf("h3", "the-first"), false);
  // While it is being given to one, it is no other's; if nothing comes of it, it is free again.
  credentials.take("h3", "new");
  assert.deepEqual([credentials.isAnothers("h3", "new"), credentials.isAnothers("h4", "new")], [false, true]);
  assert.throws(() => credentials.take("h4", "new"), { reason: "token-taken" });
  credentials.endReservation("new");
  credentials.take("h4", "new");
  for (const token of ["the-admin", "the-first"])
    assert.throws(() => credentials.take("h4", token), { reason: "token-taken" });
  // Another one, and none.
  await store.commit([], [hostSecret("h1", "the-next")]);
  credentials.admit("h1");
  assert.throws(() => credentials.identify("the-first"), { reason: "token-wrong" });
  assert.deepEqual(credentials.identify("the-next"), { role: "host", host: "h1" });
  await store.commit([], [hostSecret("h1", undefined)]);
  credentials.admit("h1");
  assert.throws(() => credentials.identify("the-next"), { reason: "token-wrong" });
  assert.deepEqual(credentials.identify("second"), { role: "host", host: "h2" });
  await joinTokensOf(store).setFileToken("to-join");
  for (const [role, token] of [
    ["admin", "to-join"],
    ["join", "the-admin"],
    ["join", "second"],
    ["admin", "second"],
  ] as const)
    assert.throws(() => credentials.checkRole(role, token), { reason: "token-taken" });
  for (const [role, token] of [
    ["admin", "the-admin"],
    ["join", "to-join"],
    ["join", "free"],
  ] as const)
    credentials.checkRole(role, token);
});
