// The CNI specification on the real kernel: the shim as runtimes execute it, real agents, real packets. The unit tests
// in test/unit/doors/cni check requests and results in detail; here is what each command does, and every code of the
// specification.
import assert from "node:assert/strict";
import { closeSync, existsSync, openSync } from "node:fs";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { CODES } from "../../src/doors/cni/refusal.ts";
import { VERSIONS } from "../../src/doors/cni/request.ts";
import { whyNoKernelTests } from "../runner/machine.ts";
import { call, Cluster, type Json, must, run, until } from "./lab/cluster.ts";
import { randomFrom } from "../sim/lab/clock.ts";
import { agreed } from "./lab/inventory.ts";
import { ofAnotherBoot } from "./lab/journal.ts";
import { type Call, plugin, PLUGIN, REFERENCE_PLUGINS, type Told } from "./lab/plugin.ts";
import { soak } from "./lab/soak.ts";
import { echoes } from "./lab/sockets.ts";

const noReference = existsSync(join(REFERENCE_PLUGINS, "portmap")) ? false : "containernetworking-plugins is missing";

describe("CNI", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(2);
  const conf = (network: string, more: object = {}): Json => ({
    cniVersion: "1.1.0",
    name: network,
    type: "weft",
    network,
    ...more,
  });
  const cni = (command: string, more: Omit<Call, "command">, host = "h1"): Promise<Told> =>
    plugin(cluster.agentSocket(host), { ifname: "eth0", ...more, command });
  const done = async (command: string, more: Omit<Call, "command">, host = "h1"): Promise<Json> => {
    const told = await cni(command, more, host);
    assert.equal(told.code, 0, `${command}: ${told.output}\n${cluster.log(host).slice(-2000)}`);
    return told.answer;
  };
  const refused = async (code: number, command: string, more: Omit<Call, "command">, host = "h1"): Promise<Json> => {
    const told = await cni(command, more, host);
    assert.equal(told.answer?.code, code, `${command}: ${told.output}`);
    assert.equal(told.code, 1, "the exit code says that it failed");
    return told.answer;
  };
  let count = 0;
  /** A container that nobody has seen before: its id and namespace. */
  const fresh = async () => {
    const container = `c${++count}`;
    const name = await cluster.addWorkloadNetns(container);
    return { container, name, netns: `/run/netns/${name}` };
  };
  const put = async (name: string, spec: object) => {
    const { status, body } = await cluster.api("PUT", `/v1/networks/${name}`, { spec });
    assert(status < 300, JSON.stringify(body));
    await cluster.converged();
  };
  const linksIn = async (netns: string) => must("ip", "-n", netns, "-br", "link");

  before(async () => {
    await cluster.open();
    await put("local", { ipam: "local", subnets: [{ cidr: "10.93.0.0/16", hostPrefix: 24 }] });
    await put("global", { ipam: "global", subnets: [{ cidr: "10.94.0.0/16" }, { cidr: "fd94::/64" }] });
  });
  after(() => cluster.close());

  for (const cniVersion of VERSIONS) {
    test(`${cniVersion}: ADD, CHECK, DEL and DEL again; containers on two hosts reach each other`, async () => {
      for (const network of ["local", "global"]) {
        const config = conf(network, { cniVersion });
        const [a, b] = [await fresh(), await fresh()];
        const result = await done("ADD", { ...a, config });
        const other = await done("ADD", { ...b, config }, "h2");
        assert.equal(result.cniVersion, cniVersion);
        assert.deepEqual(
          result.ips.map((ip: Json) => ip.version),
          cniVersion < "1.0.0" ? (network === "local" ? ["4"] : ["4", "6"]) : result.ips.map(() => undefined),
        );
        const [link] = JSON.parse(await must("ip", "-n", a.name, "-j", "link", "show", "eth0"));
        const { mac, mtu, sandbox } = result.interfaces[0];
        assert.deepEqual([mac, sandbox], [link.address, a.netns]);
        assert.equal(mtu, cniVersion === "1.1.0" ? link.mtu : undefined);
        await cluster.converged();
        for (const { address } of other.ips)
          assert(await cluster.reaches(a.name, address.split("/")[0]), `${a.name} -> ${address}`);
        if (cniVersion !== "0.3.1") await done("CHECK", { ...a, config: { ...config, prevResult: result } });
        for (let twice = 0; twice < 2; twice++) {
          assert.equal(await done("DEL", { ...a, config: { ...config, prevResult: result } }), undefined);
          await done("DEL", { ...b, config }, "h2");
        }
        assert.doesNotMatch(await linksIn(a.name), /eth0.*\bUP\b/);
      }
      for (const host of cluster.hosts) assert.deepEqual(await agreed(cluster, host), []);
    });
  }

  test("VERSION answers with and without configuration, and without an agent", async () => {
    const expected = { cniVersion: "1.1.0", supportedVersions: [...VERSIONS] };
    assert.deepEqual(await done("VERSION", { config: "" }), expected);
    assert.deepEqual(await done("VERSION", { config: { cniVersion: "0.4.0" } }), { ...expected, cniVersion: "0.4.0" });
    const nobody = await plugin("/nowhere/agent.sock", { command: "VERSION", config: "" });
    assert.deepEqual([nobody.code, nobody.answer], [0, expected]);
  });

  test("DEL has ended the traffic when it answers; ADD of the same name or interface waits for the rest", async () => {
    const [a, b] = [await fresh(), await fresh()];
    const config = conf("local");
    await done("ADD", { ...a, config });
    const { ips } = await done("ADD", { ...b, config });
    const address = ips[0].address.split("/")[0];
    for (let round = 0; round < 5; round++) {
      assert(await cluster.reaches(a.name, address));
      await done("DEL", { ...b, config });
      assert.equal(await echoes(a.name, address, { waitMs: 300 }), false, "nothing comes back");
      // Another container in the same namespace, then the same one again.
      const other = { ...b, container: `${b.container}-again` };
      await done("ADD", { ...other, config });
      await done("DEL", { ...other, config });
      const again = await done("ADD", { ...b, config });
      assert.equal(again.ips[0].address.split("/")[0], address, "the lowest free address is free again");
    }
    for (const one of [a, b]) await done("DEL", { ...one, config });
    assert.deepEqual(await agreed(cluster, "h1"), []);
  });

  test("an address is not given again before its link is gone", async () => {
    const config = conf("local");
    const containers = await Promise.all(Array.from({ length: 12 }, fresh));
    for (let round = 0; round < 3; round++) {
      const results = await Promise.all(containers.map((one) => done("ADD", { ...one, config })));
      const addresses = results.map((result) => result.ips[0].address);
      assert.equal(new Set(addresses).size, containers.length);
      const port = (await must("ip", "netns", "exec", cluster.vrfNetns("h1", "local"), "ip", "-br", "link")).length;
      assert(port > 0);
      await Promise.all(containers.map((one) => done("DEL", { ...one, config })));
    }
    assert.deepEqual(await agreed(cluster, "h1"), []);
  });

  test("ADD again is the same answer; with another wish or in another namespace it is refused", async () => {
    const a = await fresh();
    const config = conf("local");
    const first = await done("ADD", { ...a, config });
    assert.deepEqual(await done("ADD", { ...a, config }), first);
    await refused(CODES["name-taken"], "ADD", { ...a, config: { ...config, runtimeConfig: { ips: ["10.93.0.77"] } } });
    await refused(CODES["name-taken"], "ADD", { ...a, config: { ...config, name: "another-configuration" } });
    const b = await fresh();
    await refused(CODES["name-taken"], "ADD", { ...a, netns: b.netns, config });
    // The interface was taken away behind the agent's back.
    await must("ip", "-n", a.name, "link", "delete", "eth0");
    assert.deepEqual(await done("ADD", { ...a, config }), first);
    assert.match(await linksIn(a.name), /eth0/);
    await done("DEL", { ...a, config });
    assert.deepEqual(await agreed(cluster, "h1"), []);
  });

  test("a container whose namespace is gone may come again under its id, without a DEL", async () => {
    const a = await fresh();
    const config = conf("local");
    await done("ADD", { ...a, config });
    await must("ip", "netns", "delete", a.name);
    await must("ip", "netns", "add", a.name);
    await done("ADD", { ...a, config });
    assert.match(await linksIn(a.name), /eth0.*UP/);
    await must("ip", "netns", "delete", a.name);
    await done("DEL", { container: a.container, config });
    await done("DEL", { container: a.container, config });
    await done("DEL", { container: "never-seen", config });
    await done("DEL", { container: "never-seen", netns: "/run/netns/nowhere", config });
    assert.deepEqual(await agreed(cluster, "h1"), []);
  });

  test("DEL leaves alone what another configuration attached under the same id and interface", async () => {
    const a = await fresh();
    await done("ADD", { ...a, config: conf("local") });
    await refused(CODES["interface-taken"], "ADD", { ...a, container: "other", config: conf("local") });
    await done("DEL", { ...a, config: conf("local", { name: "another-configuration" }) });
    assert.match(await linksIn(a.name), /eth0/);
    await done("DEL", { ...a, config: conf("local") });
    assert.deepEqual(await agreed(cluster, "h1"), []);
  });

  test("several networks in one container: the first is the way out, the others lead to themselves", async () => {
    const a = await fresh();
    const b = await fresh();
    await done("ADD", { ...a, config: conf("local") });
    const second = await done("ADD", { ...a, ifname: "net1", config: conf("global") });
    assert.deepEqual(second.routes, [], "all of a switched network is on the link");
    const there = await done("ADD", { ...b, ifname: "net1", config: conf("global") }, "h2");
    await cluster.converged();
    assert(await cluster.reaches(a.name, there.ips[0].address.split("/")[0]));
    const routes = await must("ip", "-n", a.name, "route");
    assert.match(routes, /default via 10\.93\.\d+\.1 dev eth0/);
    // A routed network has other hosts' blocks behind its gateway, and the first interface leads there already.
    const third = await done("ADD", { ...a, ifname: "net2", config: conf("local", { name: "local-again" }) });
    assert.deepEqual(third.routes, []);
    const onlyThat = await fresh();
    const further = conf("local", { defaultRoute: false });
    const alone = await done("ADD", { ...onlyThat, ifname: "net2", config: further });
    assert.deepEqual(
      alone.routes.map((route: Json) => route.dst),
      ["10.93.0.0/16"],
    );
    await done("DEL", { ...onlyThat, ifname: "net2", config: further });
    await done("DEL", { ...a, ifname: "net2", config: conf("local", { name: "local-again" }) });
    await done("DEL", { ...a, ifname: "net1", config: conf("global") });
    await done("DEL", { ...a, config: conf("local") });
    await done("DEL", { ...b, ifname: "net1", config: conf("global") }, "h2");
    for (const host of cluster.hosts) assert.deepEqual(await agreed(cluster, host), []);
  });

  test("addresses and MACs that are asked for are given, and refused by what is wrong with them", async () => {
    const [a, b] = [await fresh(), await fresh()];
    const wish = { ips: ["10.94.3.4/16", "fd94::34"], mac: "02:00:00:00:34:34" };
    const config = conf("global", { runtimeConfig: wish, capabilities: { ips: true, mac: true } });
    const result = await done("ADD", { ...a, config });
    assert.deepEqual([result.ips[0].address, result.ips[1].address], ["10.94.3.4/16", "fd94::34/64"]);
    assert.equal(result.interfaces[0].mac, wish.mac);
    await refused(CODES["address-taken"], "ADD", {
      ...b,
      config: conf("global", { runtimeConfig: { ips: ["10.94.3.4"] } }),
    });
    await refused(CODES["address-taken"], "ADD", { ...b, config: conf("global"), args: `MAC=${wish.mac}` });
    const outside = await refused(7, "ADD", { ...b, config: conf("global"), args: "IP=192.0.2.1" });
    assert.match(outside.msg, /192\.0\.2\.1/);
    const args = "IgnoreUnknown=1;K8S_POD_NAME=web;IP=10.94.3.5;MAC=02:00:00:00:34:35";
    const byArgs = await done("ADD", { ...b, config: conf("global"), args });
    assert.deepEqual([byArgs.ips[0].address, byArgs.interfaces[0].mac], ["10.94.3.5/16", "02:00:00:00:34:35"]);
    for (const one of [a, b]) await done("DEL", { ...one, config: conf("global") });
    assert.deepEqual(await agreed(cluster, "h1"), []);
  });

  test("codes 1 to 7: what is wrong with a request is said by number and name, nothing is left behind", async () => {
    const a = await fresh();
    const config = conf("local");
    await refused(1, "ADD", { ...a, config: { ...config, cniVersion: "0.2.0" } });
    await refused(1, "GC", { config: conf("local", { cniVersion: "1.0.0", "cni.dev/valid-attachments": [] }) });
    assert.match((await refused(2, "ADD", { ...a, config: { ...config, mtu: 9000 } })).msg, /mtu .*9000/);
    assert.match((await refused(2, "ADD", { ...a, config: { ...config, ipMasq: false } })).msg, /ipMasq .*false/);
    const rates = { runtimeConfig: { bandwidth: { ingressRate: 1000 } } };
    assert.match((await refused(7, "ADD", { ...a, config: { ...config, ...rates } })).msg, /1kbit/);
    await refused(3, "ADD", { ...a, netns: "/run/netns/nowhere", config });
    await refused(3, "CHECK", { ...a, config: { ...config, prevResult: {} } });
    assert.match((await refused(4, "ADD", { ...a, ifname: "a/b", config })).msg, /CNI_IFNAME/);
    assert.match((await refused(4, "SHOUT", { ...a, config })).msg, /CNI_COMMAND/);
    const own = cluster.netnsOf("h1");
    assert.match((await refused(4, "ADD", { ...a, netns: `/run/netns/${own}`, config })).msg, /CNI_NETNS/);
    await refused(6, "ADD", { ...a, config: "{" });
    await refused(7, "ADD", { ...a, config: conf("nowhere") });
    await refused(7, "ADD", { ...a, config: conf("local", { slice: "none" }) });
    // Code 5 by the shim: a standard input that cannot be read.
    const unreadable = openSync("/dev/null", "w");
    const child = spawn(PLUGIN, { env: { CNI_COMMAND: "ADD" }, stdio: [unreadable, "pipe", "inherit"] });
    let output = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (output += text));
    await once(child, "close");
    closeSync(unreadable);
    assert.equal(JSON.parse(output).code, 5);
    assert.deepEqual(await agreed(cluster, "h1"), []);
  });

  test("code 100 and on: a block that is full, a network that is closed", async () => {
    await put("tiny", { ipam: "local", subnets: [{ cidr: "10.95.0.0/24", hostPrefix: 30 }] });
    const [a, b] = [await fresh(), await fresh()];
    await done("STATUS", { config: conf("tiny") });
    await done("ADD", { ...a, config: conf("tiny") });
    await refused(CODES.exhausted, "ADD", { ...b, config: conf("tiny") });
    await refused(50, "STATUS", { config: conf("tiny") });
    await done("DEL", { ...a, config: conf("tiny") });
    await agreed(cluster, "h1");
    await done("STATUS", { config: conf("tiny") });
    assert.equal((await cluster.weft("network", "edit", "tiny", "--no-enabled", "--wait")).code, 0);
    await refused(CODES["network-disabled"], "ADD", { ...b, config: conf("tiny") });
    await refused(50, "STATUS", { config: conf("tiny") });
  });

  test("CHECK tells what is damaged, and the agent mends it", async () => {
    const a = await fresh();
    const config = conf("local");
    const prevResult = await done("ADD", { ...a, config });
    const check = { ...a, config: { ...config, prevResult } };
    await done("CHECK", check);
    const address = prevResult.ips[0].address;
    const port = (await must("ip", "-n", cluster.vrfNetns("h1", "local"), "-br", "link", "show", "type", "veth"))
      .split("\n")
      .find((line) => line.startsWith("wp"));
    let seen = 0;
    for (const damage of [
      ["ip", "-n", a.name, "address", "delete", address, "dev", "eth0"],
      ["ip", "-n", a.name, "link", "set", "eth0", "down"],
      ["ip", "-n", a.name, "route", "delete", "default"],
      ["ip", "-n", cluster.vrfNetns("h1", "local"), "link", "set", port?.split("@")[0] ?? "", "nomaster"],
    ]) {
      await must(...damage);
      const told = await cni("CHECK", check);
      // A round may have come in between, and mended it.
      if (told.code !== 0) assert.equal(told.answer.code, CODES["not-as-it-should-be"], told.output);
      if (told.code !== 0) seen++;
      await until(`mended: ${damage.join(" ")}`, async () => (await cni("CHECK", check)).code === 0);
    }
    assert(seen > 0, "some damage is seen before it is mended");
    const other = { ...prevResult, ips: [{ ...prevResult.ips[0], address: "10.93.0.99/24" }] };
    await refused(CODES["not-as-it-should-be"], "CHECK", { ...a, config: { ...config, prevResult: other } });
    // A plugin after Weft may have changed routes.
    await done("CHECK", { ...a, config: { ...config, prevResult: { ...prevResult, routes: [] } } });
    await done("DEL", { ...a, config });
    await refused(3, "CHECK", check);
    assert.deepEqual(await agreed(cluster, "h1"), []);
  });

  test("GC takes away what its configuration made and is not on the list, and nothing else", async () => {
    const [a, b, c, d] = [await fresh(), await fresh(), await fresh(), await fresh()];
    const config = conf("local");
    for (const one of [a, b]) await done("ADD", { ...one, config });
    await done("ADD", { ...c, config: conf("local", { name: "another-configuration" }) });
    const byHand = { network: "local", netns: d.netns, owner: d.container };
    assert.equal((await call(cluster.agentSocket("h1"), "POST", "/v1/attachments", byHand)).status, 201);
    await must("ip", "netns", "delete", b.name);
    const valid = [{ containerID: a.container, ifname: "eth0" }];
    for (let twice = 0; twice < 2; twice++)
      await done("GC", { config: { ...config, "cni.dev/valid-attachments": valid } });
    const names = (await agreed(cluster, "h1")).toSorted();
    assert.deepEqual(names, [a, c, d].map(({ container }) => `${container}.eth0`).toSorted());
    await refused(7, "GC", { config });
    await done("GC", { config: { ...config, "cni.dev/valid-attachments": [] } });
    await done("DEL", { ...c, config: conf("local", { name: "another-configuration" }) });
    await call(cluster.agentSocket("h1"), "DELETE", `/v1/attachments/${d.container}.eth0`);
    assert.deepEqual(await agreed(cluster, "h1"), []);
  });

  test("STATUS: 50 for what cannot be served, 51 for a network that is not whole", async () => {
    await done("STATUS", { config: conf("local") });
    await done("STATUS", { config: conf("global") });
    await refused(50, "STATUS", { config: conf("nowhere") });
    // Somebody else's device where the bridge of a network must be.
    await put("blocked", { ipam: "local", vrf: "local", subnets: [{ cidr: "10.96.0.0/16", hostPrefix: 24 }] });
    const space = cluster.vrfNetns("h1", "local");
    const bridge = (await must("ip", "-n", space, "-br", "link", "show", "type", "bridge"))
      .split("\n")
      .map((line) => line.split(" ")[0] ?? "")
      .find((name) => name.includes("blocked"));
    assert(bridge !== undefined);
    await must("ip", "-n", space, "link", "delete", bridge);
    const deadline = until("the name is taken", async () => {
      await run("ip", "-n", space, "link", "delete", bridge);
      return (
        (await run("ip", "-n", space, "link", "add", bridge, "type", "dummy")).code === 0 ||
        (await run("ip", "-n", space, "link", "add", bridge, "type", "veth", "peer", "name", "other-end")).code === 0
      );
    });
    await deadline;
    await until("51", async () => (await cni("STATUS", { config: conf("blocked") })).answer?.code === 51);
    await must("ip", "-n", space, "link", "delete", bridge);
    await until("whole again", async () => (await cni("STATUS", { config: conf("blocked") })).code === 0, 60_000);
    assert.equal((await cluster.weft("network", "delete", "blocked")).code, 0);
    await cluster.converged();
  });

  test("without the server: local networks ADD and DEL, global ones say at once to try again", async () => {
    const [a, b] = [await fresh(), await fresh()];
    await done("ADD", { ...b, config: conf("global") });
    await cluster.kill("server");
    await until("the agent knows", async () => (await cni("STATUS", { config: conf("global") })).answer?.code === 50);
    await done("STATUS", { config: conf("local") });
    const startMs = performance.now();
    await refused(11, "ADD", { ...a, config: conf("global") });
    const refusedMs = performance.now() - startMs;
    const again = await done("ADD", { ...b, config: conf("global") });
    assert.match(again.ips[0].address, /^10\.94\./);
    await done("ADD", { ...a, config: conf("local") });
    await done("DEL", { ...b, config: conf("global") });
    // Its lease is not free before the server has heard of it; until then its name is not, either.
    await refused(11, "ADD", { ...b, config: conf("global") });
    await done("DEL", { ...a, config: conf("local") });
    const c = await fresh();
    await done("ADD", { ...c, config: conf("local") });
    await cluster.kill("h1");
    const none = performance.now();
    await Promise.all(
      (["ADD", "DEL"] as const).map((command) => refused(11, command, { ...a, config: conf("local") })),
    );
    const waitedMs = performance.now() - none;
    assert(waitedMs > 4_000, "one that restarts is waited for");
    assert(refusedMs < waitedMs, "a server that is away is not");
    for (const [command, code] of [
      ["CHECK", 11],
      ["GC", 11],
      ["STATUS", 50],
    ] as const)
      await refused(code, command, { ...a, config: conf("local") });
    // An agent that starts now has its disk, and what it knew.
    await cluster.startAgent("h1");
    await until("DEL is done", async () => (await cni("DEL", { ...c, config: conf("local") })).code === 0);
    await cluster.startServer();
    await cluster.converged();
    assert.deepEqual(await agreed(cluster, "h1"), []);
    await done("ADD", { ...b, config: conf("global") });
    await done("DEL", { ...b, config: conf("global") });
    assert.deepEqual(await agreed(cluster, "h1"), []);
  });

  test("after a reboot, nothing of before is left, and a container comes again under its id", async () => {
    const [a, b] = [await fresh(), await fresh()];
    const config = conf("local");
    const before = await done("ADD", { ...a, config });
    await done("ADD", { ...b, config });
    await cluster.kill("h1");
    // What a reboot does: the kernel forgets everything, and its boot has another id.
    for (const name of [a.name, b.name]) await must("ip", "netns", "delete", name);
    const spaces = (await must("ip", "netns", "list")).split("\n").map((line) => line.split(" ")[0] ?? "");
    for (const space of spaces) {
      if (space.startsWith(`${cluster.netnsOf("h1")}-`)) await must("ip", "netns", "delete", space);
    }
    ofAnotherBoot(cluster, "h1");
    await must("ip", "netns", "add", a.name);
    await cluster.startAgent("h1");
    await until("ADD", async () => (await cni("ADD", { ...a, config })).code === 0);
    const names = await agreed(cluster, "h1");
    assert.deepEqual(names, [`${a.container}.eth0`]);
    assert.deepEqual(await done("ADD", { ...a, config }), before, "the lowest address is free again");
    await done("DEL", { ...b, config });
    await done("DEL", { ...a, config });
    assert.deepEqual(await agreed(cluster, "h1"), []);
  });

  test("before tuning and portmap, in one list: each sees what Weft answered", { skip: noReference }, async () => {
    const a = await fresh();
    const config = conf("local", { cniVersion: "1.0.0" });
    const first = await done("ADD", { ...a, config });
    const tuning = {
      cniVersion: "1.0.0",
      name: "local",
      type: "tuning",
      prevResult: first,
      sysctl: { "net.core.somaxconn": "500" },
    };
    const within = `/run/netns/${cluster.netnsOf("h1")}`;
    const second = await done("ADD", { ...a, program: `${REFERENCE_PLUGINS}/tuning`, config: tuning, within });
    assert.deepEqual(second.ips, first.ips);
    assert.match(await must("ip", "netns", "exec", a.name, "sysctl", "net.core.somaxconn"), /= 500/);
    await done("CHECK", { ...a, config: { ...config, prevResult: second } });
    await done("DEL", {
      ...a,
      program: `${REFERENCE_PLUGINS}/tuning`,
      config: { ...tuning, prevResult: second },
      within,
    });
    await done("DEL", { ...a, config: { ...config, prevResult: second } });
    assert.deepEqual(await agreed(cluster, "h1"), []);
  });

  test("behind ptp, as a second network: ptp is the way out, Weft leads to its own", {
    skip: noReference,
  }, async () => {
    const [a, b] = [await fresh(), await fresh()];
    const ptp = {
      cniVersion: "1.0.0",
      name: "ptp",
      type: "ptp",
      ipam: {
        type: "host-local",
        dataDir: join(cluster.folder, "ptp"),
        subnet: "192.0.2.0/24",
        routes: [{ dst: "0.0.0.0/0" }],
      },
    };
    const within = `/run/netns/${cluster.netnsOf("h1")}`;
    const program = `${REFERENCE_PLUGINS}/ptp`;
    const first = await done("ADD", { ...a, program, config: ptp, within });
    const there = await done("ADD", { ...b, config: conf("local") }, "h2");
    const second = await done("ADD", { ...a, ifname: "eth1", config: conf("local") });
    assert.deepEqual(
      second.routes.map((route: Json) => route.dst),
      ["10.93.0.0/16"],
    );
    assert.match(await must("ip", "-n", a.name, "route", "show", "default"), /dev eth0/);
    assert(await cluster.reaches(a.name, there.ips[0].address.split("/")[0]), "the other host's block by Weft");
    await done("DEL", { ...a, ifname: "eth1", config: conf("local") });
    // In one list, after it: the result of before stays, and what has a way out keeps it.
    const chained = conf("local", { cniVersion: "1.0.0", prevResult: first });
    const both = await done("ADD", { ...a, ifname: "eth1", config: chained });
    assert.deepEqual(both.ips.slice(0, 1), first.ips);
    assert.deepEqual(both.interfaces.at(-1).name, "eth1");
    assert.equal(both.ips.at(-1).interface, both.interfaces.length - 1);
    await done("CHECK", { ...a, ifname: "eth1", config: { ...chained, prevResult: both } });
    await done("DEL", { ...a, ifname: "eth1", config: { ...chained, prevResult: both } });
    await done("DEL", { ...a, program, config: { ...ptp, prevResult: first }, within });
    await done("DEL", { ...b, config: conf("local") }, "h2");
    for (const host of cluster.hosts) assert.deepEqual(await agreed(cluster, host), []);
  });

  test("hundreds of pairs under random kills of shim and agent: nothing leaked, nothing doubled", async (t) => {
    const seed = Number(process.env["WEFT_SEED"] ?? Date.now() % 1_000_000);
    t.diagnostic(`seed ${seed}`);
    const soakOn = async (host: string, network: string) => {
      const random = randomFrom(seed);
      const options = {
        host,
        network,
        pairs: 120,
        workers: 6,
        agentLifeMs: 1500,
        random: () => random(1e6) / 1e6,
      };
      const { failures, agentsKilled, shimsKilled } = await soak(cluster, options);
      assert.deepEqual(failures, []);
      assert(agentsKilled > 0 && shimsKilled > 0, "somebody was killed");
      assert.deepEqual(await agreed(cluster, host), []);
    };
    await Promise.all([soakOn("h1", "local"), soakOn("h2", "global")]);
  });
});
