// Who is let in: by password, login and token; for how long; and what ends them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault, type Reason } from "../../../../src/model/fault.ts";
import { openMemoryStore } from "../../../../src/store/memory.ts";
import type { Store } from "../../../../src/store/store.ts";
import { Control } from "../../../../src/control/control.ts";
import type { Asker } from "../../../../src/control/logins/logins.ts";
import { ADMIN_TOKEN } from "../lab.ts";

const CHEAP = { log2: 4, r: 8, p: 1 };
const PASSWORD = "correct horse battery";
const HOUR = 3_600_000;
const BOSS: Asker = { identity: { role: "admin" }, credential: "admin token", from: "unix" };

async function open(store: Store = openMemoryStore(), time = { now: 1_000_000, offset: 0 }, cost = CHEAP) {
  let count = time.now;
  const clock = {
    nowMs: () => time.now + time.offset,
    monotonicMs: () => time.now,
    sleep: () => new Promise<void>(() => {}),
  };
  const entropy = { uid: () => `uid-${++count}`, token: () => `random-${++count}-0123456789abcdef` };
  const control = await Control.open(store, { clock, entropy, logins: { cost } });
  await control.setToken("admin", ADMIN_TOKEN);
  const { logins } = control;
  const put = (name: string, enabled = true) =>
    control.write({ verb: "put", kind: "user", name, spec: { group: "staff", enabled } });
  const login = (user = "alice", password = PASSWORD, from = "10.0.0.1") => logins.login({ user, password }, from);
  /** Who asks with this value. */
  const by = (value: string): Asker => ({
    ...control.caller(value, "10.0.0.1"),
    proof: logins.find(value)?.credential ?? assert.fail("not known"),
  });
  return { control, logins, store, time, put, login, by };
}

/** With alice, who has a password. */
async function withAlice() {
  const lab = await open();
  await lab.control.write({ verb: "put", kind: "usergroup", name: "staff", spec: {} });
  for (const name of ["alice", "bob"]) await lab.put(name);
  await lab.logins.setPassword(BOSS, "alice", { password: PASSWORD });
  return lab;
}
type Lab = Awaited<ReturnType<typeof withAlice>>;

const isFault =
  (reason: Reason, text = /./) =>
  (error: unknown) => {
    assert.ok(error instanceof Fault, String(error));
    assert.equal(error.reason, reason, error.message);
    assert.match(error.message, text);
    assert.ok(!error.message.includes(PASSWORD));
    return true;
  };

test("the password makes a login, which says who asks until it expires", async () => {
  const { control, login, time } = await withAlice();
  const { token, user, name, expiresMs } = await login();
  assert.deepEqual([user, expiresMs], ["alice", time.now + 12 * HOUR]);
  const uid = (await control.find("user", "alice", { role: "admin" }))?.uid;
  assert.deepEqual(control.caller(token, "10.0.0.1"), {
    identity: { role: "user", user: "alice" },
    uid,
    credential: `login ${name}`,
    from: "10.0.0.1",
  });
  time.offset = 12 * HOUR;
  assert.throws(() => control.identify(token), isFault("token-wrong", /has expired.*weft login/));
});

test("a wrong password, an unknown user and a user without a password are answered alike", async () => {
  const { login, logins } = await withAlice();
  const answers: string[] = [];
  for (const [user, password] of [
    ["alice", "correct horse batterz"],
    ["nobody", PASSWORD],
    ["bob", PASSWORD],
    ["bob", ""],
    ["toString", PASSWORD],
  ] as const)
    await assert.rejects(login(user, password, `10.0.1.${answers.length}`), (error) => {
      answers.push(String(error));
      return isFault("password-wrong")(error);
    });
  assert.equal(new Set(answers).size, 1);
  assert.deepEqual(logins.list("alice"), []);
});

test("who does not exist is refused as late as who does", async () => {
  const { login } = await withAlice();
  const lab = await open(openMemoryStore(), undefined, { log2: 13, r: 8, p: 1 });
  await lab.control.write({ verb: "put", kind: "usergroup", name: "staff", spec: {} });
  await lab.put("alice");
  await lab.logins.setPassword(BOSS, "alice", { password: PASSWORD });
  const spent = async (user: string) => {
    const times: number[] = [];
    for (let n = 0; n < 5; n++) {
      const start = performance.now();
      await assert.rejects(lab.login(user, "wrong password", "unix"));
      times.push(performance.now() - start);
    }
    return times.toSorted((a, b) => a - b)[2] ?? 0;
  };
  const [known, unknown] = [await spent("alice"), await spent("nobody")];
  // Without a decoy it would be a hundredth.
  assert.ok(unknown > known / 3 && known > unknown / 3, `${known} ms and ${unknown} ms`);
  await login();
});

