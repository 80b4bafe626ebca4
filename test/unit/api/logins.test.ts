// Logging in over the API: what is answered, what is limited, and that secrets are in one answer only.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeAll, fits, isProblem, open, until } from "./lab.ts";

after(closeAll);
const PASSWORD = "correct horse battery";

async function withAlice() {
  const api = await open([], { logins: { cost: { log2: 4, r: 8, p: 1 } } });
  const { ask } = api;
  await ask("PUT", "/v1/usergroups/staff", { spec: {} });
  await ask("PUT", "/v1/users/alice", { spec: { group: "staff" } });
  const set = await ask("PUT", "/v1/users/alice/password", { password: PASSWORD });
  assert.equal(set.status, 200, set.text);
  const login = (password = PASSWORD, user = "alice") => ask("POST", "/v1/login", { user, password }, { token: "" });
  const token: string = (await login()).body.token;
  return { ...api, login, token };
}

test("who has logged in is told who it is, until it logs out", async () => {
  const { ask, login, control } = await withAlice();
  const { body } = await login();
  fits("LoggedIn", body);
  const { token } = body;
  const who = await ask("GET", "/v1/whoami", undefined, { token });
  fits("WhoAmI", who.body);
  assert.deepEqual(who.body, {
    role: "user",
    user: "alice",
    group: "staff",
    groups: ["staff"],
    credential: `login ${body.name}`,
    expiresMs: body.expiresMs,
    from: "127.0.0.1",
    cluster: control.cluster,
  });
  assert.equal((await ask("DELETE", "/v1/login", undefined, { token })).status, 200);
  isProblem(await ask("GET", "/v1/whoami", undefined, { token }), "token-wrong", /does not know/);
  const admin = (await ask("GET", "/v1/whoami")).body;
  assert.deepEqual([admin.role, admin.credential, admin.user], ["admin", "admin token", undefined]);
  isProblem(await ask("DELETE", "/v1/login"), "unsupported", /weft token delete/);
});

test("a wrong password is 401, too many are 429 with the time to wait, and neither repeats the password", async () => {
  const { login } = await withAlice();
  const wrong = "a wrong password 17";
  for (let n = 0; n < 10; n++) {
    const reply = await login(wrong);
    isProblem(reply, "password-wrong", /do not belong together/);
    assert.ok(!reply.text.includes(wrong));
  }
  const reply = await login(wrong);
  isProblem(reply, "too-many-guesses", /20s/);
  assert.equal(reply.headers["retry-after"], "20");
});

test("metrics count logins and refusals by their way, and name nobody", async () => {
  const { ask, login } = await withAlice();
  await login();
  await login("wrong");
  await login("wrong", "nobody-here");
  const { text } = await ask("GET", "/metrics");
  assert.match(text, /^weft_logins_total\{way="password",result="succeeded"\} 2$/m);
  assert.match(text, /^weft_logins_total\{way="password",result="refused"\} 2$/m);
  assert.match(text, /^weft_logins_total\{way="device",result="refused"\} 0$/m);
  assert.doesNotMatch(text, /alice|nobody-here/);
});

test("a body is refused by its size before anything of it is read", async () => {
  const { ask } = await withAlice();
  for (const [method, url, token] of [
    ["POST", "/v1/login", ""],
    ["POST", "/v1/tokens", undefined],
    ["PUT", "/v1/users/alice/password", undefined],
  ] as const) {
    const reply = await ask(method, url, undefined, { raw: "[".repeat(4097), ...(token === "" ? { token } : {}) });
    isProblem(reply, "request-invalid", /too large/, 413);
    const nested = await ask(method, url, undefined, { raw: "[".repeat(4096), ...(token === "" ? { token } : {}) });
    isProblem(nested, "request-invalid", /not JSON/);
  }
  for (const body of [{}, { user: "alice" }, { user: "alice", password: PASSWORD, admin: true }, [], "x"])
    isProblem(await ask("POST", "/v1/login", body, { token: "" }), "request-invalid", /./);
});

