// A join: which credential a host has after it, who may repeat it, and what is recorded with it.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Fault } from "../../../../src/model/fault.ts";
import type { HostClaim } from "../../../../src/model/input.ts";
import { openMemoryStore } from "../../../../src/store/memory.ts";
import { ADMIN_TOKEN, JOIN_TOKEN, openLab } from "../lab.ts";

const isFault = (reason: string) => (error: unknown) => error instanceof Fault && error.reason === reason;
const claim = (n: number, more: Partial<HostClaim> = {}): HostClaim => ({
  host: `h${n}`,
  underlay: `192.168.0.${n}`,
  underlayMtu: 1500,
  hostPrefixes: [],
  ...more,
});
const MINE = "made-by-the-host-0123456789abcdef0123";

describe("the credential of a host that joins", () => {
  for (const [by, token] of [
    ["the join token", JOIN_TOKEN],
    ["an administrator's", ADMIN_TOKEN],
  ] as const)
    test(`with ${by}: the one that it proposes, or one that the server makes`, async () => {
      const { control } = await openLab();
      const proposed = await control.join(claim(1), token, MINE);
      assert.deepEqual([proposed.token, proposed.host.name, proposed.cluster], [MINE, "h1", "lab"]);
      assert.deepEqual(control.identify(MINE), { role: "host", host: "h1" });
      const made = await control.join(claim(2), token);
      assert.notEqual(made.token, MINE);
      assert.deepEqual(control.identify(made.token), { role: "host", host: "h2" });
      assert.deepEqual(control.identify(token).role, token === JOIN_TOKEN ? "join" : "admin");
    });

  test("with its own: that one stays, whatever it proposes", async () => {
    const { control, store } = await openLab();
    await control.join(claim(1), JOIN_TOKEN, MINE);
    const digest = store.secret("token/host/h1");
    const other = "another-one-0123456789abcdef0123456789";
    for (const proposed of [undefined, MINE, other])
      assert.equal((await control.join(claim(1), MINE, proposed)).token, MINE);
    assert.equal(store.secret("token/host/h1"), digest);
    assert.throws(() => control.identify(other), isFault("token-wrong"));
    // Nothing keeps it from a host that joins with it.
    assert.equal((await control.join(claim(2), JOIN_TOKEN, other)).token, other);
  });

  test("a repeated join with what it proposed is the same host's, by whichever right", async () => {
    for (const token of [JOIN_TOKEN, ADMIN_TOKEN]) {
      const { control } = await openLab();
      const first = await control.join(claim(1), token, MINE);
      const again = await control.join(claim(1, { underlay: "192.168.0.9" }), token, MINE);
      assert.deepEqual([again.token, again.host.uid, again.host.spec.underlay], [MINE, first.host.uid, "192.168.0.9"]);
    }
  });

  test("another's name is not had, with or without a proposal, nor with another host's credential", async () => {
    const { control } = await openLab();
    await control.join(claim(1), JOIN_TOKEN, MINE);
    const theirs = await control.join(claim(2), JOIN_TOKEN);
    for (const token of [JOIN_TOKEN, ADMIN_TOKEN, theirs.token])
      for (const proposed of [undefined, "a-new-one-0123456789abcdef0123456789ab"])
        await assert.rejects(control.join(claim(1), token, proposed), isFault("host-claimed"));
    // A host's own credential is its right to its own name alone, also beside another host's proposal.
    await assert.rejects(control.join(claim(1), theirs.token, MINE), isFault("host-claimed"));
    await assert.rejects(control.join(claim(3), theirs.token), isFault("host-claimed"));
    assert.deepEqual(control.identify(MINE), { role: "host", host: "h1" });
  });

  test("nobody joins without a right, and a proposal is none", async () => {
    const { control } = await openLab();
    await control.join(claim(1), JOIN_TOKEN, MINE);
    for (const token of [undefined, "", "guess"])
      for (const proposed of [undefined, MINE, "new-0123456789abcdef0123456789abcdef"])
        await assert.rejects(control.join(claim(1), token, proposed), isFault("token-wrong"));
  });

  test("of a removed host is no proposal, and says what became of the host", async () => {
    const { control } = await openLab();
    await control.join(claim(1), JOIN_TOKEN, MINE);
    await control.write({ verb: "delete", kind: "host", name: "h1" });
    for (const n of [1, 2]) await assert.rejects(control.join(claim(n), JOIN_TOKEN, MINE), isFault("host-deleted"));
  });

  test("proposed by two at once is the first one's, and what was refused is free again", async () => {
    const { control } = await openLab();
    const both = await Promise.allSettled([1, 2].map((n) => control.join(claim(n), JOIN_TOKEN, MINE)));
    assert.deepEqual(
      both.map((one) => one.status),
      ["fulfilled", "rejected"],
    );
    const other = "another-one-0123456789abcdef0123456789";
    await assert.rejects(control.join(claim(2, { underlay: "no address" }), JOIN_TOKEN, other));
    assert.equal((await control.join(claim(3), JOIN_TOKEN, other)).token, other);
  });
});