test("after ten wrong ones the right one is not even tried, from addresses that are not the user's", async () => {
  const { login, time, logins } = await withAlice();
  await login("alice", PASSWORD, "192.168.0.7");
  for (let n = 0; n < 10; n++) await assert.rejects(login("alice", "wrong", `10.0.1.${n}`), isFault("password-wrong"));
  await assert.rejects(login(), (error) => {
    assert.ok(error instanceof Fault && error.detail.retryAfterSeconds === 120);
    return isFault("too-many-guesses", /tried in 2m/)(error);
  });
  await login("alice", PASSWORD, "192.168.0.7");
  await logins.setPassword(BOSS, "alice", { password: PASSWORD });
  await login("alice", PASSWORD, "unix");
  time.now += 120_000;
  await login();
});

test("the limits hold over a restart", async () => {
  const { login, store, time } = await withAlice();
  for (let n = 0; n < 10; n++, time.now += 6000) await assert.rejects(login("alice", "wrong", `10.0.1.${n}`));
  for (let n = 0; n < 1; n++) await assert.rejects(login("alice", "wrong", "10.0.2.1"), /./);
  const again = await open(store, { now: time.now, offset: 0 });
  await assert.rejects(again.login(), isFault("too-many-guesses"));
});

test("many at the same time are no way around the limits", async () => {
  const { login } = await withAlice();
  const all = await Promise.allSettled(Array.from({ length: 30 }, (_, n) => login("alice", "wrong", `10.0.1.${n}`)));
  const reasons = all.map((one) => (one.status === "rejected" ? (one.reason as Fault).reason : "in"));
  assert.equal(reasons.filter((reason) => reason === "password-wrong").length, 10);
  assert.equal(reasons.filter((reason) => reason === "too-many-guesses").length, 20);
});

test("the store has no password, login or token, and a restart ends none", async () => {
  const { login, logins, store, time, by } = await withAlice();
  const { token } = await login();
  const made = await logins.createToken(by(token), { name: "ci" });
  const text = store.secret("logins/user/alice") ?? "";
  for (const secret of [PASSWORD, token, made.token, token.slice(11), made.token.slice(11)])
    assert.ok(!text.includes(secret));
  const { control } = await open(store, time);
  for (const each of [token, made.token]) assert.deepEqual(control.identify(each), { role: "user", user: "alice" });
});

test("a disabled user's logins and tokens are dead at once, and live again with the user", async () => {
  const { control, login, logins, put, by } = await withAlice();
  const { token } = await login();
  const made = await logins.createToken(by(token), { name: "ci" });
  await put("alice", false);
  for (const each of [token, made.token])
    assert.throws(() => control.identify(each), isFault("token-wrong", /its user is disabled/));
  await assert.rejects(login(), isFault("forbidden", /disabled/));
  await assert.rejects(login("alice", "wrong"), isFault("password-wrong"));
  await put("alice");
  for (const each of [token, made.token]) assert.deepEqual(control.identify(each), { role: "user", user: "alice" });
});

test("a deleted user's are dead for good, also for another user of the name", async () => {
  const { control, login, logins, put, store, time, by } = await withAlice();
  const { token } = await login();
  const made = await logins.createToken(by(token), { name: "ci" });
  await control.write({ verb: "delete", kind: "user", name: "alice" });
  assert.equal(store.secret("logins/user/alice"), undefined);
  for (const each of [token, made.token])
    assert.throws(() => control.identify(each), isFault("token-wrong", /its user was deleted/));
  await put("alice");
  assert.throws(() => control.identify(token), isFault("token-wrong"));
  await assert.rejects(login(), isFault("password-wrong"));
  assert.deepEqual(logins.list("alice"), []);
  assert.throws(() => logins.list("nobody"), isFault("not-found"));
  assert.throws(() => control.identify(made.token), isFault("token-wrong"));
  const later = await open(store, time);
  assert.throws(() => later.control.identify(token), isFault("token-wrong", /does not know/));
});

