// The audit log over the API: a record of every write and refusal, who may read it, and that it has no secret.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { AuditRecord } from "../../../src/model/audit.ts";
import { Fault } from "../../../src/model/fault.ts";
import { ADMIN, JOIN, blue, claim, closeAll, fits, isProblem, open, report, web } from "./lab.ts";

after(closeAll);
type Api = Awaited<ReturnType<typeof open>>;

async function records({ ask }: Api, query = ""): Promise<AuditRecord[]> {
  const { body } = await ask("GET", `/v1/audit?order=oldest&full=true&${query}`);
  fits("AuditPage", body);
  return body.items as AuditRecord[];
}
function brief({ who, verb, object = "", result, revision, count }: AuditRecord): string {
  return [who, verb, object, result, revision ?? "-", ...(count === undefined ? [] : [`x${count}`])].join(" ");
}

test("every write: who, what before and after; what changes nothing, and dry runs that pass, have none", async () => {
  const api = await open();
  const { ask } = api;
  await ask("PUT", "/v1/networks/blue", blue);
  await ask("PUT", "/v1/networks/blue", blue);
  const joined = await ask("POST", "/v1/hosts/h1/join", claim(1), { token: JOIN });
  const token = joined.body.certificate as string;
  await ask("POST", "/v1/endpoints", web, { token });
  await ask("PUT", "/v1/networks/blue", { spec: { ...blue.spec, dns: ["10.0.0.1"] } });
  await ask("POST", "/v1/apply", { resources: [{ kind: "network", name: "n", spec: blue.spec }], dryRun: true });
  await ask("POST", "/v1/apply", {
    resources: [{ kind: "network", name: "blue", spec: { subnets: [] } }],
    dryRun: true,
  });
  await ask("POST", "/v1/hosts/h1/reclaim?dryRun=true");
  await ask("DELETE", "/v1/endpoints/web.eth0", undefined, { token });
  const all = await records(api);
  assert.deepEqual(all.map(brief), [
    "server set-token admin done -",
    "server set-token join done -",
    "admin put network/blue done 1",
    "join join host/h1 done 2",
    "join issue-certificate host/h1 done -",
    "host/h1 attach endpoint/web.eth0 done 3",
    "admin put network/blue done 4",
    "host/h1 detach endpoint/web.eth0 done 5",
    "admin apply  request-invalid -",
    "admin delete host/h1 in-use -",
  ]);
  assert.match(all.at(-1)?.message ?? "", /^dry run/);
  const [made, , , attached, changed, detached] = all.slice(2);
  assert.equal(made?.from, "127.0.0.1");
  assert.equal(made?.credential, "admin token");
  assert.equal(made?.changes?.find(({ key }) => key === "network/blue")?.before, undefined);
  const [change] = changed?.changes ?? [];
  assert.deepEqual([change?.key, change?.after?.["spec"]], ["network/blue", { dns: ["10.0.0.1"] }]);
  const endpoint = attached?.changes?.find(({ key }) => key === "endpoint/web.eth0");
  assert.equal((endpoint?.after?.["spec"] as { host?: string } | undefined)?.host, "h1");
  assert.notEqual(detached?.changes?.find(({ key }) => key === "endpoint/web.eth0")?.before, undefined);
  const verdict = (await ask("GET", "/v1/audit/verify")).body;
  fits("AuditVerdict", verdict);
  assert.deepEqual([verdict.isWhole, verdict.head.revision], [true, 5]);
  const one = await ask("GET", `/v1/audit/${changed?.seq}`);
  fits("AuditRecord", one.body);
  assert.deepEqual(one.body, changed);
  isProblem(await ask("GET", "/v1/audit/99"), "not-found", /no record 99/);
});

