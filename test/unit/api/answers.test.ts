// What is answered fits its schema when there is something of everything; and what a write does with its parameters.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ADMIN, JOIN, blue, claim, closeAll, fits, isProblem, open, report, web } from "./lab.ts";
import type { SchemaName } from "../../../src/api/schemas.ts";

after(closeAll);
type Api = Awaited<ReturnType<typeof open>>;

/** A cluster with something of each kind, hosts in each state, and a host's token. */
async function full() {
  const time = { now: 1_000_000 };
  const clock = { nowMs: () => time.now, monotonicMs: () => time.now, sleep: () => new Promise<void>(() => undefined) };
  const liveness = { suspectAfterMs: 30_000, lostAfterMs: 300_000, reclaimAfterMs: 3_600_000 };
  const api = await open([], { clock, liveness });
  const { ask } = api;
  const must = async (...request: Parameters<Api["ask"]>) => {
    const reply = await ask(...request);
    assert.ok(reply.status < 300, `${request[0]} ${request[1]}: ${reply.text}`);
    return reply;
  };
  const tokens: string[] = [];
  for (const n of [1, 2, 3]) {
    const { body } = await must("POST", `/v1/hosts/h${n}/join`, claim(n), { token: JOIN });
    fits("Joined", body);
    tokens.push(body.certificate as string);
  }
  const ranges = [{ name: "a", type: "ip4", first: "10.7.0.8", size: 40 }];
  const spec = { subnets: [{ cidr: "10.7.0.0/24" }], ranges, strategy: "next", vrf: "v" };
  await must("PUT", "/v1/networks/blue", { spec });
  await must("PUT", "/v1/networks/green", { spec: { subnets: [{ cidr: "10.8.0.0/24" }], vrf: "v" } });
  await must("PUT", "/v1/networks/near", { spec: { subnets: [{ cidr: "9.0.0.0/25", hostPrefix: 26 }], vrf: "v" } });
  await must("PUT", "/v1/pools/p", { spec: { globalSubnets: [{ cidr: "10.9.<id>.0/24" }] } });
  await must("PUT", "/v1/securitygroups/web", { spec: { rules: [] } });
  for (const owner of ["web", "gone"]) await must("POST", "/v1/endpoints", { ...web, owner, workload: "w" });
  await must("DELETE", "/v1/endpoints/gone.eth0?force=true");
  await must("POST", "/v1/holds", { network: "blue", first: "10.7.0.20", reason: "r", owner: "o" });
  await must("POST", "/v1/memberships", { network: "green", workload: "w" });
  const migrated = await must("POST", "/v1/migrations", { from: "blue", to: "green", endpoint: "web.eth0" });
  fits("Migrated", migrated.body);
  const paths = { peers: 2, proven: 0, named: [{ host: "h2", state: "failed", sinceMs: 5, obstacle: "no answer" }] };
  const heard = await must("PUT", "/v1/hosts/h1/report", { ...report, revision: 1, paths, policyRevision: 1 });
  fits("Heard", heard.body);
  return { ...api, must, time, tokens, migrated: migrated.body };
}

test("a full cluster: every list, every resource, and all that is put together of them", async () => {
  const { ask, must, time, tokens } = await full();
  const names: Readonly<Record<string, SchemaName>> = { freed: "Freed", securitygroups: "SecurityGroup" };
  const plurals =
    "vrfs networks hosts blocks vteps endpoints pools memberships migrations moves holds freed cursors securitygroups";
  for (const plural of plurals.split(" ")) {
    const schema = names[plural] ?? ((plural.charAt(0).toUpperCase() + plural.slice(1, -1)) as SchemaName);
    const { body } = await must("GET", `/v1/${plural}?limit=1`);
    fits(`${schema}Page` as SchemaName, body);
    assert.equal(body.items.length, 1, plural);
    const one = await must("GET", `/v1/${plural}/${encodeURIComponent(body.items[0].name)}`);
    fits(schema, one.body);
    assert.deepEqual([one.body, one.headers["etag"]], [body.items[0], `"${one.body.revision}"`]);
  }
  for (const token of [ADMIN, tokens[0]])
    fits("Snapshot", (await must("GET", "/v1/snapshot", undefined, { token })).body);
  const check = await must("POST", "/v1/ipam/check", {});
  fits("CheckReport", check.body);
  const preflight = await must("POST", "/v1/hosts/preflight", {});
  fits("PreflightReport", preflight.body);
  assert.match(preflight.body.problems[0], /^host h1 could not try: away/);
  fits("SpaceMap", (await must("GET", "/v1/networks/blue/map")).body);
  fits("NetworkProgress", (await must("GET", "/v1/networks/blue/progress")).body);
  fits("Selected", (await must("POST", "/v1/networks/select", { host: "h1", requires: "FREE_LEASES > 300" })).body);
  const history = (await must("GET", "/v1/leases/history?address=10.7.0.9")).body;
  fits("LeaseHistory", history);
  assert.equal(typeof history.items[0].untilMs, "number");
  time.now += 400_000;
  await must("POST", "/v1/hosts/h3/reclaim?force=true");
  const status = (await must("GET", "/v1/status")).body;
  fits("ClusterStatus", status);
  assert.deepEqual(
    status.hosts.map(({ host, state }: { host: string; state: string }) => `${host} ${state}`),
    ["h1 lost", "h2 lost", "h3 reclaimed"],
  );
  assert.ok(status.conditions.length > 0 && status.paths.pairs > 0);
  const inUse = await ask("DELETE", "/v1/networks/green");
  isProblem(inUse, "in-use", /has members/);
  assert.deepEqual(inUse.body.blockers, ["migration of web.eth0", "workload w"]);
});

