// Logging in by an OpenID provider: a real one lets people in, and one that lies does not.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Fault, type Reason } from "../../../src/model/fault.ts";
import { type OidcSettings, OidcProvider } from "../../../src/oidc/provider.ts";
import { Sealer } from "../../../src/oidc/sealed.ts";
import { metadataOf, openHostile } from "./hostileProvider.ts";
import { Browser, CLIENT, openProvider } from "./realProvider.ts";

const time = { offset: 0 };
const clock = { nowMs: () => Date.now() + time.offset, monotonicMs: () => performance.now(), sleep: async () => {} };
const CLAIMS = { userClaim: "preferred_username", groupsClaim: "groups", scopes: "openid profile" };
const real = await openProvider();
const hostile = await openHostile();
after(() => {
  real.close();
  hostile.close();
});

const isFault =
  (reason: Reason, text = /./) =>
  (error: unknown) => {
    assert.ok(error instanceof Fault, String(error));
    assert.equal(error.reason, reason, error.message);
    assert.match(error.message, text);
    for (const secret of [CLIENT.secret, "an-access-token", "a-code"]) assert.ok(!error.message.includes(secret));
    return true;
  };

const byReal = (more: Partial<OidcSettings> = {}) => new OidcProvider({ ...CLAIMS, ...real.settings, ...more }, clock);

test("a browser logs in at a real provider, and the same address does so once", async () => {
  const oidc = byReal();
  const { url, handle } = await oidc.begin();
  const asked = new URL(url).searchParams;
  assert.deepEqual([asked.get("code_challenge_method"), asked.get("response_type")], ["S256", "code"]);
  const callback = await new Browser().logIn(url, "anna");
  assert.deepEqual(await oidc.finish({ handle, callback }), {
    issuer: real.settings.issuer,
    subject: "anna",
    user: "anna",
  });
  await assert.rejects(oidc.finish({ handle, callback }), isFault("token-wrong", /was used/));
  const other = await oidc.begin();
  await assert.rejects(oidc.finish({ handle: other.handle, callback }), isFault("token-wrong", /state/));
});

test("a code that was swapped for one of another browser's login is refused", async () => {
  const oidc = byReal();
  const [mine, theirs] = [await oidc.begin(), await oidc.begin()];
  const callback = new URL(await new Browser().logIn(theirs.url, "bob"));
  callback.searchParams.set("state", new URL(mine.url).searchParams.get("state") ?? "");
  await assert.rejects(oidc.finish({ handle: mine.handle, callback: callback.href }), isFault("token-wrong", /grant/));
});

test("groups here follow from those of the provider, in the order of the settings", async () => {
  const groups = new Map([
    ["admins", "boss"],
    ["other", "more"],
    ["ops", "staff"],
  ]);
  const oidc = byReal({ groups });
  const login = async (user: string) => {
    const { url, handle } = await oidc.begin();
    return oidc.finish({ handle, callback: await new Browser().logIn(url, user) });
  };
  assert.deepEqual((await login("anna")).groups, ["more", "staff"]);
  await assert.rejects(login("carl"), isFault("forbidden", /none of your groups/));
});

test("without a browser of its own the command line logs in by a device code, once", async () => {
  const oidc = byReal();
  const { handle, userCode, verificationUri } = await oidc.beginDevice();
  assert.equal(await oidc.finishDevice({ handle }), undefined);
  await new Browser().enter(verificationUri, userCode, "bob");
  assert.equal((await oidc.finishDevice({ handle }))?.subject, "bob");
  await assert.rejects(oidc.finishDevice({ handle }), isFault("token-wrong"));
});

test("a wrong client secret, an issuer that is another, one that is away: refused, and nothing is shown", async () => {
  const wrong = byReal({ clientSecret: "not the secret" });
  const { url, handle } = await wrong.begin();
  const callback = await new Browser().logIn(url, "anna");
  await assert.rejects(wrong.finish({ handle, callback }), isFault("token-wrong"));
  const other = byReal({ issuer: real.settings.issuer.replace("127.0.0.1", "localhost") });
  await assert.rejects(other.begin(), isFault("token-wrong"));
  await assert.rejects(byReal({ issuer: "http://127.0.0.1:9" }).begin(), isFault("unavailable", /cannot be reached/));
  // In the clear only to this machine.
  await assert.rejects(byReal({ issuer: "http://192.0.2.1" }).begin(), isFault("token-wrong"));
});

