// Endpoints of users: a host carries a user's token, and the user's rights decide.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ADMIN, claim, closeAll, isProblem, open, web } from "./lab.ts";

after(closeAll);

/** A host, networks `blue` (alice may use it), `red` (nobody's) and `local`; a token of alice, and of bob. */
async function begun() {
  const api = await open();
  const must = async (method: string, url: string, body?: unknown, token?: string) => {
    const reply = await api.ask(method, url, body, { token });
    assert.ok(reply.status < 300, `${method} ${url}: ${reply.text}`);
    return reply;
  };
  const { body: joined } = await must("POST", "/v1/hosts/h1/join", claim(1), "join-0123456789abcdef0123456789abcdef");
  for (const [name, octet] of [
    ["blue", 7],
    ["red", 8],
  ] as const)
    await must("PUT", `/v1/networks/${name}`, { spec: { ipam: "global", subnets: [{ cidr: `10.${octet}.0.0/24` }] } });
  await must("PUT", "/v1/networks/local", { spec: { subnets: [{ cidr: "10.9.0.0/16", hostPrefix: 24 }] } });
  await must("PUT", "/v1/usergroups/staff", { spec: {} });
  const tokens: Record<string, string> = {};
  for (const user of ["alice", "bob"]) {
    await must("PUT", `/v1/users/${user}`, { spec: { group: "staff" } });
    tokens[user] = (await must("POST", "/v1/tokens", { name: "vm", user })).body.token;
  }
  const rule = { subject: { user: "alice" }, resource: { kinds: ["network"], name: "blue" }, rights: ["use"] };
  await must("PUT", "/v1/aclrules/blue", { spec: rule });
  const attach = (more: object) => api.ask("POST", "/v1/endpoints", { ...web, ...more }, { token: joined.certificate });
  return { ...api, must, attach, tokens, host: joined.certificate as string };
}

test("an endpoint with a user's token is the user's, whose right to the network is asked", async () => {
  const { attach, tokens, ask } = await begun();
  isProblem(await attach({ network: "red", userToken: tokens["alice"] }), "network-unknown", /red/);
  isProblem(await attach({ userToken: tokens["bob"] }), "network-unknown", /blue/);
  const made = await attach({ userToken: tokens["alice"] });
  assert.equal(made.status, 201, made.text);
  assert.deepEqual([made.body.spec.user, made.body.access], ["alice", undefined], "a host knows whose it is");
  assert.ok(!made.text.includes(tokens["alice"] ?? "-"), "the token is kept nowhere");
  assert.equal((await attach({ userToken: tokens["alice"] })).status, 200, "the same again");
  isProblem(await attach({ userToken: tokens["bob"] }), "network-unknown", /blue/);
  assert.equal((await attach({})).body.spec.user, "alice", "a host that repeats it takes it from nobody");
  const seen = await ask("GET", "/v1/endpoints", undefined, { token: tokens["alice"] });
  assert.deepEqual(
    seen.body.items.map(({ name }: { name: string }) => name),
    ["web.eth0"],
  );
  const [{ access }] = seen.body.items;
  assert.deepEqual([access.owner, access.group], ["alice", "staff"]);
});

test("a selection for a user: only networks that it may use, and of others not a word", async () => {
  const { attach, tokens } = await begun();
  const made = await attach({ network: "auto", userToken: tokens["alice"] });
  assert.equal(made.body.spec?.network, "blue", made.text);
  const none = await attach({ network: "auto", userToken: tokens["bob"], owner: "db" });
  isProblem(none, "none-fits", /there is no network that you may use/);
  const narrow = await attach({ network: "auto", userToken: tokens["alice"], owner: "db", requires: "NAME = red" });
  isProblem(narrow, "none-fits", /blue: NAME = "red"/);
  assert.doesNotMatch(narrow.text, /10\.8|local/);
});

test("what is not a user's token is refused; so are several users in one write", async () => {
  const { attach, tokens, ask, host } = await begun();
  isProblem(await attach({ userToken: "nothing" }), "token-wrong", /token/);
  isProblem(await attach({ userToken: ADMIN }), "forbidden", /no user's/);
  const endpoints = [
    { ...web, userToken: tokens["alice"] },
    { ...web, ifname: "eth1", userToken: tokens["bob"] },
  ];
  isProblem(await ask("POST", "/v1/endpoint-sets", { endpoints }, { token: host }), "request-invalid", /several users/);
  const both = endpoints.map((each) => ({ ...each, userToken: tokens["alice"] }));
  assert.equal((await ask("POST", "/v1/endpoint-sets", { endpoints: both }, { token: host })).status, 200);
});
