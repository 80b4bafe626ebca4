// The underlay address of a host changes while everything runs, as DHCP or another NIC does it.
import assert from "node:assert/strict";
import { basename } from "node:path";
import { after, before, describe, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { whyNoKernelTests } from "../runner/machine.ts";
import { BOTH_DATAPATHS, Cluster, must, until, type Workload } from "./lab/cluster.ts";

describe("an underlay address that changes", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(3);
  const workloads: Workload[] = [];
  const ip = (host: string, ...words: string[]) => must("ip", "-n", cluster.netnsOf(host), ...words);
  /** The new address is there before the old one goes, or a second later. */
  const readdress = async (host: string, address: string, first: "add" | "del") => {
    const add = async () => {
      await ip(host, "addr", "add", `${address}/24`, "dev", "eth0");
      await ip(host, "route", "replace", "default", "via", "172.31.77.1");
    };
    if (first === "add") await add();
    await ip(host, "addr", "del", `${cluster.underlayOf(host)}/24`, "dev", "eth0");
    if (first === "del") await add();
  };
  const everyPair = async () => {
    for (const a of workloads)
      for (const b of workloads)
        if (a.netns.slice(0, -1) === b.netns.slice(0, -1) && a !== b)
          for (const to of b.addresses) if (!(await cluster.pings(a, to))) return false;
    return true;
  };

  before(async () => {
    cluster.floating.add("h1").add("h3");
    await cluster.open();
    // As systemd sets it: the kernel would remove the new address with the old one of the same network.
    for (const host of cluster.hosts)
      await must(
        "ip",
        "netns",
        "exec",
        cluster.netnsOf(host),
        "sysctl",
        "-qw",
        "net.ipv4.conf.all.promote_secondaries=1",
      );
    for (const [name, spec] of Object.entries(BOTH_DATAPATHS)) {
      const { status, body } = await cluster.api("PUT", `/v1/networks/${name}`, { spec });
      assert.equal(status, 201, JSON.stringify(body));
    }
    await cluster.converged();
    for (const network of Object.keys(BOTH_DATAPATHS))
      for (const host of cluster.hosts) workloads.push(await cluster.attach(host, network, `${network}-${host}`));
    await until("everybody reaches everybody", everyPair);
  });
  after(() => cluster.close());

  test("when a link carries less, or more again, all workloads follow at once", async () => {
    const mtus = async () => {
      const shown = workloads.map(({ netns }) => must("ip", "-n", basename(netns), "-o", "link", "show", "eth0"));
      return new Set((await Promise.all(shown)).map((line) => Number(/ mtu (\d+)/.exec(line)?.[1])));
    };
    for (const mtu of [1400, 1500]) {
      await ip("h2", "link", "set", "eth0", "mtu", String(mtu));
      // A heartbeat is ten seconds.
      const isSo = async () => isDeepStrictEqual(await mtus(), new Set([mtu - 50]));
      await until(`all interfaces have ${mtu - 50}`, isSo, 4_000);
    }
  });

  test("without --underlay the agent finds its new address, and all peers follow", async () => {
    await readdress("h1", "172.31.77.111", "add");
    await until("traffic flows again", everyPair, 10_000);
    const shown = await cluster.weft("host", "show", "h1");
    assert.match(shown.stdout, /^Underlay: +172\.31\.77\.111,/m);
    await cluster.converged();
  });

  test("also when the host has no address at all in between", async () => {
    await readdress("h3", "172.31.77.113", "del");
    await until("traffic flows again", everyPair, 15_000);
    const shown = await cluster.weft("host", "show", "h3");
    assert.match(shown.stdout, /^Underlay: +172\.31\.77\.113,/m);
    await cluster.converged();
  });

  test("with --underlay a condition names the address, and reports go on until it is back", async () => {
    await readdress("h2", "172.31.77.112", "add");
    const own = async () => (await cluster.status()).hosts.find(({ host }) => host === "h2");
    const named = "this host does not have the address 172.31.77.12";
    await until("a condition names it", async () =>
      (await own())?.status?.conditions.some((text) => text.startsWith(named)),
    );
    assert.match((await cluster.weft("host", "show", "h2")).stdout, /does not have the address 172\.31\.77\.12/);
    // A revision of after the loss is reached and told.
    const { body } = await cluster.api("PUT", "/v1/networks/later", { spec: { subnets: [{ cidr: "10.9.0.0/16" }] } });
    assert.equal(body.name, "later", JSON.stringify(body));
    await cluster.converged();

    await ip("h2", "addr", "add", "172.31.77.12/24", "dev", "eth0");
    await until("the condition ends", async () => (await own())?.status?.conditions.length === 0);
    await until("traffic flows again", everyPair);
  });
});
