// Join tokens: how each of them ends, that two joins at once never use one use twice, and what is said of them.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { JoinTokenParts } from "../../../../src/control/hosts/joinTokens.ts";
import { type Caller, SERVER } from "../../../../src/control/write.ts";
import { Fault } from "../../../../src/model/fault.ts";
import { openMemoryStore } from "../../../../src/store/memory.ts";
import { JOIN_TOKEN, openLab } from "../lab.ts";
import { joinTokensOf } from "./joinTokensOf.ts";

const isFault =
  (reason: string, text = /./) =>
  (error: unknown) =>
    error instanceof Fault && error.reason === reason && text.test(error.message);
const claim = (host: string) => ({ host, underlay: `192.168.0.${host.slice(1)}`, underlayMtu: 1500, hostPrefixes: [] });
const admin: Caller = { identity: { role: "admin" }, credential: "socket", from: "unix" };
const MINUTE = 60_000;

/** As a host joins: with what it found in its token file, and a key of its own. */
async function joining() {
  const lab = await openLab();
  const create = async (request: { name: string; uses?: number; expiresInSeconds?: number }) =>
    (await lab.control.joinTokens.create(admin, request)).token;
  const join = async (host: string, token: string, key = `key of ${host}`) =>
    lab.control.join(claim(host), token, key, lab.control.caller(token, "192.0.2.1"));
  const shown = (name: string) => lab.control.joinTokens.list().find((one) => one.name === name);
  return { ...lab, create, join, shown };
}

describe("a join token ends", () => {
  test("with its uses: a use is a new key of a host, not a join that is repeated", async () => {
    const { create, join, shown, control } = await joining();
    const token = await create({ name: "rack7", uses: 2 });
    await join("h1", token);
    for (let again = 0; again < 3; again++) await join("h1", token);
    await join("h2", token);
    await join("h1", token);
    const said = /"rack7" lets nobody in: it has been used 2 times; .*weft host token create/;
    await assert.rejects(join("h3", token), isFault("token-wrong", said));
    const { used, uses, state, hosts } = shown("rack7") ?? assert.fail("not listed");
    assert.deepEqual([used, uses, state, hosts.map(({ host }) => host)], [2, 2, "used up", ["h1", "h2"]]);
    // A join that is refused for another reason uses nothing.
    const other = await create({ name: "other", uses: 1 });
    await assert.rejects(join("h1", other, "another key"), isFault("host-claimed"));
    assert.equal(shown("other")?.used, 0);
    await control.write({ verb: "delete", kind: "host", name: "h1", force: true });
    await join("h1", other, "another key");
    assert.equal(shown("other")?.state, "used up");
  });

  test("with its time", async () => {
    const { create, join, time, shown } = await joining();
    const token = await create({ name: "short", expiresInSeconds: 60 });
    time.now += MINUTE - 1;
    await join("h1", token);
    time.now += 1;
    await assert.rejects(
      join("h2", token),
      isFault("token-wrong", /"short" lets nobody in: it has expired at 1970-01-/),
    );
    assert.equal(shown("short")?.state, "expired");
    const usual = await create({ name: "usual" });
    assert.equal((shown("usual")?.expiresMs ?? 0) - time.now, 86_400_000);
    await join("h2", usual);
  });

  test("by a person, and is not valid again because the server's file has it", async () => {
    const { create, join, control } = await joining();
    const ended: string[] = [];
    control.joinTokens.onEnded(() => ended.push("ended"));
    const token = await create({ name: "rack7" });
    await join("h1", token);
    await control.joinTokens.end(admin, "rack7");
    assert.throws(() => control.identify(token), isFault("token-wrong", /"rack7" lets nobody in: it was ended at /));
    assert.deepEqual([control.joinTokens.hasEnded(token), ended.length], [true, 1]);
    await assert.rejects(control.joinTokens.end(admin, "rack7"), isFault("not-found", /weft host token list/));
    await control.joinTokens.end(admin, "default");
    assert.equal(control.hasToken("join"), false);
    assert.throws(() => control.identify(JOIN_TOKEN), isFault("token-wrong", /"default" lets nobody in/));
    await control.setToken("join", "next-0123456789abcdef0123456789abcdef");
    assert.deepEqual(control.identify("next-0123456789abcdef0123456789abcdef"), { role: "join", token: "default" });
    assert.throws(() => control.identify(JOIN_TOKEN), isFault("token-wrong", /it was ended/));
  });

  test("and nobody who has not got it learns more than that it is wrong", async () => {
    const { create, control } = await joining();
    const token = await create({ name: "rack7" });
    await control.joinTokens.end(admin, "rack7");
    for (const guess of [`${token}x`, token.slice(0, -1), "rack7", "default", "weft_join_", ""])
      assert.throws(
        () => control.identify(guess),
        (error) => error instanceof Fault && error.reason === "token-wrong" && !error.message.includes("rack7"),
      );
  });
});

