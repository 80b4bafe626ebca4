// What DC/OS does with its overlays from outside, against a real control plane: allocation, recovery, removal, and
// every change of configuration that DC/OS asks a reinstallation for, or breaks at. M1 to M17 are its own tests' cases.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { type TestContext, test } from "node:test";
import { Control } from "../../../../src/control/control.ts";
import { Fault } from "../../../../src/model/fault.ts";
import { openMemoryStore } from "../../../../src/store/memory.ts";
import { openSqliteStore } from "../../../../src/store/sqlite.ts";
import type { Store } from "../../../../src/store/store.ts";
import { parseDcosConfig } from "../../../../src/ancestors/dcos/config.ts";
import { applyOf } from "../../../../src/ancestors/dcos/resources.ts";
import { dcosRoutes } from "../../../../src/ancestors/dcos/routes.ts";
import { STATE, STATE_2, STATE_2_CONFIG, STATE_CONFIG } from "./samples.ts";
import { type AgentOverlayInfo, type State, agentOverlay } from "../../../../src/ancestors/dcos/state.ts";

const clock = { nowMs: () => 1_000_000, monotonicMs: () => 1_000_000, sleep: () => Promise.resolve() };
const JOIN_TOKEN = "join-token-of-this-test-0123456789";
const ADMIN = { role: "admin" } as const;

type Cluster = Awaited<ReturnType<typeof clusterOver>>;

/** A server over a store, and what an operator and the hosts do with it. */
async function clusterOver(store: Store) {
  const control = await Control.open(store, { clock });
  await control.setToken("join", JOIN_TOKEN);
  const [stateRoute, , deleteRoute] = dcosRoutes(control);
  assert.ok(stateRoute !== undefined && deleteRoute !== undefined);
  return {
    control,
    import: (text: string) => {
      const { resources, pruneVrf } = applyOf(parseDcosConfig(text, "config.yaml"));
      return control.write({ verb: "apply", items: resources, ...(pruneVrf === undefined ? {} : { pruneVrf }) });
    },
    /** The host `h<last octet>`; with a token of its own it is known already. */
    join: async (
      underlay: string,
      more: { readonly token?: string; readonly host?: string; slices?: string[] } = {},
    ) => {
      const { token, host = `h${underlay.split(".")[3]}`, ...rest } = more;
      return control.join({ host, underlay, underlayMtu: 1500, hostPrefixes: [], ...rest }, token ?? JOIN_TOKEN);
    },
    attach: (host: string, network: string, address: string, slice = "mesos") => {
      const claim = {
        network,
        host,
        owner: `web-${host}`,
        ifname: "eth0",
        netns: "/run/netns/web",
        addresses: [address],
        slice,
      };
      return control.write({ verb: "attach", claim, by: { role: "host", host } });
    },
    /** The host says that it holds everything. */
    report: async (host: string) => {
      const { revision, networks } = await control.snapshot(ADMIN);
      const nothing = { errors: [], conditions: [], hostPrefixes: [], driftRepaired: 0, objects: 0 };
      const names = networks.map(({ name }) => name);
      await control.report({ host, bootId: "b", version: "1", revision, networks: names, ...nothing });
    },
    state: async (): Promise<State> => JSON.parse((await stateRoute.handle({ query: {}, text: "" })).text) as State,
    deleteAgents: async (...agents: string[]): Promise<State> =>
      JSON.parse((await deleteRoute.handle({ query: {}, text: JSON.stringify({ agents }) })).text) as State,
    agentView: async (host: string) => agentOverlay(await control.snapshot({ role: "host", host }), host, undefined),
  };
}

async function memoryCluster(): Promise<Cluster> {
  return clusterOver(openMemoryStore());
}

/** What a host has, in the order of the overlays' names. */
async function overlaysOf(cluster: Cluster, ip: string): Promise<readonly AgentOverlayInfo[]> {
  return (await cluster.state()).agents.find((agent) => agent.ip === ip)?.overlays ?? [];
}
async function subnetsOf(cluster: Cluster, ip: string): Promise<readonly string[]> {
  return (await overlaysOf(cluster, ip)).map(({ info, subnet, subnet6 }) => `${info.name} ${subnet ?? subnet6 ?? ""}`);
}
async function vtepOf(cluster: Cluster, ip: string) {
  return (await overlaysOf(cluster, ip))[0]?.backend.vxlan;
}

