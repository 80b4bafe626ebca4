// The life of endpoints, hosts, holds and limits over the API, and what its metrics say of them.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { JOIN, blue, claim, closeAll, fits, isProblem, open, report, web } from "./lab.ts";

after(closeAll);

test("an endpoint: made, repeated, refused, marked, removed", async () => {
  const { ask } = await open();
  const { certificate: token } = (await ask("POST", "/v1/hosts/h1/join", claim(1), { token: JOIN })).body;
  await ask("PUT", "/v1/networks/blue", blue);
  const made = await ask("POST", "/v1/endpoints", web, { token });
  assert.deepEqual([made.status, made.body.spec.addresses], [201, ["10.7.0.2"]]);
  const again = await ask("POST", "/v1/endpoints", web, { token });
  assert.deepEqual([again.status, again.body], [200, made.body]);
  for (const owner of ["a", "b", "c", "d"]) await ask("POST", "/v1/endpoints", { ...web, owner }, { token });
  isProblem(
    await ask("POST", "/v1/endpoints", { ...web, owner: "e" }, { token }),
    "exhausted",
    /all 5 of 10.7.0.0\/29/,
  );
  const refused = await ask("DELETE", "/v1/networks/blue");
  isProblem(refused, "in-use", /has endpoints/);
  assert.deepEqual(refused.body.blockers, ["a.eth0", "b.eth0", "c.eth0", "d.eth0", "web.eth0"]);
  assert.equal((await ask("DELETE", "/v1/endpoints/web.eth0")).status, 200);
  assert.equal((await ask("GET", "/v1/endpoints/web.eth0")).body.spec.detaching, true);
  assert.equal((await ask("DELETE", "/v1/endpoints/web.eth0", undefined, { token })).status, 200);
  assert.equal((await ask("GET", "/v1/endpoints/web.eth0")).status, 404);
  assert.equal((await ask("DELETE", "/v1/endpoints/web.eth0", undefined, { token })).status, 200);
  isProblem(await ask("DELETE", "/v1/endpoints/web.eth0"), "endpoint-unknown", /no endpoint/);
  assert.equal((await ask("DELETE", "/v1/endpoints/a.eth0?force=true")).status, 200);
  assert.equal((await ask("DELETE", "/v1/networks/blue?force=true")).status, 200);
  assert.deepEqual((await ask("GET", "/v1/endpoints")).body.items, []);
});

test("limits: texts with units in, numbers out; changed by an administrator, at the revision read", async () => {
  const { ask } = await open();
  const able = { ...claim(1), shaping: ["inbound", "outbound"] };
  const { certificate: token } = (await ask("POST", "/v1/hosts/h1/join", able, { token: JOIN })).body;
  const limited = { spec: { ...blue.spec, qos: { inbound: { average: "125kB/s" } } } };
  assert.deepEqual((await ask("PUT", "/v1/networks/blue", limited)).body.spec.qos, { inbound: { average: 1_000_000 } });
  const made = await ask("POST", "/v1/endpoints", { ...web, qos: { outbound: "none" } }, { token });
  assert.deepEqual(made.body.spec.qos, { outbound: "none" });
  const path = "/v1/endpoints/web.eth0";
  const match = { headers: { "if-match": `"${made.body.revision}"` } };
  const changed = await ask("PATCH", path, { qos: { outbound: { average: "1mbit", burst: "64KiB" } } }, match);
  assert.deepEqual([changed.status, changed.body.spec.qos], [200, { outbound: { average: 1_000_000, burst: 65_536 } }]);
  isProblem(await ask("PATCH", path, {}, match), "revision-stale", /is at revision/);
  isProblem(await ask("PATCH", path, { qos: {} }, { token }), "forbidden", /./);
  const wrong: readonly (readonly [unknown, "request-invalid" | "qos-invalid", RegExp])[] = [
    [{ qos: { inbound: { average: 64_000, max: 5 } } }, "request-invalid", /qos\.inbound\.max: unknown field/],
    [{ qos: { inbound: {} } }, "request-invalid", /qos\.inbound\.average/],
    [{ qos: { inbound: "fast" } }, "request-invalid", /qos\.inbound: expected "none" or "inherit"/],
    [{ qos: { inbound: { average: "fast" } } }, "qos-invalid", /qos\.inbound\.average/],
    [{ qos: { sideways: "none" } }, "request-invalid", /qos\.sideways: unknown field/],
    [{ netns: "/n" }, "request-invalid", /netns: unknown field/],
  ];
  for (const [body, reason, text] of wrong) isProblem(await ask("PATCH", path, body), reason, text);
  assert.deepEqual((await ask("GET", path)).body, changed.body);
});

