// CNI as a runtime sees it: what each command answers, and what is in the kernel and in the journal afterwards.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type Container, HOSTS_OWN, type Json, type More, Runtime, VRFS_OWN } from "../../../sim/lab/runtime.ts";
import type { KernelObject } from "../../../../src/datapath/kinds.ts";
import type { Ns } from "../../../../src/datapath/kinds/kind.ts";
import { CODES } from "../../../../src/doors/cni/refusal.ts";
import { VERSIONS } from "../../../../src/doors/cni/request.ts";

async function open(t: TestContext): Promise<Runtime> {
  const lab = new Runtime(t);
  await lab.open();
  return lab;
}

const NOWHERE = { id: "", netns: "" };
const GLOBAL = { config: { network: "global" } };

test("ADD gives an interface, CHECK finds it, DEL takes it away and may be repeated", async (t) => {
  const lab = await open(t);
  const a = lab.container();
  const result = await lab.done("ADD", a);
  const { kernel } = lab.host;
  assert.deepEqual(kernel.linkNames(a.netns), ["lo", "eth0"]);
  assert.deepEqual(result.ips, [{ interface: 0, address: "10.93.0.2/24", gateway: "10.93.0.1" }]);
  assert.deepEqual(lab.host.entries.get("c1.eth0")?.cni, "lan");
  await lab.done("CHECK", a, { config: { prevResult: result } });
  for (let twice = 0; twice < 2; twice++) {
    await lab.done("DEL", a);
    assert.deepEqual(await lab.attached(), []);
    assert.deepEqual(kernel.linkNames(a.netns), ["lo"]);
  }
  await lab.done("DEL", { id: "never-seen", netns: "/run/netns/nowhere" });
  assert.deepEqual(lab.logged, []);
});

test("an attach has everything that was asked for", async (t) => {
  const lab = await open(t);
  const slices = [
    { name: "mesos", bridge: "m-sliced" },
    { name: "docker", bridge: "d-sliced" },
  ];
  await lab.put("sliced", { ipam: "local", subnets: [{ cidr: "10.95.0.0/16", hostPrefix: 24 }], slices });
  const config = {
    network: "sliced",
    slice: "docker",
    labels: { tier: "web" },
    dns: { nameservers: ["10.0.0.53"] },
    runtimeConfig: { ips: ["10.95.0.200"], mac: "02:00:00:00:34:34", bandwidth: { ingressRate: 8_000_000 } },
  };
  const result = await lab.done("ADD", lab.container(), { env: { CNI_IFNAME: "net1" }, config });
  assert.deepEqual(result.dns, { nameservers: ["10.0.0.53"] });
  const { spec } = lab.host.entries.get("c1.net1")?.endpoint ?? assert.fail();
  const { owner, ifname, netns, network, slice, addresses, mac, qos, labels } = spec;
  assert.deepEqual(
    { owner, ifname, netns, network, slice, addresses, mac, qos, labels },
    {
      owner: "c1",
      ifname: "net1",
      netns: "/run/netns/c1",
      network: "sliced",
      slice: "docker",
      addresses: ["10.95.0.200"],
      mac: "02:00:00:00:34:34",
      qos: { inbound: { average: 8_000_000 } },
      labels: { tier: "web" },
    },
  );
});

test("behind another plugin its result stays, and comes first", async (t) => {
  const lab = await open(t);
  const prevResult = { cniVersion: "1.1.0", interfaces: [{ name: "veth1" }], ips: [], routes: [] };
  const result = await lab.done("ADD", lab.container(), { config: { prevResult } });
  assert.deepEqual(
    result.interfaces.map(({ name }: Json) => name),
    ["veth1", "eth0"],
  );
  assert.equal(result.ips[0].interface, 1);
});

test("VERSION needs no configuration, and keeps to the version that it was asked in", async (t) => {
  const lab = await open(t);
  const env = { CNI_COMMAND: "VERSION" };
  const supportedVersions = [...VERSIONS];
  for (const [input, cniVersion] of [
    ["", "1.1.0"],
    ["\n ", "1.1.0"],
    ['{"cniVersion":"0.4.0"}', "0.4.0"],
  ] as const)
    assert.deepEqual((await lab.send(env, input)).json, { cniVersion, supportedVersions });
  const wrong = await lab.send(env, "{");
  assert.deepEqual([wrong.status, wrong.json.code, wrong.json.cniVersion], [500, CODES.decode, "1.1.0"]);
  // Only VERSION does without.
  assert.equal((await lab.send({ CNI_COMMAND: "STATUS" }, "")).json.code, CODES.decode);
});

