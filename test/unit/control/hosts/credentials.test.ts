// Whose a token is, what of it the store has, and who may have which.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { Fault } from "../../../../src/model/fault.ts";
import { openMemoryStore } from "../../../../src/store/memory.ts";
import { Credentials, adminSecret, hostSecret } from "../../../../src/control/hosts/credentials.ts";
import { joinTokensOf } from "./joinTokensOf.ts";
import { Departures } from "../../../../src/control/hosts/departures.ts";

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const isFault =
  (reason: string, text = /./) =>
  (error: unknown) =>
    error instanceof Fault && error.reason === reason && text.test(error.message);

/** A server with both roles, the hosts h1 and h2, and h3, which was deleted. */
async function server() {
  const store = openMemoryStore();
  await store.commit([], [adminSecret("A"), hostSecret("h1", "one"), hostSecret("h2", "two")]);
  const joinTokens = joinTokensOf(store);
  await joinTokens.setFileToken("J");
  const departures = new Departures(store);
  const gone = { host: "h3", underlay: "192.0.2.3", atMs: 5, how: "deleted", by: "person" } as const;
  await store.commit([], departures.note({ ...gone, blocks: [], endpoints: [] }, sha256("three")));
  return { store, departures, credentials: new Credentials(store, departures, joinTokens, ["h1", "h2", "none yet"]) };
}

const WHOSE = {
  A: { role: "admin" },
  J: { role: "join", token: "default" },
  one: { role: "host", host: "h1" },
  two: { role: "host", host: "h2" },
} as const;

test("what is stored of a token is its digest, under the name of its owner", () => {
  assert.deepEqual(adminSecret("x"), { key: "token/admin", value: sha256("x") });
  assert.deepEqual(hostSecret("h1", "z"), { key: "token/host/h1", value: sha256("z") });
  assert.deepEqual(hostSecret("h1", undefined), { key: "token/host/h1", value: undefined });
});

describe("who has a token", () => {
  test("a host, a role, nobody any more, or nobody; and each case is told apart", async () => {
    const { credentials } = await server();
    for (const [token, owner] of Object.entries(WHOSE)) assert.deepEqual(credentials.identify(token), owner);
    assert.throws(() => credentials.identify(undefined), isFault("token-wrong", /carries no token/));
    assert.throws(() => credentials.identify(""), isFault("token-wrong", /carries no token/));
    assert.throws(() => credentials.identify("three"), isFault("host-deleted", /"h3"/));
    for (const token of ["x", "a", " A", "On", "one ", sha256("A"), sha256("one"), "h1"])
      assert.throws(() => credentials.identify(token), isFault("token-wrong", /does not know/), token);
  });

  test("a server without tokens lets nobody in", () => {
    const store = openMemoryStore();
    const credentials = new Credentials(store, new Departures(store), joinTokensOf(store), []);
    for (const token of [undefined, "", "A", "undefined"])
      assert.throws(() => credentials.identify(token), isFault("token-wrong"));
    assert.deepEqual([credentials.has("admin"), credentials.has("join")], [false, false]);
  });

  test("each role has its token or has none", async () => {
    for (const role of ["admin", "join"] as const) {
      const store = openMemoryStore();
      if (role === "admin") await store.commit([], [adminSecret("x")]);
      else await joinTokensOf(store).setFileToken("x");
      const credentials = new Credentials(store, new Departures(store), joinTokensOf(store), []);
      assert.deepEqual([credentials.has("admin"), credentials.has("join")], [role === "admin", role === "join"]);
      assert.equal(credentials.identify("x").role, role);
    }
  });

  test("a host that the server does not have has no token, whatever the store says", async () => {
    const { store } = await server();
    const credentials = new Credentials(store, new Departures(store), joinTokensOf(store), ["h1"]);
    assert.throws(() => credentials.identify("two"), isFault("token-wrong"));
  });

  test("what the store says of a host's token counts from then on: a first, another, or none", async () => {
    const { store, credentials } = await server();
    const admitted = async (token: string | undefined) => {
      await store.commit([], [hostSecret("h1", token)]);
      credentials.admit("h1");
    };
    await admitted("new");
    assert.deepEqual(credentials.identify("new"), WHOSE.one);
    assert.throws(() => credentials.identify("one"), isFault("token-wrong"));
    assert.deepEqual(credentials.identify("two"), WHOSE.two);
    await admitted(undefined);
    for (const token of ["one", "new"]) assert.throws(() => credentials.identify(token), isFault("token-wrong"));
    assert.deepEqual(credentials.identify("two"), WHOSE.two);
    await admitted("one");
    assert.deepEqual(credentials.identify("one"), WHOSE.one);
  });

  test("a token that a host and a role have gives the fewer rights", async () => {
    const { store, credentials } = await server();
    await store.commit([], [hostSecret("h2", "A")]);
    credentials.admit("h2");
    assert.deepEqual(credentials.identify("A"), WHOSE.two);
  });
});