test("every refusal, alike ones with their number; reads only for lack of a right", async () => {
  const api = await open();
  const { ask } = api;
  const { body } = await ask("POST", "/v1/hosts/h1/join", claim(1), { token: JOIN });
  const token = body.certificate as string;
  for (let n = 0; n < 3; n++) await ask("GET", "/v1/status", undefined, { token: "guessed" });
  await ask("GET", "/v1/nowhere", undefined, { token: "" });
  await ask("PUT", "/v1/networks/blue", blue, { token });
  await ask("PUT", "/v1/networks/blue", { spec: { subnets: 5 } });
  await ask("DELETE", "/v1/networks/blue");
  await ask("POST", "/v1/endpoints", web, { token });
  await ask("GET", "/v1/networks/blue");
  await ask("GET", "/v1/networks?limit=0");
  await ask("PUT", "/v1/hosts/h2/report", report, { token });
  const refused = await records(api, "result=refused");
  assert.deepEqual(refused.map(brief), [
    "nobody GET /v1/status  token-wrong - x3",
    "nobody GET a path that is not there  token-wrong -",
    "host/h1 PUT /v1/networks/{name} network/blue forbidden -",
    "admin PUT /v1/networks/{name} network/blue request-invalid -",
    "admin delete network/blue network-unknown -",
    "host/h1 attach endpoint/web.eth0 network-unknown -",
    "host/h1 PUT /v1/hosts/{name}/report host/h2 forbidden -",
  ]);
  assert.match(refused[4]?.message ?? "", /no network "blue"/);
});

test("filters and pages", async () => {
  const api = await open();
  const { ask, control } = api;
  for (const name of ["a", "b", "c"])
    await ask("PUT", `/v1/networks/${name}`, { spec: { subnets: [{ cidr: "10.7.0.0/24" }] } });
  await ask("DELETE", "/v1/networks/b");
  await ask("DELETE", "/v1/networks/none");
  const found = async (query: string) => (await records(api, query)).map(({ verb, object }) => `${verb} ${object}`);
  assert.deepEqual(await found("name=b"), ["put network/b", "delete network/b"]);
  assert.deepEqual(await found("kind=network&verb=delete"), ["delete network/b", "delete network/none"]);
  assert.deepEqual(await found("result=network-unknown"), ["delete network/none"]);
  assert.deepEqual(await found("revision=2"), ["put network/b"]);
  assert.deepEqual(await found("user=server"), ["set-token admin", "set-token join"]);
  assert.equal((await found("since=1000001")).length, 0);
  assert.equal((await found("until=1000000")).length, 0);
  assert.equal((await found("since=1000000&until=1000001")).length, 7);
  const seqs: number[] = [];
  for (let cursor = ""; ; ) {
    const { body } = await ask("GET", `/v1/audit?limit=3${cursor}`);
    assert.ok(
      body.items.every(({ changes = [] }: AuditRecord) => changes.every(({ after: now }) => now === undefined)),
    );
    for (const { seq } of body.items as AuditRecord[]) seqs.push(seq);
    if (body.cursor === undefined) break;
    cursor = `&cursor=${body.cursor}`;
  }
  assert.deepEqual(seqs, [7, 6, 5, 4, 3, 2, 1]);
  const by = { credential: "token laptop", from: "10.0.0.7" };
  const refused = new Fault("forbidden", { what: "no", fix: "ask" });
  for (const who of ["user/ann", "user/annabel"]) control.audit.refused({ who, ...by }, { verb: "put" }, refused);
  assert.deepEqual((await records(api, "user=ann")).map(brief), ["user/ann put  forbidden -"]);
  const own = await control.audit.list({ only: { who: "user/ann" }, order: "newest", limit: 9, isFull: true });
  assert.deepEqual(own.items.map(brief), ["user/ann put  forbidden -"]);
  isProblem(await ask("GET", "/v1/audit?order=up"), "request-invalid", /newest or oldest/);
});