async function refusalOf(promise: Promise<unknown>): Promise<Fault> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  assert.fail("nothing was refused");
}

/** An overlay per line: `name subnet prefix [disabled]`. */
function configOf(overlays: readonly string[], keys = ""): string {
  const rows = overlays.map((overlay) => {
    const [name, subnet, prefix, disabled] = overlay.split(" ");
    const six = subnet?.includes(":") === true ? "6" : "";
    const addresses = `subnet${six}: '${subnet}', prefix${six}: ${prefix}`;
    return `  - {name: ${name}, ${addresses}, enabled: ${disabled === undefined}}`;
  });
  const has = (key: string) => keys.includes(`${key}:`);
  return [
    "dcos_overlay_network:",
    ...(has("vtep_subnet") ? [] : ["  vtep_subnet: 44.128.0.0/16"]),
    ...(has("vtep_mac_oui") ? [] : ["  vtep_mac_oui: 70:B3:D5:00:00:00"]),
    ...(keys === "" ? [] : [keys.replaceAll(/^/gm, "  ")]),
    "  overlays:",
    ...rows,
    "",
  ].join("\n");
}
const ONE = "mz-overlay 192.168.0.0/16 24";
const TWO = "mz-overlay-2 11.0.0.0/8 24";

test("published state: three agents with Docker only", async () => {
  const cluster = await memoryCluster();
  await cluster.import(STATE_CONFIG);
  for (const ip of ["10.10.0.120", "10.10.0.118", "10.10.0.119"]) {
    await cluster.join(ip, { slices: ["docker"] });
    await cluster.report(`h${ip.slice(-3)}`);
  }
  for (const host of ["h120", "h118", "h119"]) await cluster.report(host);
  assert.equal(JSON.stringify(await cluster.state(), undefined, 2), JSON.stringify(STATE, undefined, 2));
});

test("published state: DC/OS 2.x with IPv6 and a master, whether file or hosts come first", async () => {
  for (const isFileFirst of [true, false]) {
    const cluster = await memoryCluster();
    if (isFileFirst) await cluster.import(STATE_2_CONFIG);
    for (const ip of ["172.17.0.2", "172.17.0.4", "172.17.0.3"]) await cluster.join(ip);
    if (!isFileFirst) await cluster.import(STATE_2_CONFIG);
    for (const host of ["h2", "h4", "h3"]) await cluster.report(host);
    assert.equal(JSON.stringify(await cluster.state(), undefined, 2), JSON.stringify(STATE_2, undefined, 2));
  }
});

const FIXTURE = `dcos_overlay_network:
  vtep_subnet: 44.128.0.0/16
  vtep_subnet6: fd03::/64
  vtep_mac_oui: 70:B3:D5:00:00:00
  overlays: [{name: mz-overlay, subnet: 192.168.0.0/16, prefix: 24, subnet6: 'fd02::/64', prefix6: 80}]
`;

test("M1 the state before any agent", async () => {
  const cluster = await memoryCluster();
  await cluster.import(FIXTURE);
  const info = { name: "mz-overlay", prefix: 24, prefix6: 80, subnet: "192.168.0.0/16", subnet6: "fd02::/64" };
  assert.deepEqual(await cluster.state(), {
    agents: [],
    network: {
      overlays: [info],
      vtep_mac_oui: "70:B3:D5:00:00:00",
      vtep_subnet: "44.128.0.0/16",
      vtep_subnet6: "fd03::/64",
    },
  });
});

test("M2 the first agent's view is the master's", async () => {
  const cluster = await memoryCluster();
  await cluster.import(FIXTURE);
  await cluster.join("10.0.0.1");
  const { configuration_attempts: attempts, ...view } = (await cluster.agentView("h1")) ?? { ip: "", overlays: [] };
  assert.equal(attempts, 0);
  assert.deepEqual(view, (await cluster.state()).agents[0]);
  assert.equal(view.overlays[0]?.subnet, "192.168.0.0/24");
  assert.equal(view.overlays[0]?.subnet6, "fd02::/80");
  assert.deepEqual(view.overlays[0]?.mesos_bridge?.ip, "192.168.0.0/25");
});

/** A store on disk that lives as long as the test. */
function diskPath(t: TestContext): string {
  const dir = mkdtempSync(joinPath(tmpdir(), "weft-dcos-"));
  t.after(() => rmSync(dir, { recursive: true }));
  return joinPath(dir, "weft.db");
}