test("a dry run changes nothing, and only a dry run", async () => {
  const { must, control } = await full();
  const resources = [{ kind: "network", name: "red", ...blue }];
  for (const [url, body, dry] of [
    ["/v1/apply", { resources }, { resources, dryRun: true }],
    ["/v1/hosts/h2/reclaim?force=true&dryRun=false", undefined, undefined],
  ] as const) {
    const before = control.revision;
    const looked = await must("POST", url.replace("dryRun=false", "dryRun=true"), dry);
    fits("Applied", looked.body);
    assert.equal(control.revision, before, url);
    const done = await must("POST", url, body);
    assert.equal(control.revision, before + 1, url);
    const keys = (reply: typeof done) =>
      (reply.body.changes as { put?: { name: string }; remove?: string }[]).map((one) => one.put?.name ?? one.remove);
    assert.ok(keys(done).length > 0);
    assert.deepEqual(keys(done), keys(looked));
  }
});

test("a migration that is only looked at is 200 and nowhere, one that is made 201", async () => {
  const { must, control, migrated } = await full();
  await must("DELETE", `/v1/migrations/${migrated.migration.name}?force=true`);
  const before = control.revision;
  const request = { from: "blue", to: "green", workload: "w" };
  const looked = await must("POST", "/v1/migrations", { ...request, dryRun: true });
  assert.deepEqual([looked.status, looked.body.moves.length, control.revision], [200, 1, before]);
  fits("Migrated", looked.body);
  const made = await must("POST", "/v1/migrations", { ...request, dryRun: false });
  assert.deepEqual([made.status, made.body.moves.length, control.revision], [201, 1, before + 1]);
  assert.deepEqual(made.body.moves[0].spec.endpoint, "web.eth0");
  const [{ name }] = made.body.moves;
  const done = await must("PUT", `/v1/moves/${encodeURIComponent(name)}`, { state: "joined", newEndpoint: "web.eth1" });
  assert.equal(done.body.revision, control.revision);
  assert.equal((await must("GET", `/v1/moves/${encodeURIComponent(name)}`)).body.spec.newEndpoint, "web.eth1");
});

