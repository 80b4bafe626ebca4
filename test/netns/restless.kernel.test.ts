// What root in a workload does in its own namespace does not affect others: it may have thousands of links and
// addresses, change them faster than they are read, and swap the name of its interface. Its host continues.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, must, until, type Workload } from "./lab/cluster.ts";

const ADDRESSES = 12_000;
const LINKS = 120;
/** More than fit in the time of a test. */
const CHANGES = 300_000;

describe("a restless workload", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(1);
  const workloads = new Map<string, Workload>();
  const busy: ChildProcess[] = [];

  before(async () => {
    await cluster.open();
    const spec = { ipam: "global", subnets: [{ cidr: "10.7.0.0/16" }] };
    assert.equal((await cluster.api("PUT", "/v1/networks/flat", { spec })).status, 201);
    await cluster.converged();
    for (const name of ["restless", "victim", "peer"]) workloads.set(name, await cluster.attach("h1", "flat", name));
  });
  after(async () => {
    for (const child of busy) child.kill("SIGKILL");
    await cluster.close();
  });

  const workload = (name: string) => workloads.get(name) ?? assert.fail();
  const batch = (name: string, lines: readonly string[]): string => {
    const path = join(cluster.folder, name);
    writeFileSync(path, `${lines.join("\n")}\n`);
    return path;
  };
  const change = async (mtu: number) => {
    const { code, stderr } = await cluster.weft("network", "edit", "flat", "--mtu", String(mtu), "--wait=30");
    assert.equal(code, 0, stderr);
  };
  const hasMtu = async (name: string, mtu: number) =>
    assert.match(await must("ip", "-n", workload(name).netns, "link", "show", "eth0"), new RegExp(`mtu ${mtu} `));
  test("that changes links and addresses all the time", async () => {
    const { netns } = workload("restless");
    const many = Array.from({ length: ADDRESSES }, (_, i) => `addr add 127.1.${i >> 8}.${i & 255}/32 dev lo`);
    const links = Array.from({ length: LINKS }, (_, i) => `link add d${i} type bridge`);
    await must("ip", "-n", netns, "-batch", batch("many", [...many, ...links]));
    const address = (n: number) => ["add", "del"].map((verb) => `addr ${verb} 127.9.9.${n}/32 dev lo`);
    const flaps = [address(1), address(2), address(3), ["link set d9 up", "link set d9 down"]];
    for (const [n, lines] of flaps.entries()) {
      const path = batch(
        `flap${n}`,
        Array.from({ length: CHANGES }, (_, i) => lines[i % 2] ?? ""),
      );
      busy.push(
        spawn("setpriv", ["--pdeathsig", "KILL", "ip", "-n", netns, "-force", "-batch", path], { stdio: "ignore" }),
      );
    }
    for (const mtu of [1390, 1380, 1370]) await change(mtu);
    for (const name of ["victim", "peer"]) await hasMtu(name, 1370);
    assert.deepEqual(
      busy.map((child) => child.exitCode),
      [null, null, null, null],
      "still at it",
    );
    for (const child of busy.splice(0)) child.kill("SIGKILL");
    await change(1360);
    await cluster.converged();
    await hasMtu("restless", 1360);
  });

  test("that gives its interface's name to another", async () => {
    const { netns } = workload("restless");
    await must("ip", "-n", netns, "link", "set", "eth0", "down");
    await must("ip", "-n", netns, "link", "set", "eth0", "name", "mine");
    await must("ip", "-n", netns, "link", "add", "eth0", "type", "bridge");
    await change(1350);
    await hasMtu("victim", 1350);
    await until("its host says so", async () =>
      (await cluster.status()).hosts[0]?.status?.errors.join().includes("eth0"),
    );
    await must("ip", "-n", netns, "link", "delete", "eth0");
    await cluster.converged();
    await hasMtu("restless", 1350);
  });
});