test("M5, M6 server and agents start again: the same allocation, to the letter", async (t) => {
  const path = diskPath(t);
  const first = openSqliteStore(path);
  const before = await clusterOver(first);
  await before.import(FIXTURE);
  const tokens = new Map<string, string>();
  for (const ip of ["10.0.0.2", "10.0.0.1", "10.0.0.3"]) tokens.set(ip, (await before.join(ip)).token);
  await before.deleteAgents("10.0.0.1");
  const state = JSON.stringify(await before.state());
  await before.control.close();
  await first.close();

  const second = openSqliteStore(path);
  const after = await clusterOver(second);
  assert.equal(JSON.stringify(await after.state()), state);
  for (const ip of ["10.0.0.3", "10.0.0.2"]) await after.join(ip, { token: tokens.get(ip) ?? "" });
  assert.equal(JSON.stringify(await after.state()), state);
  const revision = after.control.revision;
  await after.import(FIXTURE);
  assert.equal(after.control.revision, revision, "the same file again changes nothing");
  await after.control.close();
  await second.close();
});

test("M9 an overlay is added while agents are there", async () => {
  const cluster = await memoryCluster();
  await cluster.import(configOf([ONE]));
  await cluster.join("10.0.0.1");
  await cluster.attach("h1", "mz-overlay", "192.168.0.2");
  const [old] = await overlaysOf(cluster, "10.0.0.1");
  await cluster.import(configOf([ONE, TWO]));
  assert.deepEqual((await overlaysOf(cluster, "10.0.0.1"))[0], old);
  assert.deepEqual(await subnetsOf(cluster, "10.0.0.1"), ["mz-overlay 192.168.0.0/24", "mz-overlay-2 11.0.0.0/24"]);
});

test("M11 vtep_mtu is in each agent's backend, and changes for those that are there", async () => {
  const cluster = await memoryCluster();
  await cluster.import(configOf([ONE], "vtep_mtu: 9000"));
  await cluster.join("10.0.0.1");
  await cluster.attach("h1", "mz-overlay", "192.168.0.2");
  assert.equal((await vtepOf(cluster, "10.0.0.1"))?.vtep_mtu, 9000);
  await cluster.import(configOf([ONE], "vtep_mtu: 1450"));
  assert.equal((await vtepOf(cluster, "10.0.0.1"))?.vtep_mtu, 1450);
});

test("M13 IPv6 comes later, to agents that are there", async () => {
  const cluster = await memoryCluster();
  await cluster.import(configOf([ONE]));
  await cluster.join("10.0.0.1");
  await cluster.attach("h1", "mz-overlay", "192.168.0.2");
  assert.equal((await vtepOf(cluster, "10.0.0.1"))?.vtep_ip6, undefined);
  await cluster.import(configOf([ONE, "mz-test-ip6 fd04::/64 80"], "vtep_subnet6: fd03::/64"));
  const overlays = await overlaysOf(cluster, "10.0.0.1");
  assert.deepEqual(await subnetsOf(cluster, "10.0.0.1"), ["mz-overlay 192.168.0.0/24", "mz-test-ip6 fd04::/80"]);
  assert.equal(overlays[1]?.subnet, undefined);
  assert.equal(overlays[1]?.backend.vxlan.vtep_ip6, "fd03::1/64");
  assert.deepEqual(overlays[0]?.backend, overlays[1]?.backend);
});

test("M14 a disabled overlay is not given out until it is enabled", async () => {
  const cluster = await memoryCluster();
  const six = "vtep_subnet6: fd03::/64";
  await cluster.import(configOf([ONE, "mz-six fd04::/64 80 disabled"], six));
  await cluster.join("10.0.0.1");
  assert.deepEqual(await subnetsOf(cluster, "10.0.0.1"), ["mz-overlay 192.168.0.0/24"]);
  await cluster.import(configOf([ONE, "mz-six fd04::/64 80"], six));
  assert.deepEqual(await subnetsOf(cluster, "10.0.0.1"), ["mz-overlay 192.168.0.0/24", "mz-six fd04::/80"]);
});