test("a handle is good for ten minutes, for what it was made for, and at the server that made it", async () => {
  const oidc = byReal();
  const { url, handle } = await oidc.begin();
  const callback = await new Browser().logIn(url, "anna");
  await assert.rejects(oidc.finishDevice({ handle }), isFault("token-wrong"));
  await assert.rejects(byReal().finish({ handle, callback }), isFault("token-wrong"));
  for (const bad of ["x", `${handle}x`, handle.slice(1), ""])
    await assert.rejects(oidc.finish({ handle: bad, callback }), isFault("token-wrong"));
  time.offset = 601_000;
  await assert.rejects(oidc.finish({ handle, callback }), isFault("token-wrong", /expired/));
  time.offset = 0;
  const sealer = new Sealer(clock);
  const text = await sealer.seal("code", { verifier: "the-verifier" });
  assert.ok(!Buffer.from(text, "base64url").toString("latin1").includes("the-verifier"));
});

test("a provider that lies lets nobody in", async () => {
  const now = Math.floor(Date.now() / 1000);
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const unsigned = (claims: object) => `${part({ alg: "none" })}.${part(claims)}.`;
  const lies: Readonly<Record<string, (typeof hostile)["state"]["lies"]>> = {
    "another nonce": { claims: (right) => ({ ...right, nonce: "another" }) },
    "no nonce": { claims: ({ nonce: _, ...right }) => right },
    "for another client": { claims: (right) => ({ ...right, aud: "other" }) },
    "for two clients, by another": { claims: (right) => ({ ...right, aud: ["weft", "other"], azp: "other" }) },
    "of another issuer": { claims: (right) => ({ ...right, iss: "https://other.test" }) },
    expired: { claims: (right) => ({ ...right, iat: now - 7200, exp: now - 3600 }) },
    "no end": { claims: ({ exp: _, ...right }) => right },
    "no subject": { claims: ({ sub: _, ...right }) => right },
    "alg none": { token: unsigned },
    "a stranger's signature": { token: hostile.forged },
    "no signature": { token: async (right) => `${(await hostile.forged(right)).split(".").slice(0, 2).join(".")}.` },
    "no token": { raw: { "/token": () => '{"access_token":"an-access-token","token_type":"Bearer"}' } },
    "no JSON": { raw: { "/token": () => "<html>" } },
    "a huge answer": { raw: { "/token": () => `{"access_token":"${"x".repeat(300_000)}","token_type":"Bearer"}` } },
    "huge keys": { raw: { "/jwks": () => `{"keys":[],"x":"${"x".repeat(300_000)}"}` } },
    "no keys": { raw: { "/jwks": () => '{"keys":[]}' } },
    "no name": { claims: ({ preferred_username: _, ...right }) => right },
    "a name that is a list": { claims: (right) => ({ ...right, preferred_username: ["anna"] }) },
    "an error": { raw: { "/token": () => '{"error":"no\\u001b[31m","error_description":"x"}' }, status: 400 },
  };
  for (const [name, each] of Object.entries(lies)) {
    const oidc = new OidcProvider({ ...CLAIMS, ...hostile.settings }, clock);
    hostile.state.lies = {};
    const { url, handle } = await oidc.begin();
    const callback = hostile.comeBack(url);
    hostile.state.lies = each;
    await assert.rejects(
      oidc.finish({ handle, callback }),
      (error) => {
        assert.ok(error instanceof Fault, `${name}: ${String(error)}`);
        assert.ok(["token-wrong", "forbidden", "unavailable"].includes(error.reason), `${name}: ${error.message}`);
        assert.ok(!/\u001b|an-access-token|a-code/.test(error.message), name);
        return true;
      },
      name,
    );
  }
  // The same without a lie is let in: what is refused above is refused for its lie.
  hostile.state.lies = {};
  const oidc = new OidcProvider({ ...CLAIMS, ...hostile.settings }, clock);
  const { url, handle } = await oidc.begin();
  assert.equal((await oidc.finish({ handle, callback: hostile.comeBack(url) })).user, "anna");
});

test("an answer of the browser that is another's, or a refusal, is refused before a code is shown", async () => {
  hostile.state.lies = {};
  const oidc = new OidcProvider({ ...CLAIMS, ...hostile.settings }, clock);
  for (const more of [{ iss: "https://other.test" }, { state: "another" }, { error: "access_denied" }]) {
    const { url, handle } = await oidc.begin();
    const callback = hostile.comeBack(url, more);
    hostile.state.asked.length = 0;
    await assert.rejects(oidc.finish({ handle, callback }), isFault("token-wrong"));
    assert.deepEqual(hostile.state.asked, []);
  }
});

test("what a provider says of itself is not believed if it is of another, or too long", async () => {
  const discovery = "/.well-known/openid-configuration";
  for (const raw of [
    () => JSON.stringify(metadataOf("https://other.test")),
    () => `{"x":"${"x".repeat(300_000)}"}`,
    () => "[]",
    () => "{",
  ]) {
    hostile.state.lies = { raw: { [discovery]: raw } };
    const oidc = new OidcProvider({ ...CLAIMS, ...hostile.settings }, clock);
    await assert.rejects(oidc.begin(), isFault("token-wrong"));
    // One that mends itself is asked again.
    hostile.state.lies = {};
    await oidc.begin();
  }
});
