// What attach and CNI refuse and what they accept, on the real kernel: names and namespaces that a workload must not
// have; configurations that changed since the ADD; an agent that restarts.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { CODES } from "../../src/doors/cni/refusal.ts";
import { whyNoKernelTests } from "../runner/machine.ts";
import { call, Cluster, type Json, must, run, until } from "./lab/cluster.ts";
import { agreed } from "./lab/inventory.ts";
import { type Call, plugin, type Told } from "./lab/plugin.ts";

describe("the doors of a host", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(1);
  const [host = ""] = cluster.hosts;
  const conf = (network: string, more: object = {}): Json => ({
    cniVersion: "1.1.0",
    name: network,
    type: "weft",
    network,
    ...more,
  });
  const cni = (command: string, more: Omit<Call, "command">): Promise<Told> =>
    plugin(cluster.agentSocket(host), { ifname: "eth0", ...more, command });
  const done = async (command: string, more: Omit<Call, "command">): Promise<Json> => {
    const told = await cni(command, more);
    assert.equal(told.code, 0, `${command}: ${told.output}\n${cluster.log(host).slice(-2000)}`);
    return told.answer;
  };
  let count = 0;
  const fresh = async () => {
    const container = `d${++count}`;
    const name = await cluster.addWorkloadNetns(container);
    return { container, name, netns: `/run/netns/${name}` };
  };
  const attach = (more: object) =>
    call(cluster.agentSocket(host), "POST", "/v1/attachments", { network: "local", ...more });
  const links = async (netns: string) => must("ip", "-n", netns, "-o", "link");

  before(async () => {
    await cluster.open();
    for (const [name, spec] of Object.entries({
      local: { ipam: "local", subnets: [{ cidr: "10.83.0.0/16", hostPrefix: 24 }] },
      global: { ipam: "global", subnets: [{ cidr: "10.84.0.0/16" }] },
    }))
      assert.equal((await cluster.api("PUT", `/v1/networks/${name}`, { spec })).status, 201);
    await cluster.converged();
  });
  after(() => cluster.close());

  test("neither the host's own namespace nor a VRF's is a workload's, by whatever path", async () => {
    // Every VRF's namespace is there from the first endpoint in it.
    const a = await fresh();
    for (const network of ["local", "global"])
      await done("ADD", { ...a, ifname: `${network}0`, config: conf(network) });
    const own = cluster.netnsOf(host);
    const vrf = cluster.vrfNetns(host, "global");
    const inside = spawn("nsenter", [`--net=/run/netns/${vrf}`, "sleep", "60"], { stdio: "ignore" });
    try {
      const before = [await links(own), await links(vrf)];
      await until("it is in", async () =>
        (await run("ip", "netns", "identify", String(inside.pid))).stdout.includes(vrf),
      );
      const paths = [
        `/run/netns/${own}`,
        `/run/netns/${vrf}`,
        `/proc/${cluster.pidOf(host)}/ns/net`,
        `/proc/${inside.pid}/ns/net`,
      ];
      for (const netns of paths) {
        for (const network of ["local", "global"]) {
          for (const defaultRoute of [true, false, undefined]) {
            const { status, body } = await attach({ network, netns, owner: "intruder", ifname: "intr0", defaultRoute });
            assert.deepEqual([status, body.reason], [400, "netns-reserved"], `${netns} ${network} ${defaultRoute}`);
          }
          for (const config of [conf(network), conf(network, { defaultRoute: false })]) {
            const told = await cni("ADD", { container: "intruder", netns, ifname: "intr0", config });
            assert.equal(told.answer?.code, CODES.environment, told.output);
            const check = {
              container: a.container,
              netns,
              ifname: `${network}0`,
              config: { ...config, prevResult: {} },
            };
            const checked = await cni("CHECK", check);
            assert.equal(checked.answer?.code, CODES.environment, checked.output);
          }
        }
      }
      assert.deepEqual([await links(own), await links(vrf)], before, "nothing was made there");
    } finally {
      inside.kill("SIGKILL");
    }
    for (const network of ["local", "global"])
      await done("DEL", { ...a, ifname: `${network}0`, config: conf(network) });
    assert.deepEqual(await agreed(cluster, host), []);
  });

  test("an interface has the name that was asked for, or there is none", async () => {
    const a = await fresh();
    const bad = [
      "eth%d",
      "eth0\0x",
      "",
      "a b",
      "a/b",
      "a:b",
      ".",
      "..",
      "lo",
      "all",
      "default",
      "sixteen-letters-",
      "ü",
      "-x",
      "e\n",
    ];
    for (const network of ["local", "global"]) {
      for (const ifname of bad) {
        const { status, body } = await attach({ network, netns: a.netns, owner: a.container, ifname });
        assert.deepEqual([status, body.reason], [400, "name-invalid"], JSON.stringify(ifname));
        if (ifname.includes("\0")) continue;
        const told = await cni("ADD", { ...a, ifname, config: conf(network) });
        assert.equal(told.answer?.code, CODES.environment, `${JSON.stringify(ifname)}: ${told.output}`);
      }
    }
    assert.equal((await links(a.name)).trim().split("\n").length, 1, "only lo");
    for (const ifname of ["fifteen-letters", "e", "0", "a.b_c-d"]) {
      const { status, body } = await attach({ netns: a.netns, owner: a.container, ifname });
      assert.equal(status, 201, JSON.stringify(body));
      assert((await links(a.name)).includes(`: ${ifname}@`));
      await call(cluster.agentSocket(host), "DELETE", `/v1/attachments/${a.container}.${ifname}`);
    }
    assert.deepEqual(await agreed(cluster, host), []);
  });

  test("an owner's name fits what a port carries of it, or is refused by its length", async () => {
    const [a, vrf] = [await fresh(), cluster.vrfNetns(host, "local")];
    for (const length of [224, 225, 236, 241, 250, 253, 300]) {
      const owner = "o".repeat(length);
      for (const network of ["local", "global"]) {
        const { status, body } = await attach({ network, netns: a.netns, owner, ifname: "net10" });
        if (length + ".net10".length > 240) assert.deepEqual([status, body.reason], [400, "name-invalid"], `${length}`);
        else {
          assert.equal(status, 201, `${length}: ${JSON.stringify(body)}`);
          assert(network === "global" || (await links(vrf)).includes(`weft:endpoint:${owner}.net10`), `${length}`);
          await call(cluster.agentSocket(host), "DELETE", `/v1/attachments/${owner}.net10`);
          assert.deepEqual(await agreed(cluster, host), []);
        }
      }
    }
    // A path may be as long as it likes, in any letters.
    const folder = `${cluster.folder}/${"ü".repeat(100)}`;
    await must("mkdir", "-p", folder);
    await must("touch", `${folder}/${"x".repeat(120)}`);
    await must("mount", "--bind", a.netns, `${folder}/${"x".repeat(120)}`);
    try {
      const { status, body } = await attach({ netns: `${folder}/${"x".repeat(120)}`, owner: "deep" });
      assert.equal(status, 201, JSON.stringify(body));
      await call(cluster.agentSocket(host), "DELETE", "/v1/attachments/deep.eth0");
    } finally {
      await must("umount", `${folder}/${"x".repeat(120)}`);
    }
    assert.deepEqual(await agreed(cluster, host), []);
  });

  test("a container goes and is looked at, whatever became of its configuration", async () => {
    const edits: Json[] = [
      conf("local", { mtu: 1400 }),
      conf("local", { cniVersion: "9.9.9" }),
      conf("local", { network: "nowhere" }),
      conf("local", { network: 7 }),
      conf("local", { name: undefined }),
      conf("local", { ipam: { type: "host-local" }, dns: "none" }),
      conf("local", { runtimeConfig: { portMappings: [{ hostPort: 1 }], bandwidth: { ingressRate: "1" } } }),
      "{ this is no JSON",
    ];
    for (const edit of edits) {
      const a = await fresh();
      const prevResult = await done("ADD", { ...a, config: conf("local") });
      if (typeof edit === "object") {
        assert.equal((await cni("ADD", { ...a, config: edit })).code, 1, `ADD refuses ${JSON.stringify(edit)}`);
        await done("CHECK", { ...a, args: "WHAT=ever", config: { ...edit, prevResult } });
        await done("GC", {
          config: { ...edit, "cni.dev/valid-attachments": [{ containerID: a.container, ifname: "eth0" }] },
        });
      }
      await done("DEL", { ...a, args: "WHAT=ever", config: edit });
      assert.deepEqual(await agreed(cluster, host), [], JSON.stringify(edit));
    }
  });

  test("ADD and DEL wait for an agent that restarts; what it cannot know yet it waits for, too", async () => {
    const containers = await Promise.all(Array.from({ length: 8 }, fresh));
    const [first, ...rest] = containers;
    assert(first !== undefined);
    await done("ADD", { ...first, config: conf("local") });
    await cluster.kill(host);
    const adds = rest.map((one, i) => done("ADD", { ...one, config: conf(i % 2 === 0 ? "local" : "global") }));
    const del = done("DEL", { ...first, config: conf("local") });
    await cluster.startAgent(host);
    await Promise.all([...adds, del]);
    assert.deepEqual((await agreed(cluster, host)).length, rest.length);
    await Promise.all(rest.map((one, i) => done("DEL", { ...one, config: conf(i % 2 === 0 ? "local" : "global") })));
    assert.deepEqual(await agreed(cluster, host), []);
  });

  test("a further interface is never the way out, whichever comes first and whatever is there", async () => {
    for (const order of [
      ["eth0", "net1"],
      ["net1", "eth0"],
    ]) {
      const a = await fresh();
      for (const ifname of order)
        await done("ADD", { ...a, ifname, config: conf(ifname === "eth0" ? "local" : "global", {}) });
      const routes = (await must("ip", "-n", a.name, "route", "show", "default")).trim().split("\n");
      assert.deepEqual(routes.length, 1, routes.join("; "));
      assert.match(routes[0] ?? "", new RegExp(`dev ${order[0]} .*metric 1024`));
      for (const ifname of order)
        await done("DEL", { ...a, ifname, config: conf(ifname === "eth0" ? "local" : "global") });
    }
    // Somebody else's default route, of the metric that it has when nobody says one, is no obstacle and wins.
    const a = await fresh();
    await must("ip", "-n", a.name, "link", "add", "aaa0", "type", "veth", "peer", "name", "aaa1");
    for (const words of [
      ["link", "set", "aaa0", "up"],
      ["link", "set", "aaa1", "up"],
      ["addr", "add", "192.0.2.2/24", "dev", "aaa0"],
      ["route", "add", "default", "via", "192.0.2.1"],
    ])
      await must("ip", "-n", a.name, ...words);
    await done("ADD", { ...a, config: conf("local", { defaultRoute: true }) });
    assert.match(await must("ip", "-n", a.name, "route", "get", "198.51.100.1"), /dev aaa0/);
    assert.match(await must("ip", "-n", a.name, "route", "show", "default"), /dev eth0 .*metric 1024/);
    await done("ADD", { ...a, ifname: "net1", config: conf("global") });
    assert.doesNotMatch(await must("ip", "-n", a.name, "route", "show", "default"), /net1/);
    for (const [ifname, network] of [
      ["net1", "global"],
      ["eth0", "local"],
    ] as const)
      await done("DEL", { ...a, ifname, config: conf(network) });
    assert.deepEqual(await agreed(cluster, host), []);
  });
});
