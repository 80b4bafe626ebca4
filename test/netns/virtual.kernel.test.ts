// Virtual IPs, as keepalived moves them: an allowed address of several endpoints moves from one interface to another,
// and its new holder announces it with one gratuitous ARP, or one unsolicited advertisement. Clients on both hosts know
// the old place, and would not ask again for half a minute. With a MAC of its own (`use_vmac`), the MAC moves.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, must, run, until, type Workload } from "./lab/cluster.ts";
import * as frames from "./lab/frames.ts";
import { Interface } from "./lab/interface.ts";

const VIPS = ["10.7.200.1", "fd07::200:1"] as const;
/** What a takeover may take, as the clients see it. */
/** A neighbour that is asked for anew takes some 5 s longer; a busy machine is given time. */
const TAKEOVER_MS = 4_000;
/** As keepalived's `use_vmac` has it. */
const VMAC = "00:00:5e:00:01:33";
const ALL_NODES = { mac: "33:33:00:00:00:01", ip: "ff02::1" };

describe("virtual IPs", { skip: whyNoKernelTests() ?? false }, () => {
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
  const announce = async ({ netns, mac: own }: Workload, vip: string, mac = own) => {
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
    await Promise.all(
      clients.map((client) =>
        until(`${client.endpoint} reaches ${vip} at ${to.endpoint}`, () => reaches(client, vip), TAKEOVER_MS),
      ),
    );
  };

  before(async () => {
    await cluster.open();
    for (const [network, subnet] of [
      ["plain", 7],
      ["grouped", 7],
      ["plain-mac", 7],
      ["grouped-mac", 7],
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
    const allowedOf = (network: string) =>
      VIPS.map((vip) => ({ address: vip, ...(network.endsWith("-mac") ? { mac: VMAC } : {}) }));
    for (const network of ["plain", "grouped", "plain-mac", "grouped-mac"])
      for (const [role, list] of [
        ["node", ["h1", "h2", "h1"]],
        ["client", ["h1", "h2"]],
      ] as const)
        for (const [n, host] of list.entries())
          await attach(host, network, `${network}-${role}${n}`, {
            ...(role === "node" ? { allowedAddresses: allowedOf(network) } : {}),
            ...(network.startsWith("grouped") ? { securityGroups: [`${role}s`] } : {}),
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
      test(`${network}: ${vip} is taken over, and clients on both hosts see it at once`, async () => {
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

  /** Until a ping of each client to the virtual MAC comes to `to`, and to nobody else that may have it. */
  const held = async (network: string, to: number, wires: ReadonlyMap<string, Interface>) => {
    const wireOf = (name: string) => wires.get(name) ?? assert.fail(name);
    for (const name of ["client0", "client1"]) {
      const { mac, addresses } = of(`${network}-${name}`);
      for (const vip of VIPS) {
        const own = addresses.find((text) => text.includes(":") === vip.includes(":")) ?? assert.fail(name);
        const ends = { fromMac: mac, toMac: VMAC, from: own, to: vip };
        // Another one, once it is known: those on their way may still come to the one before.
        let tag = "";
        for (const when of ["first", "then"]) {
          tag = `${when} ${randomUUID()}`;
          await until(
            `${network}: ${name} reaches ${vip} at node${to}`,
            async () => {
              wireOf(name).send(frames.icmp(ends, vip.includes(":") ? 128 : 8, tag));
              return wireOf(`node${to}`).has(tag);
            },
            TAKEOVER_MS,
          );
        }
        for (const n of [0, 1, 2]) if (n !== to) assert(!wireOf(`node${n}`).has(tag), `node${n} gets it, too`);
      }
    }
  };

  for (const network of ["plain-mac", "grouped-mac"]) {
    test(`${network}: a virtual MAC of several is where its holder is, and endpoints' own MACs stay`, async () => {
      const wires = new Map<string, Interface>();
      try {
        for (const name of ["node0", "node1", "node2", "client0", "client1"])
          wires.set(name, await Interface.in(of(`${network}-${name}`).netns, "eth0"));
        const fdb = async (host: string) =>
          (await must("bridge", "-n", cluster.vrfNetns(host, network), "fdb", "show", "br", `wb-${network}`))
            .split("\n")
            .filter((line) => line !== "" && !line.startsWith(VMAC))
            .sort();
        const before = [await fdb("h1"), await fdb("h2")];
        for (const to of [0, 1, 0, 2, 1]) {
          for (const vip of VIPS) await announce(of(`${network}-node${to}`), vip, VMAC);
          await held(network, to, wires);
        }
        // Who may not have it does not get it.
        for (const name of ["client0", "client1"])
          for (const vip of VIPS) await announce(of(`${network}-${name}`), vip, VMAC);
        await held(network, 1, wires);
        await cluster.converged();
        assert.deepEqual([await fdb("h1"), await fdb("h2")], before);
        // A router may be silent for long, and what is forgotten goes nowhere.
        const bridge = `wb-${network}`;
        for (const host of ["h1", "h2"]) {
          const seen = await must("ip", "-n", cluster.vrfNetns(host, network), "-d", "link", "show", bridge);
          assert.match(seen, /ageing_time 86400000 /);
        }
      } finally {
        for (const wire of wires.values()) wire.close();
      }
    });
  }
});