test("metrics say how full networks are, how hosts are, and how fast commits", async () => {
  const { ask } = await open();
  await ask("POST", "/v1/hosts/h1/join", claim(1), { token: JOIN });
  await ask("PUT", "/v1/networks/blue", blue);
  await ask("PUT", "/v1/networks/dcos", { spec: { subnets: [{ cidr: "9.0.0.0/22", hostPrefix: 24 }] } });
  await ask("POST", "/v1/endpoints", web);
  await ask("PUT", "/v1/hosts/h1/report", { ...report, revision: 4, driftRepaired: 2 });
  const { text, headers } = await ask("GET", "/metrics");
  assert.match(String(headers["content-type"]), /^text\/plain; version=0.0.4/);
  const value = (line: string) =>
    text
      .split("\n")
      .find((each) => each.startsWith(`${line} `))
      ?.split(" ")
      .at(-1);
  assert.deepEqual(
    [
      'weft_addresses{network="blue",family="ipv4",state="used"}',
      'weft_addresses{network="blue",family="ipv4",state="free"}',
      'weft_blocks{network="dcos",family="ipv4",state="used"}',
      'weft_blocks{network="dcos",family="ipv4",state="free"}',
      'weft_hosts{state="ready"}',
      'weft_hosts{state="lost"}',
      "weft_commits_total",
      "weft_revision",
      "weft_commit_seconds_count",
      'weft_host_revision{host="h1"}',
      'weft_host_drift_repaired{host="h1"}',
      "weft_paths",
      "weft_paths_proven",
      "weft_watchers",
    ].map(value),
    ["1", "4", "1", "3", "1", "0", "4", "4", "4", "4", "2", "0", "0", "0"],
  );
  await ask("DELETE", "/v1/networks/dcos");
  assert.doesNotMatch((await ask("GET", "/metrics")).text, /network="dcos"/);
});

test("metrics of a full network, of what is held and resting, and of hosts that lag or are not well", async () => {
  const clock = { now: 1_000_000 };
  const { ask } = await open([], {
    clock: { nowMs: () => clock.now, monotonicMs: () => clock.now, sleep: () => new Promise<void>(() => undefined) },
  });
  for (const n of [1, 2]) await ask("POST", `/v1/hosts/h${n}/join`, claim(n), { token: JOIN });
  await ask("PUT", "/v1/networks/blue", { spec: { ...blue.spec, quarantine: 60 } });
  for (const owner of ["a", "b"]) await ask("POST", "/v1/endpoints", { ...web, owner });
  const { certificate: token } = (await ask("POST", "/v1/hosts/h1/join", claim(1), { token: JOIN })).body;
  assert.equal(token, undefined, "it has its own already");
  await ask("DELETE", "/v1/endpoints/a.eth0?force=true");
  await ask("POST", "/v1/holds", { network: "blue", first: "10.7.0.4", last: "10.7.0.6", reason: "r", owner: "o" });
  const reports = async () => {
    const { revision } = (await ask("GET", "/v1/status")).body;
    assert.equal((await ask("PUT", "/v1/hosts/h1/report", { ...report, revision })).status, 200);
  };
  await reports();
  assert.equal(
    (await ask("PUT", "/v1/networks/blue", { spec: { ...blue.spec, quarantine: 60, mtu: 1400 } })).status,
    200,
  );
  clock.now += 1_500;
  await reports();
  const lines = async () => new Map((await ask("GET", "/metrics")).text.split("\n").map((line) => splitAtLast(line)));
  const first = await lines();
  const of = (state: string) => first.get(`weft_addresses{network="blue",family="ipv4",state="${state}"}`);
  assert.deepEqual(["used", "held", "quarantined", "free"].map(of), ["1", "3", "1", "0"]);
  assert.equal(first.get('weft_host_lag_seconds{host="h1"}'), "1.5");
  assert.equal(first.get('weft_host_lag_seconds{host="h2"}'), undefined);
  const hosts = (values: Map<string, string>) =>
    ["ready", "suspect", "lost", "reclaimed", "expected"].map((state) => values.get(`weft_hosts{state="${state}"}`));
  assert.deepEqual(hosts(first), ["1", "1", "0", "0", "0"]);
  clock.now += 3_600_000;
  await ask("POST", "/v1/hosts/h2/reclaim?force=true");
  assert.deepEqual(hosts(await lines()), ["0", "0", "1", "1", "0"]);
});

