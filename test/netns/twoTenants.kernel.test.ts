// Two tenants who know nothing but a name: each makes a network from the template private-ipv4. They get the same
// addresses on the same hosts; each reaches its own and the outside, and nothing of one is seen by the other.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { call, Cluster, OUTSIDE, packetsAt, type Workload } from "./lab/cluster.ts";
import { cliOf } from "./lab/weft.ts";

const TENANTS = ["red", "blue"] as const;
type Tenant = (typeof TENANTS)[number];

describe("two tenants with networks of private-ipv4", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(2);
  const { refused } = cliOf(cluster);
  const tokens = new Map<Tenant, string>();
  const workloads = new Map<string, Workload>();
  const of = (tenant: Tenant, host: string) =>
    workloads.get(`${tenant}-${host}`) ?? assert.fail(`nothing of ${tenant} on ${host}`);

  before(() => cluster.open());
  after(() => cluster.close());

  test("a name is enough, and both have the same addresses", async () => {
    for (const tenant of TENANTS) {
      await cluster.api("PUT", `/v1/usergroups/${tenant}`, { spec: {} });
      await cluster.api("PUT", `/v1/users/${tenant}`, { spec: { group: tenant } });
      const { status, body } = await cluster.api("POST", "/v1/tokens", { name: "test", user: tenant });
      assert.ok(status < 300, JSON.stringify(body));
      tokens.set(tenant, body.token);
      const as = { socketPath: cluster.serverSocket, token: body.token as string };
      const made = await call(as, "POST", "/v1/templates/private-ipv4/instantiate", { name: tenant });
      assert.equal(made.status, 201, JSON.stringify(made.body));
      const said = JSON.stringify(made.body.networks[0]);
      assert.match(said, /10\.64\.0\.0\/24.*10\.64\.0\.1/);
      assert.equal(made.body.networks[0].access.owner, tenant);
    }
    await refused(/there is a network "red" already/, "template", "instantiate", "private-ipv4", "red");
    await cluster.converged();
    for (const tenant of TENANTS)
      for (const host of cluster.hosts)
        workloads.set(`${tenant}-${host}`, await cluster.attach(host, tenant, `${tenant}-${host}`));
    await cluster.converged();
    for (const host of cluster.hosts) {
      assert.deepEqual(of("red", host).addresses, of("blue", host).addresses);
      assert.match(of("red", host).addresses[0] ?? "", /^10\.64\.0\./);
    }
  });

  test("lists and every resource that one may read show nothing of the other", async () => {
    const { body: document } = await cluster.api("GET", "/openapi.json");
    const lists = Object.keys(document.paths).filter((path) => /^\/v1\/[a-z]+$/.test(path));
    assert.ok(lists.length > 15);
    for (const [tenant, other] of [
      ["red", "blue"],
      ["blue", "red"],
    ] as const) {
      const as = { socketPath: cluster.serverSocket, token: tokens.get(tenant) ?? "" };
      for (const path of lists.filter((each) => document.paths[each].get !== undefined && each !== "/v1/watch")) {
        const text = JSON.stringify((await call(as, "GET", path)).body);
        assert.doesNotMatch(text, new RegExp(`\\b${other}\\b`), `${tenant}: ${path}`);
      }
      assert.equal((await call(as, "GET", `/v1/networks/${other}`)).status, 404);
      assert.equal((await call(as, "DELETE", `/v1/networks/${other}?force=true`)).status, 404);
    }
  });

  test("each pings its own and its gateway; the outside sees the host", async () => {
    const [address = ""] = of("red", "h2").addresses;
    for (const tenant of TENANTS) {
      const from = of(tenant, "h1");
      await cluster.reaches(from, address);
      await cluster.reaches(from, "10.64.0.1");
      await cluster.reaches(from, OUTSIDE);
      const outside = await packetsAt(cluster.wire, "lan", `icmp and host ${OUTSIDE}`, () =>
        cluster.pings(from, OUTSIDE, 2),
      );
      assert.match(outside, new RegExp(`${cluster.underlayOf("h1")} > ${OUTSIDE}`));
      assert.doesNotMatch(outside, /10\.64\./);
    }
  });

  test("no frame of one is at the other: not at its workloads, not in its namespaces", async () => {
    const [address = ""] = of("red", "h2").addresses;
    for (const [sender, silent] of [
      ["red", "blue"],
      ["blue", "red"],
    ] as const) {
      const { mac } = of(sender, "h1");
      const ears = cluster.hosts.flatMap((host) => [
        { netns: of(silent, host).netns, dev: "eth0" },
        { netns: cluster.vrfNetns(host, silent), dev: "any" },
      ]);
      let heard = "";
      let act: () => Promise<unknown> = async () => {
        assert(await cluster.pings(of(sender, "h1"), address, 5, 10_000));
        await cluster.pings(of(sender, "h1"), OUTSIDE, 2);
      };
      for (const { netns, dev } of ears) {
        const inner = act;
        act = async () => void (heard += await packetsAt(netns, dev, "icmp", inner));
      }
      await act();
      assert.equal(heard, "", `${silent} hears ${sender} (${mac})`);
    }
  });
});