test("M17 an agent is removed, comes back, and gets the same", async () => {
  const cluster = await memoryCluster();
  await cluster.import(configOf([ONE, TWO]));
  await cluster.join("10.0.0.1");
  await cluster.attach("h1", "mz-overlay", "192.168.0.2");
  const before = await cluster.state();
  assert.deepEqual((await cluster.deleteAgents("10.0.0.1")).agents, []);
  assert.deepEqual((await cluster.deleteAgents("10.0.0.1", "10.0.0.9")).agents, []);
  await cluster.join("10.0.0.1");
  assert.deepEqual(await cluster.state(), before);
  assert.deepEqual((await cluster.agentView("h1"))?.overlays, before.agents[0]?.overlays);
});

test("a removed agent's block and VTEP are the next to be given out; peers see it go", async () => {
  const cluster = await memoryCluster();
  await cluster.import(configOf([ONE]));
  for (const ip of ["10.0.0.1", "10.0.0.2", "10.0.0.3"]) await cluster.join(ip);
  await cluster.deleteAgents("10.0.0.1");
  const { blocks, vteps } = await cluster.control.snapshot({ role: "host", host: "h2" });
  assert.deepEqual(
    [blocks, vteps].map((list) => list.map(({ spec }) => spec.host).sort()),
    [
      ["h2", "h3"],
      ["h2", "h3"],
    ],
  );
  await cluster.join("10.0.0.4");
  const state = await cluster.state();
  assert.deepEqual(
    state.agents.map(({ ip, overlays }) => [ip, overlays[0]?.subnet, overlays[0]?.backend.vxlan.vtep_ip]),
    [
      ["10.0.0.2", "192.168.1.0/24", "44.128.0.2/16"],
      ["10.0.0.3", "192.168.2.0/24", "44.128.0.3/16"],
      ["10.0.0.4", "192.168.0.0/24", "44.128.0.1/16"],
    ],
  );
});

test("a block that is the whole network: the second agent goes without, and that can be seen", async () => {
  const cluster = await memoryCluster();
  await cluster.import(configOf(["small 10.1.1.0/24 24", ONE]));
  await cluster.join("10.0.0.1");
  await cluster.join("10.0.0.2");
  assert.deepEqual(await subnetsOf(cluster, "10.0.0.1"), ["mz-overlay 192.168.0.0/24", "small 10.1.1.0/24"]);
  assert.deepEqual(await subnetsOf(cluster, "10.0.0.2"), ["mz-overlay 192.168.1.0/24"]);
  const conditions = await cluster.control.conditions();
  assert.deepEqual(
    conditions.map(({ reason, object, host }) => ({ reason, object, host })),
    [{ reason: "exhausted", object: "network/small", host: "h2" }],
  );
  await cluster.deleteAgents("10.0.0.1");
  assert.deepEqual(await subnetsOf(cluster, "10.0.0.2"), ["mz-overlay 192.168.1.0/24", "small 10.1.1.0/24"]);
  assert.deepEqual(await cluster.control.conditions(), []);
});

test("VTEP addresses for two: the third agent waits, visibly, until one leaves", async () => {
  const cluster = await memoryCluster();
  await cluster.import(configOf([ONE], "vtep_subnet: 44.128.0.0/30"));
  for (const ip of ["10.0.0.1", "10.0.0.2", "10.0.0.3"]) await cluster.join(ip);
  assert.deepEqual(
    (await cluster.state()).agents.map(({ ip }) => ip),
    ["10.0.0.1", "10.0.0.2"],
  );
  const conditions = await cluster.control.conditions();
  assert.deepEqual(
    conditions.map(({ reason, object, host }) => ({ reason, object, host })),
    [{ reason: "exhausted", object: "vrf/dcos", host: "h3" }],
  );
  await cluster.deleteAgents("10.0.0.2");
  assert.deepEqual(
    (await cluster.state()).agents.map(({ ip }) => ip),
    ["10.0.0.1", "10.0.0.3"],
  );
  assert.equal((await vtepOf(cluster, "10.0.0.3"))?.vtep_ip, "44.128.0.2/30");
});

test("all blocks of a network are given out, both ends included", async () => {
  const cluster = await memoryCluster();
  await cluster.import(configOf(["four 10.1.0.0/22 24"]));
  for (const n of [1, 2, 3, 4, 5]) await cluster.join(`10.0.0.${n}`);
  const subnets = (await cluster.state()).agents.map(({ overlays }) => overlays[0]?.subnet);
  assert.deepEqual(subnets, ["10.1.0.0/24", "10.1.1.0/24", "10.1.2.0/24", "10.1.3.0/24", undefined]);
});