test("of joins at once, as many get in as the token has uses", async () => {
  const { create, join, shown, store } = await joining();
  const token = await create({ name: "rack7", uses: 3 });
  const tried = await Promise.allSettled(Array.from({ length: 8 }, (_, n) => join(`h${n + 1}`, token)));
  assert.equal(tried.filter(({ status }) => status === "fulfilled").length, 3);
  for (const one of tried) if (one.status === "rejected") assert.ok(isFault("token-wrong", /3 times/)(one.reason));
  assert.equal(shown("rack7")?.used, 3);
  // And as the next server of this store sees it.
  assert.equal(
    joinTokensOf(store)
      .list()
      .find(({ name }) => name === "rack7")?.used,
    3,
  );
});

test("a use counts only when it is durable", async () => {
  const store = openMemoryStore();
  const good = joinTokensOf(store);
  const { token } = await good.create(SERVER, { name: "one", uses: 1 });
  const use = good.using(token, "h1");
  use.holds();
  use.secrets();
  assert.throws(() => good.using(token, "h2").holds(), isFault("token-wrong"));
  // The disk refuses it.
  use.over();
  use.over();
  good.using(token, "h2").holds();
  const broken: Partial<JoinTokenParts> = {
    committer: {
      submit: async (job) => {
        job.holds?.();
        job.secrets?.({ changes: [], created: false });
        throw new Fault("unavailable", { what: "the disk is full", fix: "free some space" });
      },
    },
  };
  const bad = joinTokensOf(store, broken);
  await assert.rejects(bad.create(SERVER, { name: "two" }), isFault("unavailable"));
  await assert.rejects(bad.end(SERVER, "one"), isFault("unavailable"));
  assert.deepEqual(
    bad.list().map(({ name }) => name),
    ["one"],
  );
});

test("names are unique, the list is bounded, and what expired a week ago makes room", async () => {
  const { create, time, control } = await joining();
  await create({ name: "a" });
  await assert.rejects(create({ name: "a" }), isFault("name-taken", /weft host token delete a/));
  await assert.rejects(create({ name: "default" }), isFault("name-taken"));
  for (let n = control.joinTokens.list().length; n < 100; n++) await create({ name: `n${n}` });
  await assert.rejects(create({ name: "more" }), isFault("exhausted"));
  time.now += 8 * 86_400_000 + 1;
  await create({ name: "a" });
  assert.deepEqual(
    control.joinTokens.list().map(({ name }) => name),
    ["a", "default"],
  );
});

test("which of them name a CA that is no more, or soon will be", async () => {
  const pins = { active: "A", previous: undefined as string | undefined };
  const authority = {
    get pin() {
      return pins.active;
    },
    show: () => (pins.previous === undefined ? {} : { previous: { pin: pins.previous } }) as never,
  };
  const tokens = joinTokensOf(openMemoryStore(), { authority });
  const states = () => Object.fromEntries(tokens.list().map(({ name, ca }) => [name, ca]));
  await tokens.setFileToken("f");
  assert.match((await tokens.create(SERVER, { name: "old" })).token, /^weft_join_r+1\.A$/);
  assert.deepEqual(states(), { default: "current", old: "current" });
  Object.assign(pins, { active: "B", previous: "A" });
  await tokens.create(SERVER, { name: "new" });
  assert.deepEqual(states(), { default: "current", new: "current", old: "previous" });
  pins.previous = undefined;
  assert.deepEqual(states(), { default: "current", new: "current", old: "dropped" });
});

test("the audit log names the token that let a host in, and who made and ended it; values are nowhere", async () => {
  const { create, join, control, store } = await joining();
  const token = await create({ name: "rack7", uses: 1 });
  await join("h1", token);
  await join("h2", token).catch(() => undefined);
  await control.joinTokens.end(admin, "rack7");
  await control.audit.flush(true);
  const { items } = await control.audit.list({ order: "oldest", limit: 100, isFull: false });
  const said = items.map(({ who, credential, verb, object, result }) =>
    [who, credential, verb, object ?? "", result].join(" | "),
  );
  const expected = [
    "admin | socket | make-join-token | jointoken/rack7 | done",
    "join | join token rack7 | join | host/h1 | done",
    "join | join token rack7 | join | host/h2 | token-wrong",
    "admin | socket | end-join-token | jointoken/rack7 | done",
  ];
  for (const one of expected) assert.ok(said.includes(one), `${one}\n${said.join("\n")}`);
  assert.ok(!JSON.stringify([items, control.joinTokens.list(), store.secret("join-tokens")]).includes(token));
});