function splitAtLast(line: string): [string, string] {
  const at = line.lastIndexOf(" ");
  return [line.slice(0, at), line.slice(at + 1)];
}

test("who had an address: at a moment, since one, before one", async () => {
  const clock = { now: 1_000 };
  const { ask } = await open([], {
    clock: { nowMs: () => clock.now, monotonicMs: () => clock.now, sleep: () => new Promise<void>(() => undefined) },
  });
  await ask("POST", "/v1/hosts/h1/join", claim(1), { token: JOIN });
  await ask("PUT", "/v1/networks/blue", { spec: { ...blue.spec, quarantine: 0 } });
  for (const owner of ["first", "second"]) {
    clock.now += 1_000;
    assert.equal((await ask("POST", "/v1/endpoints", { ...web, owner, addresses: ["10.7.0.2"] })).status, 201);
    clock.now += 1_000;
    await ask("DELETE", `/v1/endpoints/${owner}.eth0?force=true`);
  }
  const owners = async (query: string) =>
    (await ask("GET", `/v1/leases/history?address=10.7.0.2&${query}`)).body.items.map(
      ({ owner }: { owner: string }) => owner,
    );
  // The first had it from 2,000 to 3,000, the second from 4,000 to 5,000.
  for (const [query, expected] of [
    ["", ["second", "first"]],
    ["at=1999", []],
    ["at=2000", ["first"]],
    ["at=2999", ["first"]],
    ["at=3000", []],
    ["at=3500", []],
    ["at=4000", ["second"]],
    ["since=2999", ["second", "first"]],
    ["since=3000", ["second"]],
    ["before=4000", ["first"]],
    ["before=4001", ["second", "first"]],
    ["since=3000&before=4000", []],
    ["limit=1", ["second"]],
    ["network=blue", ["second", "first"]],
  ] as const)
    assert.deepEqual(await owners(query), expected, query);
});

test("hosts: drained and resumed by their ETag; reclaimed after a look; what an agent hears of it", async () => {
  const liveness = { suspectAfterMs: 30_000, lostAfterMs: 300_000, reclaimAfterMs: 600_000 };
  const { ask, control } = await open([], { liveness });
  const { certificate: token, reclaimAfterMs } = (await ask("POST", "/v1/hosts/h1/join", claim(1), { token: JOIN }))
    .body;
  assert.equal(reclaimAfterMs, 600_000);
  const heard = await ask("PUT", "/v1/hosts/h1/report", report, { token });
  assert.deepEqual(heard.body, {
    revision: 1,
    ca: control.authority?.pin,
    suspectAfterMs: 30_000,
    reclaimAfterMs: 600_000,
  });
  const drained = await ask("POST", "/v1/hosts/h1/drain", undefined, { headers: { "if-match": '"1"' } });
  assert.deepEqual([drained.status, drained.headers["etag"], drained.body.spec.drained], [200, '"2"', true]);
  isProblem(
    await ask("POST", "/v1/hosts/h1/resume", undefined, { headers: { "if-match": '"1"' } }),
    "revision-stale",
    /host "h1" is at revision 2/,
  );
  await ask("PUT", "/v1/networks/blue", { spec: { ...blue.spec, quarantine: 0 } });
  isProblem(await ask("POST", "/v1/endpoints", web), "host-drained", /weft host resume h1/);
  assert.equal((await ask("POST", "/v1/hosts/h1/resume")).body.spec.drained, undefined);
  isProblem(await ask("POST", "/v1/hosts/h9/drain"), "host-unknown", /h9/);
  assert.equal((await ask("POST", "/v1/endpoints", web)).status, 201);

  isProblem(await ask("POST", "/v1/hosts/h1/reclaim"), "in-use", /is ready, not lost/);
  const look = await ask("POST", "/v1/hosts/h1/reclaim?force=true&dryRun=true");
  assert.deepEqual(look.body.changes.map((one: { remove: string }) => one.remove).sort(), [
    "endpoint/web.eth0",
    "host/h1",
  ]);
  assert.equal((await ask("GET", "/v1/hosts/h1")).status, 200);
  const done = await ask("POST", "/v1/hosts/h1/reclaim?force=true");
  assert.deepEqual(done.body.changes, look.body.changes);
  for (const [method, url, body] of [
    ["GET", "/v1/snapshot"],
    ["PUT", "/v1/hosts/h1/report", report],
    ["POST", "/v1/hosts/h1/join", claim(1)],
  ] as const)
    isProblem(await ask(method, url, body, { token }), "host-reclaimed", /host "h1" was reclaimed at/);
  const metrics = (await ask("GET", "/metrics")).text;
  assert.match(metrics, /weft_hosts\{state="reclaimed"\} 1/);
  assert.deepEqual(
    (await ask("GET", "/v1/status")).body.hosts.map((one: { host: string; state: string }) => [one.host, one.state]),
    [["h1", "reclaimed"]],
  );
  assert.equal((await ask("DELETE", "/v1/hosts/h1")).status, 200);
  assert.deepEqual((await ask("GET", "/v1/status")).body.hosts, []);
});