test("a token's value is in the answer that makes it, and in no other", async () => {
  const { ask, token } = await withAlice();
  const made = await ask("POST", "/v1/tokens", { name: "ci", rights: ["use"] }, { token });
  assert.equal(made.status, 201, made.text);
  fits("TokenMade", made.body);
  const listed = await ask("GET", "/v1/tokens", undefined, { token });
  fits("Credentials", listed.body);
  assert.deepEqual(
    listed.body.items.map(({ kind, narrowing }: { kind: string; narrowing?: object }) => [kind, narrowing]),
    [
      ["token", { rights: ["use"] }],
      ["login", undefined],
    ],
  );
  const others = [
    listed,
    await ask("GET", "/metrics"),
    await ask("GET", "/v1/snapshot"),
    await ask("GET", "/v1/users"),
  ];
  for (const { text } of others) assert.ok(!text.includes(made.body.token) && !text.includes(token));
  const seen = (await ask("GET", "/v1/tokens?user=alice")).body;
  assert.deepEqual(seen, listed.body);
  isProblem(await ask("GET", "/v1/tokens?user=bob", undefined, { token }), "forbidden", /user "bob"/);
});

test("a narrowed token ends itself, and neither shows nor ends others", async () => {
  const { ask, token } = await withAlice();
  const { body } = await ask("POST", "/v1/tokens", { name: "ci", networks: ["blue"] }, { token });
  const narrow = { token: body.token as string };
  isProblem(await ask("GET", "/v1/tokens", undefined, narrow), "forbidden", /narrowed/);
  isProblem(await ask("DELETE", "/v1/tokens/other", undefined, narrow), "forbidden", /narrowed/);
  isProblem(await ask("POST", "/v1/tokens", { name: "x", networks: ["green"] }, narrow), "forbidden", /of blue/);
  assert.equal((await ask("DELETE", "/v1/tokens/ci", undefined, narrow)).status, 200);
  isProblem(await ask("GET", "/v1/whoami", undefined, narrow), "token-wrong", /./);
});

test("a token that never expires, or for a year and a day, is not made", async () => {
  const { ask, token } = await withAlice();
  for (const body of [
    { name: "x", expiresInSeconds: 0 },
    { name: "x", expiresInSeconds: 31_622_401 },
    { name: "../x" },
    { name: "" },
    { name: "x", rights: ["root"] },
  ])
    isProblem(await ask("POST", "/v1/tokens", body, { token }), "request-invalid", /./);
});

test("a narrowed token sees what it lets through of what its owner sees", async () => {
  const { ask, token } = await withAlice();
  for (const [name, cidr] of [
    ["blue", "10.7.0.0/24"],
    ["green", "10.8.0.0/24"],
  ])
    assert.equal((await ask("PUT", `/v1/networks/${name}`, { spec: { subnets: [{ cidr }] } })).status, 201);
  const rule = { subject: { user: "alice" }, resource: { kinds: ["network"], all: true }, rights: ["use", "manage"] };
  assert.equal((await ask("PUT", "/v1/aclrules/all", { spec: rule })).status, 201);
  const made = async (body: object) => (await ask("POST", "/v1/tokens", body, { token })).body.token as string;
  const names = async (of: string) => {
    const list = (await ask("GET", "/v1/networks", undefined, { token: of })).body.items as { name: string }[];
    const { networks } = (await ask("GET", "/v1/snapshot", undefined, { token: of })).body as { networks: typeof list };
    assert.deepEqual(networks.map(({ name }) => name).toSorted(), list.map(({ name }) => name).toSorted());
    return list.map(({ name }) => name);
  };
  assert.deepEqual(await names(token), ["blue", "green"]);
  const blueOnly = await made({ name: "blue", networks: ["blue"] });
  assert.deepEqual(await names(blueOnly), ["blue"]);
  isProblem(await ask("GET", "/v1/networks/green", undefined, { token: blueOnly }), "network-unknown", /green/);
  assert.deepEqual(await names(await made({ name: "manage", rights: ["manage"] })), []);
  assert.deepEqual(await names(await made({ name: "use", rights: ["use"] })), ["blue", "green"]);
  assert.deepEqual(await names(await made({ name: "none", networks: [] })), []);
});

test("a watch ends with the login that it began with", async () => {
  const { ask, app, token, control } = await withAlice();
  const begun = app.inject({
    method: "GET",
    url: `/v1/watch?from=${control.revision}`,
    headers: { authorization: `Bearer ${token}` },
  });
  await until("it watches", () => control.revision >= 0);
  await ask("DELETE", "/v1/login", undefined, { token });
  await ask("PUT", "/v1/usergroups/more", { spec: {} });
  const lines = (await begun).payload.trim().split("\n");
  const last = JSON.parse(lines.at(-1) ?? "");
  assert.equal(last.reason, "token-wrong", lines.join("\n"));
});
