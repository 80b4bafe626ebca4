// Two tenants with the same addresses on the same hosts, in networks of both kinds: each reaches its own, and no packet
// of one is seen by the other.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, must, packetsAt, run, type Workload } from "./lab/cluster.ts";

const TENANTS = ["red", "blue"] as const;
const KINDS = {
  routed: { subnets: [{ cidr: "10.60.0.0/24", hostPrefix: 26 }] },
  switched: { subnets: [{ cidr: "10.61.0.0/24" }, { cidr: "fd61::/64" }], ipam: "global" },
} as const;
type Tenant = (typeof TENANTS)[number];

/** For an answer that comes at once unless the machine is busy; each request is counted, so none is sent again. */
const PATIENT_MS = 10_000;

describe("two tenants with the same addresses", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(2);
  const workloads = new Map<string, Workload>();
  const of = (tenant: Tenant, kind: string, host: string) =>
    workloads.get(`${tenant}-${kind}-${host}`) ?? assert.fail(`nothing of ${tenant} on ${host}`);

  before(() => cluster.open());
  after(() => cluster.close());

  test("they may have them, and have: address by address, host by host", async () => {
    for (const tenant of TENANTS) {
      for (const [kind, spec] of Object.entries(KINDS)) {
        const { status, body } = await cluster.api("PUT", `/v1/networks/${tenant}-${kind}`, {
          spec: { ...spec, vrf: tenant },
        });
        assert.equal(status, 201, JSON.stringify(body));
      }
    }
    await cluster.converged();
    for (const tenant of TENANTS) {
      for (const kind of Object.keys(KINDS)) {
        for (const host of cluster.hosts) {
          const name = `${tenant}-${kind}-${host}`;
          workloads.set(name, await cluster.attach(host, `${tenant}-${kind}`, name));
        }
      }
    }
    await cluster.converged();
    for (const kind of Object.keys(KINDS))
      for (const host of cluster.hosts)
        assert.deepEqual(of("red", kind, host).addresses, of("blue", kind, host).addresses, `${kind} on ${host}`);
    // Inside one tenant the same range is refused.
    const { status, body } = await cluster.api("PUT", "/v1/networks/third", {
      spec: { subnets: [{ cidr: "10.60.0.128/25" }], vrf: "red" },
    });
    assert.deepEqual([status, body.reason], [409, "overlap"]);
  });

  for (const kind of Object.keys(KINDS)) {
    test(`${kind}: each packet arrives at its own tenant, and nowhere else`, async () => {
      const counts = { red: 5, blue: 7 } as const;
      for (const [i, address] of of("red", kind, "h2").addresses.entries()) {
        const echo = address.includes(":") ? "icmp6[icmp6type]==icmp6-echo" : "icmp[icmptype]==icmp-echo";
        const seen = { red: "", blue: "" };
        // Both tenants at once, to the same address; each counts what arrives.
        const send = (tenant: Tenant) => async () => {
          assert(
            await cluster.pings(of(tenant, kind, "h1"), address, counts[tenant], PATIENT_MS),
            `${tenant} reaches its own`,
          );
        };
        const watched = async (tenant: Tenant, during: () => Promise<unknown>) => {
          seen[tenant] = await packetsAt(of(tenant, kind, "h2").netns, "eth0", echo, during);
        };
        await watched("red", () => watched("blue", () => Promise.all(TENANTS.map((tenant) => send(tenant)()))));
        const arrived = (tenant: Tenant) => seen[tenant].split("\n").filter((line) => line.includes(address)).length;
        assert.deepEqual({ red: arrived("red"), blue: arrived("blue") }, counts, `${address} (${i})`);
      }
    });

    test(`${kind}: one tenant alone sends, and nothing of the other's hears of it`, async () => {
      const [address = ""] = of("red", kind, "h2").addresses;
      for (const [sender, silent] of [
        ["red", "blue"],
        ["blue", "red"],
      ] as const) {
        // Both workloads of the silent one, and everything in its namespaces on both hosts.
        const ears = cluster.hosts.flatMap((host) => [
          { netns: of(silent, kind, host).netns, dev: "eth0" },
          { netns: cluster.vrfNetns(host, silent), dev: "any" },
        ]);
        let heard = "";
        let act: () => Promise<unknown> = async () => {
          assert(await cluster.pings(of(sender, kind, "h1"), address, 5, PATIENT_MS));
        };
        for (const { netns, dev } of ears) {
          const inner = act;
          act = async () => void (heard += await packetsAt(netns, dev, "icmp", inner));
        }
        await act();
        assert.equal(heard, "", `${silent} hears ${sender}`);
      }
    });
  }

  test("what one has alone, the other does not reach; its address is free there", async () => {
    const only = await cluster.attach("h2", "red-routed", "red-only");
    const [address = ""] = only.addresses;
    await cluster.reaches(of("red", "routed", "h1"), address, 2);
    const heard = await packetsAt(only.netns, "eth0", "icmp", async () => {
      assert.equal(await cluster.pings(of("blue", "routed", "h1"), address), false, "the other tenant");
      assert.equal(await cluster.pings(of("blue", "switched", "h2"), address), false, "from its other network");
    });
    assert.equal(heard, "");
    // Not even by writing the route by hand: the workload's only way is into its own tenant's namespace.
    await must("ip", "-n", of("blue", "routed", "h1").netns, "route", "replace", `${address}/32`, "dev", "eth0");
    assert.equal(await cluster.pings(of("blue", "routed", "h1"), address), false);
    assert.equal(
      (await run("ip", "-n", cluster.netnsOf("h1"), "route", "get", address)).stdout.includes("weft"),
      false,
    );
  });
});
