// Every file in examples/ is taken by a control plane with the hosts of the demonstration, as its comments say.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { itemsOf } from "../../../../src/cli/input/resourceFile.ts";
import { Control } from "../../../../src/control/control.ts";
import { DIRECTIONS } from "../../../../src/model/qos.ts";
import { parseApply } from "../../../../src/model/parse.ts";
import { openMemoryStore } from "../../../../src/store/memory.ts";
import { parseApceraConfig } from "../../../../src/ancestors/apcera/config.ts";
import { applyOf as apceraApplyOf } from "../../../../src/ancestors/apcera/resources.ts";
import { parseDcosConfig } from "../../../../src/ancestors/dcos/config.ts";
import { applyOf } from "../../../../src/ancestors/dcos/resources.ts";

const EXAMPLES = new URL("../../../../examples/", import.meta.url);
const textOf = (file: string) => readFileSync(new URL(file, EXAMPLES), "utf8");
const clock = { nowMs: () => 0, monotonicMs: () => 0, sleep: () => Promise.resolve() };

/** The demonstration: three hosts on 172.31.77.0/24, and its configuration. */
async function demonstration(): Promise<Control> {
  const control = await Control.open(openMemoryStore(), { clock });
  await control.setToken("join", "join-token");
  for (const n of [1, 2, 3]) {
    const claim = {
      host: `h${n}`,
      underlay: `172.31.77.${10 + n}`,
      underlayMtu: 1500,
      hostPrefixes: ["172.31.77.0/24"],
      shaping: DIRECTIONS,
    };
    await control.join(claim, "join-token");
  }
  const { resources, pruneVrf } = applyOf(parseDcosConfig(textOf("dcos.yaml"), "examples/dcos.yaml"));
  await control.write({ verb: "apply", items: resources, ...(pruneVrf === undefined ? {} : { pruneVrf }) });
  return control;
}

async function applied(control: Control, file: string) {
  const { resources } = parseApply({ resources: await itemsOf(textOf(file), file) });
  return control.write({ verb: "apply", items: resources });
}

test("every example has its test here", () => {
  assert.deepEqual(readdirSync(EXAMPLES).sort(), [
    "addresses.yaml",
    "apcera.conf",
    "dcos.yaml",
    "limits.yaml",
    "networks.yaml",
    "openvswitch.yaml",
    "plan.yaml",
    "policy.yaml",
  ]);
});

test("dcos.yaml: each host of the demonstration has a block of both networks, and nobody is missing", async () => {
  const control = await demonstration();
  const { networks, blocks, vteps } = await control.snapshot({ role: "admin" });
  assert.deepEqual(networks.map(({ name }) => name).sort(), ["dcos", "dcos-1"]);
  assert.equal(blocks.length, 6);
  assert.equal(vteps.length, 3);
  assert.deepEqual(await control.conditions(), []);
  assert.deepEqual(
    (await control.status()).hosts.map(({ state }) => state),
    ["suspect", "suspect", "suspect"],
  );
});

test("apcera.conf: networks get what its comments say", async () => {
  const control = await demonstration();
  const { resources } = parseApply(apceraApplyOf(parseApceraConfig(textOf("apcera.conf"), "apcera.conf")));
  await control.write({ verb: "apply", items: resources });
  assert.deepEqual((await control.write({ verb: "apply", items: resources })).changes, []);
  const pool = { name: "apcera" };
  const made = [];
  for (const [name, spec] of [
    ["front", { pool }],
    ["back", { pool, ipam: "local" }],
    ["next", { pool, ipam: "local" }],
  ] as const) {
    const { resource } = await control.write({ verb: "put", kind: "network", name, spec });
    made.push(resource?.kind === "network" ? resource.spec.subnets.map(({ cidr }) => cidr).join() : "");
  }
  assert.deepEqual(made, ["192.168.1.0/24", "10.2.0.0/16", "10.4.0.0/16"]);
});

test("limits.yaml: a network with limits, in numbers", async () => {
  const control = await demonstration();
  await applied(control, "limits.yaml");
  const { networks } = await control.snapshot({ role: "admin" });
  assert.deepEqual(networks.find(({ name }) => name === "guests")?.spec.qos, {
    inbound: { average: 100_000_000 },
    outbound: { average: 20_000_000, peak: 100_000_000, burst: 1_000_000 },
  });
});