test("names of 13 characters name their bridges, longer ones are taken too", async () => {
  const cluster = await memoryCluster();
  await cluster.import(configOf(["exactly-13-ch 10.1.0.0/16 24", "fourteen-chars 10.2.0.0/16 24"]));
  await cluster.join("10.0.0.1");
  const [first, second] = await overlaysOf(cluster, "10.0.0.1");
  assert.deepEqual([first?.mesos_bridge?.name, first?.docker_bridge?.name], ["m-exactly-13-ch", "d-exactly-13-ch"]);
  const names = [second?.mesos_bridge?.name ?? "", second?.docker_bridge?.name ?? ""];
  assert.equal(new Set(names).size, 2);
  for (const name of names) assert.ok(name.length > 0 && name.length <= 15, name);
});

/** A cluster with one agent and, on its first network, one endpoint. */
async function busyCluster(overlays: readonly string[], keys = ""): Promise<Cluster> {
  const cluster = await memoryCluster();
  await cluster.import(configOf(overlays, keys));
  await cluster.join("10.0.0.1");
  await cluster.join("10.0.0.2");
  return cluster;
}

/** The import is refused because of the endpoint, which is named, and nothing has changed. */
async function assertRefused(cluster: Cluster, config: string): Promise<void> {
  const before = await cluster.control.snapshot(ADMIN);
  const fault = await refusalOf(cluster.import(config));
  assert.equal(fault.reason, "in-use");
  assert.deepEqual(fault.detail.blockers, ["web-h1.eth0"]);
  assert.deepEqual(await cluster.control.snapshot(ADMIN), before);
}

test("an overlay is removed or renamed: gone, unless endpoints stand in the way", async () => {
  for (const [after, names] of [
    [[TWO], ["mz-overlay-2"]],
    [
      ["renamed 192.168.0.0/16 24", TWO],
      ["mz-overlay-2", "renamed"],
    ],
  ] as const) {
    const idle = await busyCluster([ONE, TWO]);
    await idle.import(configOf(after));
    const state = await idle.state();
    assert.deepEqual(
      state.network.overlays.map(({ name }) => name),
      names,
    );
    assert.deepEqual(
      state.agents.map(({ overlays }) => overlays.map(({ info }) => info.name)),
      [names, names],
    );

    const busy = await busyCluster([ONE, TWO]);
    await busy.attach("h1", "mz-overlay", "192.168.0.2");
    await assertRefused(busy, configOf(after));
    await busy.control.write({ verb: "detach", endpoint: "web-h1.eth0", by: { role: "host", host: "h1" } });
    await busy.import(configOf(after));
    assert.deepEqual(
      (await busy.state()).network.overlays.map(({ name }) => name),
      names,
    );
  }
});

test("an overlay's subnet or prefix changes: carved anew, unless endpoints stand on it", async () => {
  for (const [after, subnets] of [
    ["mz-overlay 10.5.0.0/16 24", ["10.5.0.0/24", "10.5.1.0/24"]],
    ["mz-overlay 192.168.0.0/16 26", ["192.168.0.0/26", "192.168.0.64/26"]],
  ] as const) {
    const idle = await busyCluster([ONE]);
    await idle.import(configOf([after]));
    assert.deepEqual(
      (await idle.state()).agents.map(({ overlays }) => overlays[0]?.subnet),
      subnets,
    );

    const busy = await busyCluster([ONE]);
    await busy.attach("h1", "mz-overlay", "192.168.0.2");
    await assertRefused(busy, configOf([after]));
  }
});

test("vtep_subnet changes: every VTEP moves with its MAC, unless tunnels carry endpoints", async () => {
  const idle = await busyCluster([ONE]);
  await idle.import(configOf([ONE], "vtep_subnet: 198.15.0.0/20"));
  assert.equal((await idle.state()).network.vtep_subnet, "198.15.0.0/20");
  const vteps = (await idle.state()).agents.map(({ overlays }) => overlays[0]?.backend.vxlan);
  assert.deepEqual(
    vteps.map((vtep) => [vtep?.vtep_ip, vtep?.vtep_mac]),
    [
      ["198.15.0.1/20", "70:b3:d5:0f:00:01"],
      ["198.15.0.2/20", "70:b3:d5:0f:00:02"],
    ],
  );
  assert.deepEqual(
    (await idle.state()).agents.map(({ overlays }) => overlays[0]?.subnet),
    ["192.168.0.0/24", "192.168.1.0/24"],
  );

  const busy = await busyCluster([ONE]);
  await busy.attach("h1", "mz-overlay", "192.168.0.2");
  await assertRefused(busy, configOf([ONE], "vtep_subnet: 198.15.0.0/20"));
});