test("an error says the version that it was asked in", async (t) => {
  const lab = await open(t);
  const told = await lab.ask("ADD", lab.container(), { config: { cniVersion: "0.4.0", network: "nowhere" } });
  assert.deepEqual([told.json.cniVersion, told.json.code], ["0.4.0", CODES.config]);
  assert.match(told.json.msg, /nowhere/);
});

test("a namespace of the host's or of a VRF is no container's, whatever the runtime says; DEL goes on", async (t) => {
  const lab = await open(t);
  for (const [netns, whose] of [
    [HOSTS_OWN, /CNI_NETNS.*host's own/],
    [VRFS_OWN, /CNI_NETNS.*VRF local/],
  ] as const) {
    const own = { id: "own", netns };
    const config = { prevResult: {} };
    for (const env of [{}, { CNI_NETNS_OVERRIDE: "1" }] as const)
      for (const command of ["ADD", "CHECK"])
        assert.match(await lab.refused("environment", command, own, { config, env }), whose);
    await lab.done("DEL", own);
    assert.deepEqual(lab.host.kernel.linkNames(netns), ["lo"]);
  }
});

test("ADD waits for an agent that has just started, but not for ever", async (t) => {
  const lab = await open(t);
  lab.world.killAgent(lab.host);
  lab.world.startAgent(lab.host);
  await lab.done("ADD", lab.container());
  // One that has never heard of its server, and does not.
  lab.world.killAgent(lab.host);
  lab.world.killServer();
  lab.host.saved = undefined;
  lab.world.startAgent(lab.host);
  const before = lab.world.clock.nowMs();
  await lab.refused("try-again", "ADD", lab.container());
  const waitedMs = lab.world.clock.nowMs() - before;
  assert(waitedMs >= 5_000 && waitedMs < 6_000, `${waitedMs} ms`);
});

test("DEL goes without a configuration that can be read, and without a name", async (t) => {
  const lab = await open(t);
  const a = lab.container();
  const env = { CNI_COMMAND: "DEL", CNI_CONTAINERID: a.id, CNI_NETNS: a.netns, CNI_IFNAME: "eth0" };
  for (const input of ["{", "", "{}"]) {
    await lab.done("ADD", a);
    assert.deepEqual(await lab.send(env, input), { status: 200, body: "", json: undefined });
    assert.deepEqual(await lab.attached(), []);
  }
});

test("a container's way out is its first interface, whoever made it, and one that another plugin gave", async (t) => {
  const lab = await open(t);
  const others = (netns: Ns, name: string): KernelObject => ({
    kind: "bridge",
    ns: netns,
    name,
    mtu: 1500,
    mac: "",
    alias: "",
  });
  const routes = (...dsts: string[]) => ({ prevResult: { cniVersion: "1.1.0", routes: dsts.map((dst) => ({ dst })) } });
  const DEFAULT = "0.0.0.0/0";
  const cases: readonly (readonly [ifname: string, there: string[], config: object, isWayOut: boolean])[] = [
    ["eth0", [], {}, true],
    ["eth0", ["a0"], {}, true],
    ["net1", [], {}, true],
    ["net1", ["eth0"], {}, false],
    ["net1", ["net2"], {}, true],
    ["net1", ["net2", "eth0"], {}, false],
    ["eth0", [], routes(DEFAULT), false],
    ["eth0", [], routes("::/0"), false],
    ["eth0", [], routes("192.0.2.0/24", DEFAULT), false],
    ["eth0", [], routes("192.0.2.0/24"), true],
    ["eth0", [], { ...routes(DEFAULT), defaultRoute: true }, true],
    ["eth0", [], { defaultRoute: false }, false],
    ["net1", ["eth0"], { defaultRoute: true }, true],
  ];
  for (const [ifname, there, config, isWayOut] of cases) {
    const a = lab.container();
    for (const name of there) lab.host.kernel.plant(others(a.netns, name));
    const before = "prevResult" in config ? routesOf(config.prevResult) : [];
    const result = await lab.done("ADD", a, { env: { CNI_IFNAME: ifname }, config });
    const own = routesOf(result).slice(before.length);
    assert.equal(own.includes(DEFAULT), isWayOut, JSON.stringify([ifname, there, config, own]));
    const seen = [...(await lab.host.kernel.observe([a.netns])).values()];
    const hasDefault = seen.some((one) => one.kind === "route" && one.ns === a.netns && one.dst === DEFAULT);
    assert.equal(hasDefault, isWayOut);
  }
});

const routesOf = (result: Json): string[] => result.routes.map(({ dst }: Json) => dst);

test("ipMasq is the network's to say: the same is taken, the contrary refused", async (t) => {
  const lab = await open(t);
  await lab.put("plain", { ipam: "local", masquerade: false, subnets: [{ cidr: "10.97.0.0/16", hostPrefix: 24 }] });
  for (const [network, masquerade] of [
    ["local", true],
    ["plain", false],
  ] as const) {
    const a = lab.container();
    assert.match(
      await lab.refused("unsupported", "ADD", a, { config: { network, ipMasq: !masquerade } }),
      new RegExp(`ipMasq.*${!masquerade}.*masquerade ${masquerade}`),
    );
    assert.equal(lab.host.entries.has(`${a.id}.eth0`), false);
    await lab.done("ADD", a, { config: { network, ipMasq: masquerade } });
  }
});

test("without the server: what its addresses need says at once to try again; what is attached stays", async (t) => {
  const lab = await open(t);
  const [a, b] = [lab.container(), lab.container()];
  const first = await lab.done("ADD", a, GLOBAL);
  await lab.done("STATUS", NOWHERE, GLOBAL);
  lab.world.killServer();
  await lab.world.clock.advance(5_000);
  assert.match(await lab.refused("try-again", "ADD", b, GLOBAL), /global takes no endpoints now/);
  assert.match(await lab.refused("not-available", "STATUS", NOWHERE, GLOBAL), /server cannot be reached/);
  assert.deepEqual(await lab.done("ADD", a, GLOBAL), first);
  await lab.done("STATUS", NOWHERE);
  await lab.done("ADD", b);
  await lab.done("DEL", a, GLOBAL);
  // Its lease is not free before the server has heard of it.
  await lab.refused("try-again", "ADD", a, GLOBAL);
});

test("what another configuration, container or interface has is left alone", async (t) => {
  const lab = await open(t);
  const a = lab.container();
  const prevResult = await lab.done("ADD", a);
  const others: readonly (readonly [Container, More])[] = [
    [a, { config: { name: "another" } }],
    [a, { env: { CNI_IFNAME: "net1" } }],
    [{ ...a, id: "another" }, {}],
  ];
  for (const [place, more] of others) {
    const check = { ...more, config: { prevResult, ...more.config } };
    assert.match(await lab.refused("container-unknown", "CHECK", place, check), /has no (eth0|net1) in network local/);
    await lab.done("DEL", place, more);
    assert.deepEqual(await lab.attached(), ["c1.eth0"]);
  }
  // Whose configuration made it is not known after the journal was lost: then the network tells.
  const entry = lab.host.entries.get("c1.eth0") ?? assert.fail();
  const { cni: _, ...unmarked } = entry;
  lab.host.entries.set("c1.eth0", unmarked);
  await lab.done("DEL", a, GLOBAL);
  assert.deepEqual(await lab.attached(), ["c1.eth0"]);
  await lab.done("CHECK", a, { config: { name: "another", prevResult } });
  await lab.done("DEL", a, { config: { name: "another" } });
  assert.deepEqual(await lab.attached(), []);
});

test("CHECK: what leaves is not there", async (t) => {
  const lab = await open(t);
  const a = lab.container();
  const prevResult = await lab.done("ADD", a);
  const entry = lab.host.entries.get("c1.eth0") ?? assert.fail();
  lab.host.entries.set("c1.eth0", { ...entry, state: "detaching" });
  await lab.refused("container-unknown", "CHECK", a, { config: { prevResult } });
});

test("CHECK says what is wrong in the container, and the agent mends it", async (t) => {
  const lab = await open(t);
  const a = lab.container();
  const prevResult = await lab.done("ADD", a);
  const check = { config: { prevResult } };
  await lab.world.clock.advance(1_000);
  const own = (await lab.objects()).filter((object) => object.ns === a.netns);
  const damages = own.filter(({ kind }) => kind === "address" || kind === "route");
  assert(damages.length >= 2);
  for (const object of damages) {
    lab.host.kernel.disturb(object);
    assert.match(await lab.refused("not-as-it-should-be", "CHECK", a, check), /eth0 of container c1.*it takes: ip/);
    await lab.world.clock.advance(1_000);
    assert(lab.host.kernel.has(object), "mended");
    await lab.done("CHECK", a, check);
  }
  const lacking = { config: { prevResult: { ...prevResult, ips: [] } } };
  assert.match(await lab.refused("not-as-it-should-be", "CHECK", a, lacking), /prevResult lacks 10\.93\.0\.2\/24/);
});

test("CHECK: a namespace that took the place of the container's is another", async (t) => {
  const lab = await open(t);
  const [a, b] = [lab.container(), lab.container()];
  const prevResult = await lab.done("ADD", a);
  const moved = { ...a, netns: b.netns };
  const said = await lab.refused("not-as-it-should-be", "CHECK", moved, { config: { prevResult } });
  assert.match(said, /\/run\/netns\/c2 is another network namespace than at ADD/);
});

test("STATUS and CHECK: a network that this host carries and could not build is limited", async (t) => {
  const lab = await open(t);
  const a = lab.container();
  const prevResult = await lab.done("ADD", a);
  await lab.done("STATUS", NOWHERE);
  assert.match(await lab.refused("not-available", "STATUS", NOWHERE, { config: { network: "nowhere" } }), /nowhere/);
  await lab.refused("not-available", "STATUS", NOWHERE, { config: { slice: "none" } });
  await lab.put("beside", { ipam: "local", subnets: [{ cidr: "10.98.0.0/16", hostPrefix: 24 }] });
  // The kernel refuses whatever is done to the first network from here on.
  const bridge = (await lab.objects()).find(({ kind, ns }) => kind === "bridge" && ns === "vrf:local");
  lab.host.kernel.failNext(10_000);
  lab.host.kernel.disturb(bridge ?? assert.fail());
  await lab.world.clock.advance(20_000);
  const { errors, networks } = lab.host.running?.agent.report ?? assert.fail();
  assert(errors.length > 0 && networks.includes("beside") && !networks.includes("local"), errors.join());
  assert.match(await lab.refused("limited-connectivity", "STATUS", NOWHERE), /local is not whole.*EBUSY/);
  await lab.done("STATUS", NOWHERE, { config: { network: "beside" } });
  await lab.done("STATUS", NOWHERE, GLOBAL);
  const said = await lab.refused("not-as-it-should-be", "CHECK", a, { config: { prevResult } });
  assert.match(said, /EBUSY/);
});

test("GC takes away what its configuration made and is not on the list, and nothing else", async (t) => {
  const lab = await open(t);
  const [a, b, c, d] = [lab.container(), lab.container(), lab.container(), lab.container()];
  for (const one of [a, b]) await lab.done("ADD", one);
  await lab.done("ADD", b, { env: { CNI_IFNAME: "net1" } });
  await lab.done("ADD", c, { config: { name: "another" } });
  const { attacher } = lab.host.running ?? assert.fail();
  await lab.within(attacher.attach({ network: "local", netns: d.netns, owner: d.id }));
  const valid = [
    { containerID: "c1", ifname: "eth0" },
    { containerID: "c2", ifname: "net1" },
  ];
  await lab.done("GC", NOWHERE, { config: { "cni.dev/valid-attachments": valid } });
  assert.deepEqual(await lab.attached(), ["c1.eth0", "c2.net1", "c3.eth0", "c4.eth0"]);
  await lab.done("GC", NOWHERE, { config: { "cni.dev/valid-attachments": [] } });
  assert.deepEqual(await lab.attached(), ["c3.eth0", "c4.eth0"]);
});

test("DEL that cannot be written down is no success, and may be repeated", async (t) => {
  const lab = await open(t);
  const a = lab.container();
  await lab.done("ADD", a);
  const set = lab.host.entries.set.bind(lab.host.entries);
  lab.host.entries.set = () => {
    throw Object.assign(new Error("ENOSPC: full"), { syscall: "write" });
  };
  assert.match(await lab.refused("io", "DEL", a), /ENOSPC/);
  assert.deepEqual(await lab.attached(), ["c1.eth0"]);
  lab.host.entries.set = set;
  await lab.done("DEL", a);
  assert.deepEqual(await lab.attached(), []);
});

test("GC goes on after an error, and says at the end what stays", async (t) => {
  const lab = await open(t);
  for (let n = 0; n < 4; n++) await lab.done("ADD", lab.container());
  await lab.world.clock.advance(1_000);
  // The disk refuses to write down that two of them leave.
  const set = lab.host.entries.set.bind(lab.host.entries);
  const isRefused = (name: string) => name === "c2.eth0" || name === "c3.eth0";
  lab.host.entries.set = (name, entry) => {
    if (!isRefused(name)) return set(name, entry);
    throw Object.assign(new Error(`ENOSPC: ${name}`), { syscall: "write" });
  };
  const config = { "cni.dev/valid-attachments": [] };
  assert.match(await lab.refused("io", "GC", NOWHERE, { config }), /ENOSPC: c2.eth0; .*disk; ENOSPC: c3.eth0/);
  assert.match(lab.logged.join(), /^cni .*ENOSPC/, "an operator is told, too");
  assert.deepEqual(await lab.attached(), ["c2.eth0", "c3.eth0"]);
  lab.host.entries.set = set;
  await lab.done("GC", NOWHERE, { config });
  assert.deepEqual(await lab.attached(), []);
});