test("networks.yaml: a routed and a switched network, both dual stack; twice is once", async () => {
  const control = await demonstration();
  await applied(control, "networks.yaml");
  const { networks } = await control.snapshot({ role: "admin" });
  const made = networks.filter(({ spec }) => spec.vrf !== "dcos").toSorted((a, b) => (a.name < b.name ? -1 : 1));
  assert.deepEqual(
    made.map(({ name, spec }) => [name, spec.ipam, spec.subnets.length]),
    [
      ["blue", "local", 2],
      ["lab", "global", 2],
    ],
  );
  assert.deepEqual((await applied(control, "networks.yaml")).changes, []);
});

test("openvswitch.yaml: in tunnels, in a chosen VLAN, and on a bridge that is there; twice is once", async () => {
  const control = await demonstration();
  await applied(control, "openvswitch.yaml");
  const { networks } = await control.snapshot({ role: "admin" });
  const made = networks.filter(({ spec }) => spec.driver === "ovs").toSorted((a, b) => (a.name < b.name ? -1 : 1));
  assert.deepEqual(
    made.map(({ name, spec: { tunnel, vlan, trunks } }) => [name, tunnel, vlan, trunks]),
    [
      ["cells", "gre", undefined, undefined],
      ["shelf", "none", 100, undefined],
      ["trunk", "none", 33, ["200-299"]],
    ],
  );
  assert.deepEqual((await applied(control, "openvswitch.yaml")).changes, []);
});

test("addresses.yaml: leases of every range, as its comments say; twice is once", async () => {
  const control = await demonstration();
  await applied(control, "addresses.yaml");
  assert.deepEqual((await applied(control, "addresses.yaml")).changes, []);
  const lease = async (network: string, range: string) => {
    const claim = { network, range, host: "h1", owner: range, ifname: "eth0", netns: `/run/netns/${range}` };
    const { resource } = await control.write({ verb: "attach", claim, by: { role: "host", host: "h1" } });
    assert.ok(resource?.kind === "endpoint");
    return [...resource.spec.addresses, resource.spec.mac];
  };
  assert.deepEqual(await lease("office", "desks"), ["10.9.1.0", "fd00:9::1:0", "02:00:0a:09:01:00"]);
  assert.deepEqual(await lease("office", "guests"), ["10.9.2.0", "02:00:0a:09:02:00"]);
  const [global = "", ula = "", mac = ""] = await lease("office", "sensors");
  assert.match(`${global} ${ula} ${mac}`, /^fd00:a::\S+:fe\S+ fd00:b::\S+:fe\S+ 02:00:/);
  assert.match((await lease("wire", "ports")).join(), /^02:00:[0-9a-f:]+$/);
});

test("policy.yaml: groups that name each other and the network that has one of them; twice is once", async () => {
  const control = await demonstration();
  await applied(control, "policy.yaml");
  const { securityGroups, networks } = await control.snapshot({ role: "admin" });
  assert.deepEqual(securityGroups.map(({ name }) => name).sort(), ["database", "everybody", "web"]);
  assert.deepEqual(networks.find(({ name }) => name === "shop")?.spec.securityGroups, ["everybody"]);
  assert.deepEqual((await applied(control, "policy.yaml")).changes, []);
});

test("plan.yaml changes what dcos.yaml made, with endpoints attached", async () => {
  const control = await demonstration();
  const claim = { network: "dcos-1", host: "h1", owner: "db1", ifname: "eth0", netns: "/run/netns/db1" };
  await control.write({
    verb: "attach",
    claim: { ...claim, addresses: ["192.168.0.2"] },
    by: { role: "host", host: "h1" },
  });
  const before = await control.find("network", "dcos-1", { role: "admin" });
  const { changes } = await applied(control, "plan.yaml");
  const after = await control.find("network", "dcos-1", { role: "admin" });
  // Everything else is as the configuration has it, so that the plan shows what its comments say and no more.
  assert.deepEqual(after?.spec, { ...before?.spec, mtu: 1400, masquerade: false });
  assert.ok(changes.some((change) => "put" in change && change.put.kind === "network" && change.put.name === "green"));
});