test("another password ends logins and no token; the former one is worth nothing", async () => {
  const { control, login, logins, by } = await withAlice();
  const { token } = await login();
  const made = await logins.createToken(by(token), { name: "ci" });
  const change = (current: string | undefined) =>
    logins.setPassword(by(token), "alice", {
      password: "another four words",
      ...(current === undefined ? {} : { current }),
    });
  for (const wrong of [undefined, "", "wrong"]) await assert.rejects(change(wrong), isFault("password-wrong"));
  const bad = { password: "short", current: PASSWORD };
  await assert.rejects(logins.setPassword(by(token), "alice", bad), isFault("password-unfit"));
  await change(PASSWORD);
  assert.throws(() => control.identify(token), isFault("token-wrong"));
  assert.deepEqual(control.identify(made.token), { role: "user", user: "alice" });
  await assert.rejects(login(), isFault("password-wrong"));
  await login("alice", "another four words");
});

test("one user neither changes the password of another nor makes tokens for it", async () => {
  const { login, logins, by } = await withAlice();
  const alice = by((await login()).token);
  const asked = { password: "another four words", current: PASSWORD };
  await assert.rejects(logins.setPassword(alice, "bob", asked), isFault("forbidden"));
  await assert.rejects(logins.createToken(alice, { name: "x", user: "bob" }), isFault("forbidden"));
  await assert.rejects(
    logins.createToken({ ...BOSS, identity: { role: "host", host: "h1" } }, { name: "x" }),
    isFault("forbidden"),
  );
  await logins.createToken(BOSS, { name: "x", user: "bob" });
  assert.deepEqual(
    logins.list("bob").map(({ name, user }) => [name, user]),
    [["x", "bob"]],
  );
});

test("a token is shown once, has a name of its own, expires, and ends when it is told to", async () => {
  const { control, login, logins, time, by } = await withAlice();
  const alice = by((await login()).token);
  const made = await logins.createToken(alice, { name: "ci", expiresInSeconds: 3600 });
  assert.match(made.token, /^weft_token_/);
  assert.deepEqual([made.user, made.expiresMs], ["alice", time.now + HOUR]);
  await assert.rejects(logins.createToken(alice, { name: "ci" }), isFault("name-taken"));
  assert.ok(!JSON.stringify(logins.list("alice")).includes(made.token.slice(11)));
  const other = await logins.createToken(alice, { name: "other" });
  await logins.end(BOSS, "alice", "other");
  assert.throws(() => control.identify(other.token), isFault("token-wrong"));
  await assert.rejects(logins.end(BOSS, "alice", "other"), isFault("not-found"));
  await assert.rejects(logins.end(BOSS, "bob", "ci"), isFault("not-found"));
  time.offset = HOUR;
  assert.throws(() => control.identify(made.token), isFault("token-wrong", /has expired/));
  assert.deepEqual(
    logins.list("alice").map(({ kind }) => kind),
    ["login"],
  );
});

test("a token makes none that can do more or live longer, whatever it asks for", async () => {
  const { login, logins, by } = await withAlice();
  const alice = by((await login()).token);
  const narrowing = { rights: ["use"], networks: ["blue"] } as const;
  const made = await logins.createToken(alice, { name: "ci", expiresInSeconds: 3600, ...narrowing });
  const asker = by(made.token);
  assert.deepEqual(asker.identity, { role: "user", user: "alice", narrowing });
  const child = await logins.createToken(asker, { name: "child" });
  assert.deepEqual([child.narrowing, child.expiresMs], [narrowing, made.expiresMs]);
  for (const more of [{ rights: ["use", "manage"] }, { networks: ["blue", "green"] }, { networks: ["green"] }] as const)
    await assert.rejects(logins.createToken(asker, { name: "more", ...more }), isFault("forbidden", /use of blue/));
  const less = await logins.createToken(asker, { name: "less", rights: [] });
  assert.deepEqual(less.narrowing, { rights: [], networks: ["blue"] });
  const asked = { password: "another four words", current: PASSWORD };
  await assert.rejects(logins.setPassword(asker, "alice", asked), isFault("forbidden"));
});

test("the administrator has tokens by name, which cannot be narrowed, and no password", async () => {
  const { control, logins } = await withAlice();
  const made = await logins.createToken(BOSS, { name: "backup" });
  assert.equal("user" in made, false);
  assert.deepEqual(control.caller(made.token, "10.0.0.1"), {
    identity: { role: "admin" },
    credential: "token backup",
    from: "10.0.0.1",
  });
  await assert.rejects(logins.createToken(BOSS, { name: "x", rights: ["use"] }), isFault("unsupported", /make a user/));
  await logins.end(BOSS, undefined, "backup");
  assert.throws(() => control.identify(made.token), isFault("token-wrong"));
});