describe("a join beside the removal of the host", () => {
  test("leaves no host without a credential, in whichever order", async () => {
    for (const token of [JOIN_TOKEN, MINE]) {
      const lab = await openLab();
      const { control } = lab;
      await control.join(claim(1), JOIN_TOKEN, MINE);
      const remove = () => control.reclaim("h1", { force: true });
      const removed = remove();
      await assert.rejects(control.join(claim(1), token, MINE), isFault("unavailable"));
      await removed;
      assert.deepEqual((await lab.snapshot()).hosts, []);
      await assert.rejects(control.join(claim(1), JOIN_TOKEN, MINE), isFault("host-reclaimed"));
      const other = "another-one-0123456789abcdef0123456789";
      await Promise.all([control.join(claim(1), JOIN_TOKEN, other), remove()]);
      assert.deepEqual((await lab.snapshot()).hosts, []);
    }
  });
});

describe("what is recorded with a join", () => {
  test("the host's prefixes and boot, when they are other ones", async () => {
    const store = openMemoryStore({ cluster: "lab" });
    const written: string[][] = [];
    const commit = store.commit.bind(store);
    store.commit = (commits, secrets) => {
      written.push((secrets ?? []).map(({ key }) => key));
      return commit(commits, secrets);
    };
    const { control } = await openLab(store);
    const last = async (one: HostClaim, token = MINE) => {
      written.length = 0;
      await control.join(one, token, MINE);
      return written.flat().toSorted();
    };
    const facts = { hostPrefixes: ["10.9.0.0/16", "10.8.0.0/16"], bootId: "b1" };
    assert.deepEqual(await last(claim(1, facts), JOIN_TOKEN), [
      "boot/h1",
      "join-tokens",
      "prefixes/h1",
      "token/host/h1",
    ]);
    assert.deepEqual([store.secret("prefixes/h1"), store.secret("boot/h1")], ["10.8.0.0/16 10.9.0.0/16", "b1"]);
    assert.deepEqual(await last(claim(1, { ...facts, underlayMtu: 1400 })), []);
    assert.deepEqual(await last(claim(1, { ...facts, hostPrefixes: ["10.8.0.0/16"] })), ["prefixes/h1"]);
    assert.equal(store.secret("prefixes/h1"), "10.8.0.0/16");
    assert.deepEqual(await last(claim(1, { hostPrefixes: ["10.8.0.0/16"], bootId: "b2" })), ["boot/h1"]);
    assert.equal(store.secret("boot/h1"), "b2");
  });

  test("a name that joins anew is no departed one, and one that is refused stays one", async () => {
    const { control } = await openLab();
    const states = async () => (await control.status()).hosts.map(({ host, state }) => `${host} ${state}`);
    await control.join(claim(1), JOIN_TOKEN, MINE);
    await control.join(claim(2), JOIN_TOKEN);
    await control.reclaim("h1", { force: true });
    const before = await states();
    assert.deepEqual(before, ["h2 suspect", "h1 reclaimed"]);
    await assert.rejects(control.join(claim(1, { underlay: "192.168.0.2" }), JOIN_TOKEN), isFault("host-claimed"));
    assert.deepEqual(await states(), before);
    await control.join(claim(1), JOIN_TOKEN);
    assert.deepEqual(await states(), ["h2 suspect", "h1 suspect"]);
  });

  test("a join that is refused takes nothing of a removal that is on its way to the disk", async () => {
    const store = openMemoryStore({ cluster: "lab" });
    const { control } = await openLab(store);
    for (const n of [1, 2]) await control.join(claim(n), JOIN_TOKEN);
    const commit = store.commit.bind(store);
    store.commit = (...what) => setImmediate().then(() => commit(...what));
    const refused = control.join(claim(3, { underlay: "no address" }), JOIN_TOKEN);
    await Promise.all([control.reclaim("h1", { force: true }), assert.rejects(refused)]);
    await control.reclaim("h2", { force: true });
    assert.deepEqual(
      (await control.status()).hosts.map(({ host, state }) => `${host} ${state}`),
      ["h1 reclaimed", "h2 reclaimed"],
    );
    assert.match(store.secret("departures") ?? "", /"h1".*"h2"/);
  });

  test("another machine in its name is told of until the host joins again", async () => {
    const { control } = await openLab();
    const at = (bootId: string, n: number) => claim(1, { bootId, underlay: `192.168.0.${n}` });
    await control.join(at("first", 1), JOIN_TOKEN, MINE);
    await assert.rejects(control.join(at("copy", 9), MINE), isFault("host-cloned"));
    const cloned = async () => (await control.conditions()).filter(({ reason }) => reason === "host-cloned").length;
    assert.equal(await cloned(), 1);
    await assert.rejects(control.join(at("copy", 9), MINE), isFault("host-cloned"));
    assert.equal(await cloned(), 1, "a join that is refused is none");
    await control.join(at("first", 1), MINE);
    assert.equal(await cloned(), 0);
  });

  test("a host that joins is heard, also before its first report", async () => {
    const { control, time } = await openLab();
    const at = (bootId: string, n: number) => claim(1, { bootId, underlay: `192.168.0.${n}` });
    await control.join(at("first", 1), JOIN_TOKEN, MINE);
    time.now += 600_000;
    await control.join(at("second", 1), MINE);
    await assert.rejects(control.join(at("copy", 9), MINE), isFault("host-cloned"));
    time.now += 600_000;
    await control.join(at("elsewhere", 9), MINE);
  });
});