test("no secret is in the log, wherever it was put", async () => {
  const api = await open();
  const { ask, control } = api;
  const secret = (n: number) => `S3CRET${n}`.padEnd(40, "x");
  const proposed = secret(1);
  await ask("POST", "/v1/hosts/h1/join", claim(1, { token: proposed }), { token: JOIN });
  await ask("POST", "/v1/hosts/h2/join", claim(2, { token: 5 }), { token: secret(2) });
  await ask("POST", "/v1/hosts/h3/join", claim(3, { token: [secret(3)] }), { token: JOIN });
  await ask("PUT", "/v1/networks/blue", blue, { token: secret(4) });
  await ask("GET", `/v1/status?token=${secret(5)}`, undefined, { token: "" });
  await ask("GET", `/v1/${secret(6)}`, undefined, { token: "" });
  await ask("PUT", `/v1/networks/${secret(7)}`, blue, { token: "" });
  await ask("PUT", "/v1/networks/blue", { spec: { password: secret(8) } }, { token: proposed });
  await ask("PUT", "/v1/networks/blue", { spec: { subnets: secret(9) } });
  await ask("POST", "/v1/apply", undefined, { raw: `{"password": "${secret(10)}"` });
  await ask("PUT", "/v1/networks/blue", blue, { headers: { "if-match": secret(11) } });
  await control.setToken("join", secret(12));
  const all = await records(api);
  assert.ok(all.length > 9);
  const text = JSON.stringify(all);
  assert.doesNotMatch(text, /S3CRET/);
  for (const token of [ADMIN, JOIN]) assert.ok(!text.includes(token));
});

test("logins and tokens are in it without their secrets; a user sees what it did itself", async () => {
  const api = await open([], { logins: { cost: { log2: 4, r: 8, p: 1 } } });
  const { ask } = api;
  const [password, wrong] = ["S3CRET correct horse", "S3CRET wrong horse"];
  await ask("PUT", "/v1/usergroups/staff", { spec: {} });
  for (const user of ["ann", "bob"]) {
    await ask("PUT", `/v1/users/${user}`, { spec: { group: "staff" } });
    await ask("PUT", `/v1/users/${user}/password`, { password });
  }
  const login = async (user: string, text = password) =>
    ask("POST", "/v1/login", { user, password: text }, { token: "" });
  await login("ann", wrong);
  await login("ann", wrong);
  await login(wrong, "ann");
  const token = (await login("ann")).body.token as string;
  const bobs = (await login("bob")).body.token as string;
  const made = await ask("POST", "/v1/tokens", { name: "ci" }, { token });
  await ask("PUT", "/v1/users/ann/password", { password: wrong, current: wrong }, { token });
  await ask("PUT", "/v1/users/ann/password", { password: 5, current: password }, { token });
  await ask("DELETE", "/v1/endpoints/none", undefined, { token: bobs });
  const all = await records(api);
  const text = JSON.stringify(all);
  assert.doesNotMatch(text, /S3CRET/);
  for (const value of [token, bobs, made.body.token]) assert.ok(!text.includes(value));
  const logins = all.filter(({ verb }) => verb === "login").map(brief);
  assert.match(logins.join("; "), /nobody login user\/ann password-wrong - x2; nobody login {2}password-wrong -/);
  const own = (await ask("GET", "/v1/audit?order=oldest", undefined, { token })).body.items as AuditRecord[];
  assert.deepEqual([...new Set(own.map(({ who }) => who))], ["user/ann"]);
  assert.ok(own.some(({ verb }) => verb === "make-token") && own.some(({ result }) => result !== "done"));
  const bobsRecord = all.find(({ who }) => who === "user/bob");
  isProblem(await ask("GET", `/v1/audit/${bobsRecord?.seq}`, undefined, { token }), "not-found", /no record/);
  isProblem(await ask("GET", "/v1/audit?user=bob", undefined, { token: JOIN }), "forbidden", /join token/);
  const others = await ask("GET", "/v1/audit?user=bob", undefined, { token });
  assert.deepEqual(others.body.items, []);
  isProblem(await ask("GET", "/v1/audit/verify", undefined, { token }), "forbidden", /cannot do this/);
});