test("what a write must find: If-Match and If-None-Match, on every route that has them", async () => {
  const { ask, must, control } = await full();
  const network = (await must("GET", "/v1/networks/green")).body;
  const put = { spec: { ...network.spec } };
  const puts: readonly (readonly [string, string, unknown, boolean])[] = [
    ["PUT", "/v1/networks/green", put, true],
    ["PUT", "/v1/vrfs/v", { spec: {} }, true],
    ["PUT", "/v1/pools/p", { spec: { globalSubnets: [{ cidr: "10.9.<id>.0/24" }] } }, true],
    ["PUT", "/v1/securitygroups/web", { spec: { rules: [] } }, true],
    ["PATCH", "/v1/endpoints/web.eth0", {}, false],
    ["POST", "/v1/hosts/h1/resume", undefined, false],
    ["DELETE", "/v1/endpoints/web.eth0", undefined, false],
    ["DELETE", "/v1/networks/near", undefined, false],
    ["DELETE", "/v1/pools/p", undefined, false],
  ];
  const before = control.revision;
  for (const [method, url, body, isPut] of puts) {
    const stale = await ask(method, url, body, { headers: { "if-match": '"999"' } });
    isProblem(stale, "revision-stale", /made for revision 999/);
    if (isPut)
      isProblem(await ask(method, url, body, { headers: { "if-none-match": "*" } }), "revision-stale", /to make it/);
    for (const headers of [{ "if-none-match": '"5"' }, { "if-none-match": "*", "if-match": '"1"' }, { "if-match": "" }])
      isProblem(await ask(method, url, body, { headers }), "request-invalid", /If-(None-)?Match/);
    assert.equal(control.revision, before, `${method} ${url}`);
  }
  const reserve = { name: "part", size: 2 };
  const reserving = (headers: Record<string, string>) =>
    ask("POST", "/v1/networks/blue/reservations", reserve, { headers });
  isProblem(await reserving({ "if-match": "*" }), "revision-stale", /does not exist/);
  assert.equal((await reserving({ "if-none-match": "*" })).status, 201);
  isProblem(await reserving({ "if-none-match": "*" }), "revision-stale", /to make it/);
  const more = await reserving({ "if-match": "*" });
  assert.deepEqual([more.status, more.body.spec.ranges.length], [200, 2]);
  for (const [method, url] of puts.slice(7))
    assert.equal((await ask(method, url, undefined, { headers: { "if-match": "*" } })).status, 200);
});

test("numbers in a query have bounds, and say which", async () => {
  const { ask, must } = await full();
  const most = Number.MAX_SAFE_INTEGER;
  for (const [url, isGood] of [
    ["/v1/leases/history?address=10.7.0.9&limit=1", true],
    ["/v1/leases/history?address=10.7.0.9&limit=10000", true],
    ["/v1/leases/history?address=10.7.0.9&limit=0", false],
    ["/v1/leases/history?address=10.7.0.9&limit=10001", false],
    [`/v1/leases/history?address=10.7.0.9&at=${most - 1}`, true],
    [`/v1/leases/history?address=10.7.0.9&at=${most}`, false],
    ["/v1/leases/history?address=10.7.0.9&since=0&before=0", true],
    ["/v1/leases/history?address=10.7.0.9&since=-1", false],
    ["/v1/networks?limit=1", true],
    ["/v1/networks?limit=10000", true],
    ["/v1/networks?limit=", false],
    ["/v1/networks?limit=1e3", false],
  ] as const) {
    if (isGood) await must("GET", url);
    else isProblem(await ask("GET", url), "request-invalid", /expected a number from \d+ to \d+/);
  }
  // Of one that is given twice the last counts; a flag without a value is one.
  assert.equal((await must("GET", "/v1/networks?limit=x&limit=1")).body.items.length, 1);
  isProblem(await ask("DELETE", "/v1/networks/blue?force=false"), "in-use", /has/);
  isProblem(await ask("DELETE", "/v1/networks/blue"), "in-use", /has/);
  await must("DELETE", "/v1/networks/blue?force");
});

test("a report that cannot be taken is refused; an agent hears the server's revision and patience", async () => {
  const { ask, must, control, tokens } = await full();
  isProblem(await ask("PUT", "/v1/hosts/h9/report", { ...report, host: "h9" }), "host-unknown", /no host "h9"/);
  const [token] = tokens;
  const heard = await must("PUT", "/v1/hosts/h1/report", report, { token });
  const ca = control.authority?.pin;
  const patience = { suspectAfterMs: 30_000, reclaimAfterMs: 3_600_000 };
  assert.deepEqual(heard.body, { revision: control.revision, ca, ...patience });
  const host = { token, headers: { "weft-history": "other@7" } };
  isProblem(await ask("GET", "/v1/snapshot", undefined, host), "another-history", /revision 7 of history other/);
  isProblem(await ask("GET", "/v1/watch?from=7", undefined, host), "another-history", /history other/);
  assert.deepEqual((await must("POST", "/v1/hosts/h1/accept-history")).body, { revision: control.revision });
  await must("GET", "/v1/snapshot", undefined, host);
  isProblem(await ask("POST", "/v1/hosts/h1/accept-history"), "not-found", /asks for nothing/);
  for (const wrong of ["other", "@7", "other@x", "a b@7", `${"x".repeat(65)}@7`])
    assert.equal(
      (await ask("GET", "/v1/snapshot", undefined, { token, headers: { "weft-history": wrong } })).status,
      200,
    );
});