test("holds, sets of endpoints and history over the wire", async () => {
  const { ask } = await open();
  await ask("POST", "/v1/hosts/h1/join", claim(1), { token: JOIN });
  const spec = {
    subnets: [{ cidr: "10.7.0.0/24" }],
    ranges: [{ name: "a", type: "ip4", first: "10.7.0.8", size: 8 }],
    quarantine: 0,
  };
  const made = await ask("PUT", "/v1/networks/blue", { spec });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  fits("Network", made.body);
  const body = { network: "blue", first: "10.7.0.9", last: "10.7.0.11", reason: "printers", owner: "ops" };
  const held = await ask("POST", "/v1/holds", body);
  assert.deepEqual([held.status, held.body.spec], [201, body]);
  assert.equal((await ask("POST", "/v1/holds", body)).body.reason, "address-held");
  assert.equal((await ask("POST", "/v1/holds", { ...body, reason: "" })).body.where, "reason");
  const vm = ["eth0", "eth1"].map((ifname) => ({ ...web, owner: "vm", ifname }));
  const set = await ask("POST", "/v1/endpoint-sets", { endpoints: vm });
  fits("Applied", set.body);
  assert.deepEqual(
    set.body.changes.map((change: { put: { spec: { addresses: string[] } } }) => change.put.spec.addresses[0]),
    ["10.7.0.8", "10.7.0.12"],
  );
  const wrong = await ask("POST", "/v1/endpoint-sets", { endpoints: [{ ...web, addresses: ["10.7.0.300"] }] });
  assert.deepEqual([wrong.status, wrong.body.where], [400, "endpoints[0].addresses[0]"]);
  const released = await ask("DELETE", "/v1/holds?network=blue&first=10.7.0.10");
  fits("Done", released.body);
  assert.equal((await ask("DELETE", "/v1/holds?network=blue&first=10.7.0.10")).body.reason, "hold-unknown");
  assert.equal((await ask("DELETE", "/v1/holds?network=blue")).body.where, "first");
  const small = { spec: { ...spec, ranges: [{ ...spec.ranges[0], size: 4 }] } };
  const refused = await ask("PUT", "/v1/networks/blue", small);
  assert.deepEqual(
    [refused.status, refused.body.blockers],
    [409, ["endpoint vm.eth1 on h1 (10.7.0.12, 02:00:0a:07:00:0c)"]],
  );
  assert.equal((await ask("PUT", "/v1/networks/blue?force=true", small)).status, 200);
  assert.equal((await ask("GET", "/v1/endpoints/vm.eth1")).body.spec.detaching, true);
  const history = await ask("GET", "/v1/leases/history?address=10.7.0.8");
  fits("LeaseHistory", history.body);
  assert.deepEqual(
    history.body.items.map((item: { owner: string; network: string }) => [item.owner, item.network]),
    [["vm", "blue"]],
  );
  assert.deepEqual((await ask("GET", "/v1/leases/history?address=10.7.0.8&at=5")).body.items, []);
  assert.equal((await ask("GET", "/v1/leases/history?address=nobody")).body.where, "?address");
  assert.equal((await ask("GET", "/v1/leases/history")).status, 400);
});

test("a group is loaded again by its name, by all hosts or by some; another one, or host, is refused", async () => {
  const { ask } = await open();
  await ask("POST", "/v1/hosts/h1/join", claim(1), { token: JOIN });
  const rules = [{ direction: "in", action: "allow", protocol: "tcp", ports: ["80"] }];
  const made = await ask("PUT", "/v1/securitygroups/web", { spec: { rules } });
  assert.equal(made.status, 201, made.text);
  const again = await ask("POST", "/v1/securitygroups/web/commit", {});
  assert.deepEqual([again.status, again.body?.name], [200, "web"], again.text);
  assert.ok(again.body.revision > made.body.revision);
  isProblem(await ask("POST", "/v1/securitygroups/other/commit", {}), "group-unknown", /"other"/);
  isProblem(await ask("POST", "/v1/securitygroups/web/commit", { hosts: ["h9"] }), "host-unknown", /"h9"/);
});
