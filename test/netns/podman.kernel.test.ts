// A real container runtime: podman, with Weft as its CNI plugin, on two hosts. What works here works by the files that
// agents keep and the plugin that runtimes execute, with nothing in between.
import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test, type TestContext } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, type Json, run, until } from "./lab/cluster.ts";
import { agreed } from "./lab/inventory.ts";
import { Podman } from "./lab/podman.ts";

describe("podman with Weft as its CNI plugin", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(2);
  const podmen = new Map(cluster.hosts.map((host) => [host, new Podman(cluster, host)]));
  const on = (host: string) => podmen.get(host) ?? assert.fail();
  let obstacle: string | undefined;
  const must = async (host: string, ...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await on(host).run(...args);
    assert.equal(code, 0, `podman ${args.join(" ")}: ${stderr}\n${cluster.log(host).slice(-2000)}`);
    return stdout.trim();
  };
  const start = (host: string, name: string, ...options: readonly string[]): Promise<string> =>
    must(host, "run", "--detach", "--name", name, ...options, "--rootfs", on(host).rootfs, "/bin/sleep", "600");
  const addressOf = async (host: string, name: string, network: string): Promise<string> => {
    const [{ NetworkSettings }]: Json[] = JSON.parse(await must(host, "inspect", name));
    return NetworkSettings.Networks[network].IPAddress;
  };
  /** Whether the runtime can run here is known only when it was tried. */
  const isPossible = (t: TestContext): boolean => {
    if (obstacle !== undefined) t.skip(obstacle);
    return obstacle === undefined;
  };

  before(async () => {
    await cluster.open();
    obstacle = (await Promise.all([...podmen.values()].map((podman) => podman.obstacle()))).find(Boolean);
    for (const [name, spec] of Object.entries({
      pods: { ipam: "local", cni: true, subnets: [{ cidr: "10.97.0.0/16", hostPrefix: 24 }] },
      flat: { ipam: "global", cni: true, subnets: [{ cidr: "10.98.0.0/16" }] },
      plain: { ipam: "local", subnets: [{ cidr: "10.99.0.0/16", hostPrefix: 24 }] },
    }))
      assert.equal((await cluster.api("PUT", `/v1/networks/${name}`, { spec })).status, 201);
    await cluster.converged();
  });
  after(async () => {
    for (const podman of podmen.values()) await podman.close();
    await cluster.close();
  });

  test("a container on one host talks to one on another", async (t) => {
    if (!isPossible(t)) return;
    assert.deepEqual(
      readdirSync(cluster.cniDir("h1")).filter((file) => file.endsWith(".conflist")),
      ["weft-flat.conflist", "weft-pods.conflist"],
      "a file for each network that is marked, and for no other",
    );
    await Promise.all([start("h1", "web", "--network", "pods"), start("h2", "db", "--network", "pods")]);
    const address = await addressOf("h2", "db", "pods");
    assert.match(address, /^10\.97\./);
    await must("h1", "exec", "web", "/bin/ping", "-c", "2", "-W", "2", address);
    await Promise.all([must("h1", "rm", "-f", "-t", "0", "web"), must("h2", "rm", "-f", "-t", "0", "db")]);
    for (const host of cluster.hosts) assert.deepEqual(await agreed(cluster, host), []);
  });

  test("two networks in one container, an address and a MAC that were asked for", async (t) => {
    if (!isPossible(t)) return;
    const wish = ["--network", "flat:ip=10.98.7.7,mac=02:00:00:98:07:07,interface_name=flat0", "--network", "pods"];
    await start("h1", "both", ...wish);
    await start("h2", "peer", "--network", "flat");
    assert.equal(await addressOf("h1", "both", "flat"), "10.98.7.7");
    const links = await must("h1", "exec", "both", "/bin/ip", "-o", "link");
    assert.match(links, /flat0.*02:00:00:98:07:07/);
    await cluster.converged();
    await must("h2", "exec", "peer", "/bin/ping", "-c", "2", "-W", "2", "10.98.7.7");
    // Disconnecting one network is a DEL of it alone.
    await must("h1", "network", "disconnect", "pods", "both");
    assert.equal((await agreed(cluster, "h1")).length, 1);
    await must("h1", "rm", "-f", "-t", "0", "both");
    await must("h2", "rm", "-f", "-t", "0", "peer");
    for (const host of cluster.hosts) assert.deepEqual(await agreed(cluster, host), []);
  });

  test("a port that is published by portmap behind Weft is reached from outside", async (t) => {
    if (!isPossible(t)) return;
    const { body } = await cluster.api("GET", "/v1/vrfs/plain");
    const spec = { ...body.spec, hostAccess: true };
    assert.equal((await cluster.api("PUT", "/v1/vrfs/plain", { spec })).status, 200);
    const exported = await cluster.weft(
      "network",
      "export",
      "plain",
      "--cni",
      "--portmap",
      "--socket",
      cluster.agentSocket("h1"),
    );
    assert.equal(exported.code, 0, exported.stderr);
    writeFileSync(join(cluster.cniDir("h1"), "10-plain.conflist"), exported.stdout);
    await cluster.converged();
    const command = ["/bin/sh", "-c", "while true; do echo hello | nc -l -p 80; done"];
    const options = ["--detach", "--name", "site", "--network", "plain", "--publish", "8080:80"];
    await must("h1", "run", ...options, "--rootfs", on("h1").rootfs, ...command);
    const from = ["nsenter", `--net=/run/netns/${cluster.netnsOf("h2")}`];
    await until("an answer from another host", async () => {
      const { stdout } = await run(...from, "busybox", "nc", "-w", "2", cluster.underlayOf("h1"), "8080");
      return stdout.includes("hello");
    });
    await must("h1", "rm", "-f", "-t", "0", "site");
    assert.deepEqual(await agreed(cluster, "h1"), []);
  });

  test("the file of a network goes with its mark", async () => {
    assert.equal((await cluster.weft("network", "edit", "flat", "--no-cni")).code, 0);
    const files = () => readdirSync(cluster.cniDir("h1")).filter((file) => file.startsWith("weft-"));
    await until("the file is gone", async () => files().join() === "weft-pods.conflist");
  });
});
