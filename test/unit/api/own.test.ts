// What a user is shown of its own besides resources: map, progress, status, lease history, audit records. Of others,
// who had the same names, share its networks or use another token, nothing.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { reportOf } from "../control/lab.ts";
import { JOIN, claim, closeAll, fits, isProblem, open } from "./lab.ts";

after(closeAll);

/** ann and ben with a network each, one that both may use, and an endpoint of each in it; hosts h1, h2 and h3. */
async function tenants() {
  const api = await open();
  const must = async (method: string, url: string, body?: unknown, token?: string) => {
    const reply = await api.ask(method, url, body, { token });
    assert.ok(reply.status < 300, `${method} ${url}: ${reply.text}`);
    return reply.body;
  };
  const certificates: string[] = [];
  for (const n of [1, 2, 3])
    certificates.push((await must("POST", `/v1/hosts/h${n}/join`, claim(n), JOIN)).certificate);
  await must("PUT", "/v1/usergroups/staff", { spec: {} });
  const tokens: Record<string, string> = {};
  for (const user of ["ann", "ben"]) {
    await must("PUT", `/v1/users/${user}`, { spec: { group: "staff" } });
    tokens[user] = (await must("POST", "/v1/tokens", { name: "one", user })).token;
    await must("POST", "/v1/templates/private-ipv4/instantiate", { name: `of-${user}` }, tokens[user]);
  }
  await must("PUT", "/v1/networks/both", { spec: { subnets: [{ cidr: "10.20.0.0/24" }] } });
  await must("POST", "/v1/networks/both/chmod", { mode: "------u--" });
  const attach = (user: string, network: string, host: number, address?: string) =>
    must(
      "POST",
      "/v1/endpoints",
      {
        network,
        host: `h${host}`,
        owner: `${user}-${network}`,
        ifname: "eth0",
        netns: "/run/netns/a",
        userToken: tokens[user],
        ...(address === undefined ? {} : { addresses: [address] }),
      },
      certificates[host - 1],
    );
  await attach("ann", "of-ann", 1);
  await attach("ben", "of-ben", 2);
  await attach("ann", "both", 1, "10.20.0.10");
  await attach("ben", "both", 3, "10.20.0.11");
  for (const n of [1, 2, 3]) {
    const { revision } = api.control;
    const said = { revision, networks: ["of-ann", "of-ben", "both"], errors: ["of-ben: no"] };
    await must("PUT", `/v1/hosts/h${n}/report`, reportOf(`h${n}`, said), certificates[n - 1]);
  }
  const as = (user: string, url: string) => api.ask("GET", url, undefined, { token: tokens[user] ?? "" });
  return { ...api, must, as, tokens, certificates };
}

test("the map of a network is its manager's", async () => {
  const { as } = await tenants();
  const map = await as("ann", "/v1/networks/of-ann/map");
  fits("SpaceMap", map.body);
  assert.equal(map.body.network, "of-ann");
  isProblem(await as("ann", "/v1/networks/of-ben/map"), "network-unknown", /of-ben/);
  isProblem(await as("ann", "/v1/networks/both/map"), "forbidden", /the right manage is missing/);
});

test("progress counts endpoints that one sees", async () => {
  const { as, ask } = await tenants();
  const hostsOf = (body: { hosts: { host: string; endpoints: number }[] }) =>
    body.hosts.map(({ host, endpoints }) => `${host} ${endpoints}`);
  assert.deepEqual(hostsOf((await as("ann", "/v1/networks/both/progress")).body), ["h1 1"]);
  assert.deepEqual(hostsOf((await as("ben", "/v1/networks/both/progress")).body), ["h3 1"]);
  assert.deepEqual(hostsOf((await ask("GET", "/v1/networks/both/progress")).body), ["h1 1", "h3 1"]);
  isProblem(await as("ann", "/v1/networks/of-ben/progress"), "network-unknown", /of-ben/);
});

test("status shows hosts that have something of the user's, and of these how far they are", async () => {
  const { as, control } = await tenants();
  const { body, text } = await as("ann", "/v1/status");
  fits("ClusterStatus", body);
  const hosts = body.hosts as { host: string; state: string; status: { revision: number; networks: string[] } }[];
  assert.deepEqual(
    hosts.map(({ host, state, status }) => [host, state, status.networks]),
    [["h1", "ready", ["of-ann"]]],
  );
  assert.ok((hosts[0]?.status.revision ?? 0) > 0 && body.revision === control.revision);
  assert.doesNotMatch(text, /192\.168|of-ben|both|h2|h3/);
});

test("leases of networks that one manages, and endpoints that one has; not of who had the names before", async () => {
  const { as, must, certificates, ask } = await tenants();
  const leases = async (user: string, address: string) =>
    ((await as(user, `/v1/leases/history?address=${address}`)).body.items as { endpoint: string }[]).map(
      ({ endpoint }) => endpoint,
    );
  assert.deepEqual(await leases("ann", "10.64.0.2"), ["ann-of-ann.eth0"]);
  assert.deepEqual(await leases("ben", "10.64.0.2"), ["ben-of-ben.eth0"]);
  assert.deepEqual(await leases("ann", "10.20.0.10"), ["ann-both.eth0"]);
  assert.deepEqual(await leases("ann", "10.20.0.11"), []);
  // ben's network goes, and ann makes one of its name.
  await must("DELETE", "/v1/endpoints/ben-of-ben.eth0", undefined, certificates[1]);
  await must("DELETE", "/v1/networks/of-ben");
  await must("PUT", "/v1/networks/of-ben", { spec: { subnets: [{ cidr: "10.64.0.0/24" }] } });
  await must("POST", "/v1/networks/of-ben/chown", { owner: "ann" });
  assert.deepEqual(await leases("ann", "10.64.0.2"), ["ann-of-ann.eth0"]);
  const all = await ask("GET", "/v1/leases/history?address=10.64.0.2");
  fits("LeaseHistory", all.body);
  assert.equal(all.body.items.length, 2);
});

test("audit: a narrowed token reads what it did itself; who has a name anew nothing of who had it", async () => {
  const { must, ask, tokens } = await tenants();
  const narrow = await must("POST", "/v1/tokens", { name: "narrow", rights: ["use"] }, tokens["ann"]);
  const verbs = async (token: string | undefined) =>
    ((await ask("GET", "/v1/audit", undefined, { token })).body.items as { verb: string }[]).map(({ verb }) => verb);
  assert.deepEqual(await verbs(narrow.token), []);
  isProblem(await ask("DELETE", "/v1/networks/of-ann", undefined, { token: narrow.token }), "forbidden", /ann/);
  assert.deepEqual(await verbs(narrow.token), ["delete"]);
  const own = await verbs(tokens["ann"]);
  assert.ok(own.includes("instantiate") && own.includes("delete"), own.join(" "));
  await must("DELETE", "/v1/users/ann?force=true");
  await must("PUT", "/v1/users/ann", { spec: { group: "staff" } });
  const { token } = await must("POST", "/v1/tokens", { name: "one", user: "ann" });
  assert.deepEqual(await verbs(token), []);
});

test("what a dry run refuses to a user has a record", async () => {
  const { ask, tokens } = await tenants();
  const network = { kind: "network", name: "of-ben", spec: { subnets: [{ cidr: "10.1.0.0/24" }] } };
  const wish = { resources: [network], dryRun: true };
  assert.ok((await ask("POST", "/v1/apply", wish, { token: tokens["ann"] })).status >= 400);
  const { body } = await ask("GET", "/v1/audit?user=ann&result=refused");
  assert.equal(body.items[0]?.verb, "apply");
});
