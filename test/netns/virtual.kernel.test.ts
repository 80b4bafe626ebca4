// Virtual IPs, as keepalived moves them: an address that several endpoints may have is put on one's interface and taken
// from the other's, and its new holder says so with one gratuitous ARP, or one unsolicited advertisement. Clients on
// both hosts know where it was, and would not ask again for half a minute.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, must, run, until, type Workload } from "./cluster.ts";
import * as frames from "./frames.ts";
import { Interface } from "./interface.ts";

const VIPS = ["10.7.200.1", "fd07::200:1"] as const;
/** What a takeover may take, as the clients see it. */
const TAKEOVER_MS = 1_000;
const ALL_NODES = { mac: "33:33:00:00:00:01", ip: "ff02::1" };

describe("virtual IPs", { skip: whyNoKernelTests() ?? false, timeout: 120_000 }, () => {
  const cluster = new Cluster(2);
  const workloads = new Map<string, Workload>();
  const of = (name: string) => workloads.get(name) ?? assert.fail(`${name} is not attached`);

  const put = async (path: string, spec: unknown) => {
    const { status, body } = await cluster.api("PUT", path, { spec });
    assert(status < 300, `${path}: ${JSON.stringify(body)}`);
  };
  const attach = async (host: string, network: string, name: string, more: object) =>
    workloads.set(name, await cluster.attach(host, network, name, { ...more }));
  /** Without duplicate address detection, as keepalived adds them. */
  const address = (verb: "add" | "del", { netns }: Workload, vip: string) => {
    const [length, ...nodad] = !vip.includes(":") ? ["32"] : verb === "add" ? ["128", "nodad"] : ["128"];
    return must("ip", "-n", netns, "address", verb, `${vip}/${length}`, "dev", "eth0", ...nodad);
  };
  const has = async ({ netns }: Workload, vip: string) =>
    (await must("ip", "-n", netns, "address", "show", "dev", "eth0")).includes(` ${vip}/`);
  const reaches = async ({ netns }: Workload, vip: string) =>
    (await run("ip", "netns", "exec", netns, "ping", "-n", "-q", "-c", "1", "-W", "0.2", vip)).code === 0;

  /** One frame, as the holder's keepalived sends it. */
  const announce = async ({ netns, mac }: Workload, vip: string) => {
    const wire = await Interface.in(netns, "eth0");
    try {
      const all = { fromMac: mac, toMac: frames.BROADCAST, from: vip, to: vip };
      const frame = vip.includes(":")
        ? frames.advertisement({ ...all, toMac: ALL_NODES.mac, to: ALL_NODES.ip }, vip, mac)
        : frames.arp(all, 1, "");
      assert(wire.send(frame));
    } finally {
      wire.close();
    }
  };
  const takeOver = async (from: Workload, to: Workload, clients: readonly Workload[], vip: string) => {
    await address("del", from, vip);
    await address("add", to, vip);
    await announce(to, vip);
    const since = performance.now();
    await Promise.all(
      clients.map((client) =>
        until(`${client.endpoint} reaches ${vip} at ${to.endpoint}`, () => reaches(client, vip), TAKEOVER_MS),
      ),
    );
    assert(performance.now() - since < TAKEOVER_MS + 300, "in time");
  };

  before(async () => {
    await cluster.open();
    for (const [network, subnet] of [
      ["plain", 7],
      ["grouped", 7],
    ] as const)
      await put(`/v1/networks/${network}`, {
        ipam: "global",
        subnets: [{ cidr: `10.${subnet}.0.0/16` }, { cidr: "fd07::/64" }],
      });
    await put("/v1/securitygroups/clients", { rules: [] });
    await put("/v1/securitygroups/nodes", {
      rules: ["icmp", "icmpv6"].map((protocol) => ({
        direction: "in",
        action: "allow",
        protocol,
        peer: { group: "clients" },
      })),
    });
    await put("/v1/securitygroups/clients", {
      rules: [{ direction: "out", action: "allow", protocol: "all", peer: { group: "nodes" } }],
    });
    const allowedAddresses = VIPS.map((vip) => ({ address: vip }));
    for (const network of ["plain", "grouped"])
      for (const [role, list] of [
        ["node", ["h1", "h2", "h1"]],
        ["client", ["h1", "h2"]],
      ] as const)
        for (const [n, host] of list.entries())
          await attach(host, network, `${network}-${role}${n}`, {
            ...(role === "node" ? { allowedAddresses } : {}),
            ...(network === "grouped" ? { securityGroups: [`${role}s`] } : {}),
          });
    await cluster.converged();
  });
  after(() => cluster.close());

  test("an allowed address that the workload adds stays when the agent looks, and no other", async () => {
    const [allowed, other] = [of("plain-node0"), of("plain-node2")];
    const allow = async (list: readonly string[]) => {
      const wish = { allowedAddresses: list.map((vip) => ({ address: vip })) };
      assert.equal((await cluster.api("PATCH", `/v1/endpoints/${other.endpoint}`, wish)).status, 200);
      await cluster.converged();
    };
    await allow([]);
    await cluster.kill("h1");
    for (const vip of VIPS) for (const node of [allowed, other]) await address("add", node, vip);
    await cluster.startAgent("h1");
    for (const vip of VIPS) await until(`${vip} is taken away`, async () => !(await has(other, vip)));
    await cluster.converged();
    for (const vip of VIPS) assert(await has(allowed, vip), `${vip} was taken from who may have it`);
    for (const vip of VIPS) await address("del", allowed, vip);
    await allow(VIPS);
  });

  for (const network of ["plain", "grouped"]) {
    for (const vip of VIPS) {
      test(`${network}: ${vip} is taken over, and clients on both hosts see it within a second`, async () => {
        const nodes = [0, 1, 2].map((n) => of(`${network}-node${n}`));
        const clients = [0, 1].map((n) => of(`${network}-client${n}`));
        const [first, second, third] = nodes;
        assert(first !== undefined && second !== undefined && third !== undefined);
        await address("add", first, vip);
        for (const client of clients) await until("it is reached at first", () => reaches(client, vip));
        // To another host, from there, and on one host.
        await takeOver(first, second, clients, vip);
        await takeOver(second, first, clients, vip);
        await takeOver(first, third, clients, vip);
        await address("del", third, vip);
      });
    }
  }
});