test("root on the server's own socket needs no token; one that is shown counts there, too", async () => {
  const { control, login } = await withAlice();
  assert.deepEqual(control.caller(undefined, "unix"), {
    identity: { role: "admin" },
    credential: "socket",
    from: "unix",
  });
  assert.deepEqual(control.caller((await login()).token, "unix").identity, { role: "user", user: "alice" });
  assert.throws(() => control.caller("wrong", "unix"), isFault("token-wrong"));
  for (const from of ["10.0.0.1", "", "unknown"])
    assert.throws(() => control.caller(undefined, from), isFault("token-wrong"));
});

test("a password that was kept at another cost is kept at today's after the next login", async () => {
  const { store, time } = await withAlice();
  const dearer = await open(store, time, { log2: 5, r: 8, p: 1 });
  await dearer.login();
  assert.match(store.secret("logins/user/alice") ?? "", /scrypt\$5\$8\$1\$/);
  await dearer.login();
});

test("a login that a disk refuses is none", async () => {
  const lab: Lab = await withAlice();
  const whole = lab.store.commit.bind(lab.store);
  lab.store.commit = () => Promise.reject(new Fault("unavailable", { what: "the disk is full", fix: "free space" }));
  await assert.rejects(lab.login(), isFault("unavailable"));
  lab.store.commit = whole;
  assert.deepEqual(lab.logins.list("alice"), []);
  await lab.login();
});

const anna = { issuer: "https://id.test", subject: "s1", user: "anna" };

test("whom a provider vouches for is made with its groups, which stay as the provider says", async () => {
  const { control, logins, put } = await withAlice();
  await control.write({ verb: "put", kind: "usergroup", name: "more", spec: {} });
  const { token, user } = await logins.loginVouched({ ...anna, groups: ["staff", "more"] }, "10.0.0.1");
  assert.equal(user, "anna");
  assert.deepEqual(control.identify(token), { role: "user", user: "anna" });
  const spec = async () => (await control.find("user", "anna", { role: "admin" }))?.spec;
  assert.deepEqual(await spec(), { group: "staff", groups: ["more"], enabled: true });
  const before = control.revision;
  await logins.loginVouched({ ...anna, groups: ["staff", "more"] }, "10.0.0.1");
  assert.equal(control.revision, before);
  await logins.loginVouched({ ...anna, groups: ["more"] }, "10.0.0.1");
  assert.deepEqual(await spec(), { group: "more", groups: [], enabled: true });
  await assert.rejects(logins.loginVouched({ ...anna, groups: ["nowhere"] }, "10.0.0.1"), isFault("not-found"));
  await put("anna", false);
  await assert.rejects(
    logins.loginVouched({ ...anna, groups: ["staff"] }, "10.0.0.1"),
    isFault("forbidden", /disabled/),
  );
  assert.equal((await spec())?.enabled, false);
});

test("without groups of the provider a user has to be there, and is whoever logs in first", async () => {
  const { logins, put } = await withAlice();
  await assert.rejects(logins.loginVouched(anna, "10.0.0.1"), isFault("forbidden", /no user "anna"/));
  await put("anna");
  await logins.loginVouched(anna, "10.0.0.1");
  for (const other of [{ subject: "s2" }, { issuer: "https://other.test" }])
    await assert.rejects(logins.loginVouched({ ...anna, ...other }, "10.0.0.1"), isFault("forbidden", /not yours/));
  await logins.loginVouched(anna, "10.0.0.1");
});

test("nobody becomes a user that is a program's, with tokens alone, until they have ended", async () => {
  const { logins, put, time } = await withAlice();
  await put("anna");
  const admin = { identity: { role: "admin" }, credential: "server", from: "unix" } as const;
  await logins.createToken(admin, { name: "ci", user: "anna", expiresInSeconds: 60 });
  await assert.rejects(logins.loginVouched(anna, "10.0.0.1"), isFault("forbidden", /has tokens here/));
  time.now += 61_000;
  await logins.loginVouched(anna, "10.0.0.1");
  // A person's tokens are its own.
  await logins.createToken(admin, { name: "laptop", user: "anna" });
  await logins.loginVouched(anna, "10.0.0.1");
});

test("nobody becomes a user with a password here by taking its name at the provider", async () => {
  const { control, logins } = await withAlice();
  const before = control.revision;
  const vouched = { ...anna, user: "alice", groups: ["staff"] };
  await assert.rejects(logins.loginVouched(vouched, "10.0.0.1"), isFault("forbidden", /has a password here/));
  for (const user of ["", "../x", "a b", "x".repeat(300)])
    await assert.rejects(logins.loginVouched({ ...anna, user }, "10.0.0.1"), isFault("name-invalid"));
  assert.equal(control.revision, before);
});