test("the OUI changes: on all agents alike, unless tunnels carry endpoints", async () => {
  const idle = await busyCluster([ONE]);
  await idle.import(configOf([ONE], "vtep_mac_oui: 02:AA:BB:00:00:00"));
  const state = await idle.state();
  assert.equal(state.network.vtep_mac_oui, "02:AA:BB:00:00:00");
  assert.deepEqual(
    state.agents.map(({ overlays }) => overlays[0]?.backend.vxlan.vtep_mac),
    ["02:aa:bb:80:00:01", "02:aa:bb:80:00:02"],
  );

  const busy = await busyCluster([ONE]);
  await busy.attach("h1", "mz-overlay", "192.168.0.2");
  await assertRefused(busy, configOf([ONE], "vtep_mac_oui: 02:AA:BB:00:00:00"));
});

test("an overlay is disabled: agents keep it, new ones do not get it, nobody attaches; then all get it", async () => {
  const cluster = await busyCluster([ONE, TWO]);
  await cluster.attach("h1", "mz-overlay", "192.168.0.2");
  await cluster.import(configOf([`${ONE} disabled`, TWO]));
  await cluster.join("10.0.0.3");
  assert.deepEqual(await subnetsOf(cluster, "10.0.0.1"), ["mz-overlay 192.168.0.0/24", "mz-overlay-2 11.0.0.0/24"]);
  assert.deepEqual(await subnetsOf(cluster, "10.0.0.3"), ["mz-overlay-2 11.0.2.0/24"]);
  assert.equal((await cluster.state()).network.overlays[0]?.enabled, false);
  assert.equal((await refusalOf(cluster.attach("h2", "mz-overlay", "192.168.1.2"))).reason, "network-disabled");
  await cluster.import(configOf([ONE, TWO]));
  assert.deepEqual(await subnetsOf(cluster, "10.0.0.3"), ["mz-overlay 192.168.2.0/24", "mz-overlay-2 11.0.2.0/24"]);
  await cluster.attach("h2", "mz-overlay", "192.168.1.2");
});

test("an agent's address changes: it stays the same host, and nothing is left behind", async () => {
  const cluster = await memoryCluster();
  await cluster.import(configOf([ONE]));
  const { token } = await cluster.join("10.0.0.1");
  const before = await overlaysOf(cluster, "10.0.0.1");
  await cluster.join("10.0.7.7", { host: "h1", token });
  const { agents } = await cluster.state();
  assert.deepEqual(agents, [{ ip: "10.0.7.7", overlays: before }]);
});

test("dcos_overlay_mtu comes, changes and goes with the file", async () => {
  const cluster = await memoryCluster();
  const mtu = async () => (await cluster.control.find("network", "mz-overlay", ADMIN))?.spec.mtu;
  await cluster.import(`dcos_overlay_mtu: 1420\n${configOf([ONE])}`);
  assert.equal(await mtu(), 1420);
  await cluster.import(configOf([ONE]));
  assert.equal(await mtu(), undefined);
});

test("a file that switches overlays off removes them all, unless endpoints stand in the way", async () => {
  const off = `dcos_overlay_enable: false\n${configOf([ONE, TWO])}`;
  const idle = await busyCluster([ONE, TWO]);
  await idle.import(off);
  assert.deepEqual((await idle.state()).network.overlays, []);
  const busy = await busyCluster([ONE, TWO]);
  await busy.attach("h1", "mz-overlay", "192.168.0.2");
  await assertRefused(busy, off);
});

test("what the file does not own stays: networks of other VRFs", async () => {
  const cluster = await memoryCluster();
  const subnets = [{ cidr: "10.77.0.0/16", hostPrefix: 24 }];
  await cluster.control.write({ verb: "put", kind: "network", name: "blue", spec: { ipam: "local", subnets } });
  await cluster.import(configOf([ONE]));
  await cluster.import(configOf([TWO]));
  assert.equal((await cluster.control.find("network", "blue", ADMIN))?.spec.vrf, "blue");
  assert.deepEqual(
    (await cluster.state()).network.overlays.map(({ name }) => name),
    ["mz-overlay-2"],
  );
});