test("the store's record of a host, and whether a token is the one", async () => {
  const { credentials } = await server();
  assert.deepEqual([credentials.digestOf("h1"), credentials.digestOf("h9")], [sha256("one"), undefined]);
  const rows = [
    ["h1", "one", true],
    ["h1", "two", false],
    ["h1", "", false],
    ["h2", "two", true],
    ["h9", "one", false],
    ["one", "h1", false],
  ] as const;
  for (const [host, token, is] of rows) assert.equal(credentials.isTokenOf(host, token), is, `${host} ${token}`);
});

test("only a token of a host that was removed is refused as such", async () => {
  const { credentials } = await server();
  assert.throws(() => credentials.refuseDeparted("three"), isFault("host-deleted"));
  for (const token of ["one", "A", "x", ""]) credentials.refuseDeparted(token);
});

describe("a token that a host proposes", () => {
  test("is another's if a role or another host has it, or is about to get it", async () => {
    const { credentials } = await server();
    credentials.take("h4", "four");
    const rows = [
      ["h1", "one", false],
      ["h1", "two", true],
      ["h2", "one", true],
      ["h1", "A", true],
      ["h1", "J", true],
      ["h1", "four", true],
      ["h4", "four", false],
      ["h1", "free", false],
      ["h9", "free", false],
    ] as const;
    for (const [host, token, is] of rows) {
      assert.equal(credentials.isAnothers(host, token), is, `${host} ${token}`);
      const take = () => credentials.take(host, token);
      if (is) assert.throws(take, isFault("token-taken", /is already in use/), `${host} ${token}`);
      else {
        take();
        if (token === "free") credentials.endReservation(token);
      }
    }
  });

  test("is reserved for it until that is settled, and no refusal reserves anything", async () => {
    const { credentials } = await server();
    credentials.take("h4", "four");
    credentials.take("h5", "five");
    assert.throws(() => credentials.take("h6", "four"), isFault("token-taken"));
    credentials.endReservation("four");
    assert.equal(credentials.isAnothers("h6", "four"), false);
    assert.equal(credentials.isAnothers("h6", "five"), true, "it is another one's");
    credentials.take("h6", "four");
    assert.equal(credentials.isAnothers("h4", "four"), true);
    // What is reserved is nobody's yet.
    assert.throws(() => credentials.identify("four"), isFault("token-wrong"));
  });
});

test("a role's token is neither a host's nor the other role's; it may be its own again", async () => {
  const { credentials } = await server();
  const rows = [
    ["admin", "A", true],
    ["admin", "J", false],
    ["admin", "one", false],
    ["admin", "new", true],
    ["join", "J", true],
    ["join", "A", false],
    ["join", "two", false],
    ["join", "new", true],
  ] as const;
  for (const [role, token, isFree] of rows) {
    const check = () => credentials.checkRole(role, token);
    if (isFree) check();
    else assert.throws(check, isFault("token-taken", new RegExp(`^the ${role} token is already in use`)));
  }
  const fault = (role: "admin" | "join", token: string) => {
    try {
      credentials.checkRole(role, token);
    } catch (error) {
      return error instanceof Fault ? `${error.detail.where} ${error.detail.why}` : "";
    }
    return "";
  };
  assert.match(fault("admin", "J"), /^admin\.token it is the join token/);
  assert.match(fault("join", "A"), /^join\.token it is the admin token/);
});
