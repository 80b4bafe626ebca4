// States as DC/OS published them, field by field and in their order, from Weft's resources and reports.
import assert from "node:assert/strict";
import { test } from "node:test";
import { blockAt } from "../../ipam/blocks.ts";
import { formatCidr, formatIp, parseCidr, vtepMac } from "../../../../src/model/address.ts";
import { type Resource, type Snapshot, blockName, snapshotOf, vtepName } from "../../../../src/model/resource.ts";
import type { HostReport } from "../../../../src/model/status.ts";
import { STATE, STATE_2, STATE_2_CONFIG, STATE_CONFIG, resourcesOf } from "./samples.ts";
import { agentOverlay, overlayState } from "../../../../src/ancestors/dcos/state.ts";

type Member = { readonly name: string; readonly underlay: string; readonly slices?: readonly string[] };

/** The n-th member with the n-th block of each network and the n-th VTEP; everything at revision 5. */
function snapshotFor(config: string, members: readonly Member[]): Snapshot {
  const { vrf, networks } = resourcesOf(config);
  const common = { uid: "u", revision: 5 };
  const hosts = members.map(({ name, ...rest }, order): Resource => {
    return { kind: "host", name, ...common, spec: { underlayMtu: 1500, order, ...rest } };
  });
  const vteps = members.map(({ name }, n): Resource => {
    const [ip, ip6] = (vrf.spec.vtepSubnets ?? []).map((text) => {
      const { family, base } = parseCidr(text, "");
      return { family, value: base + BigInt(n) + 1n };
    });
    assert.ok(ip !== undefined);
    const spec = { vrf: "dcos", host: name, ip: formatIp(ip), mac: vtepMac("70:b3:d5", ip) };
    return {
      kind: "vtep",
      name: vtepName("dcos", name),
      ...common,
      spec: ip6 === undefined ? spec : { ...spec, ip6: formatIp(ip6) },
    };
  });
  const blocks = networks.flatMap(({ name: network, spec }) =>
    members.flatMap(({ name: host }, n) =>
      (spec.subnets ?? []).map(({ cidr, hostPrefix }): Resource => {
        const subnet = parseCidr(cidr, "");
        const block = blockAt(subnet, hostPrefix ?? 0, BigInt(n));
        assert.ok(block !== undefined);
        const name = blockName(network, host, subnet.family);
        return { kind: "block", name, ...common, spec: { network, host, cidr: formatCidr(block) } };
      }),
    ),
  );
  const wanted = [vrf, ...networks].map(
    (item) => ({ ...item, ...common, spec: { index: 1, ...item.spec } }) as Resource,
  );
  // Lists of a snapshot are in no order.
  return snapshotOf("c", 5, [...wanted, ...blocks, ...vteps, ...hosts].toReversed());
}

function report(host: string, changes: Partial<HostReport> = {}): HostReport {
  const networks = ["dcos", "dcos6"];
  const nothing = { errors: [], conditions: [], hostPrefixes: [] };
  return {
    host,
    bootId: "b",
    version: "1",
    revision: 5,
    driftRepaired: 0,
    networks,
    objects: 0,
    ...nothing,
    ...changes,
  };
}

const DOCKER_ONLY = ["10.10.0.120", "10.10.0.118", "10.10.0.119"].map((underlay) => {
  return { name: `h${underlay.slice(-3)}`, underlay, slices: ["docker"] };
});

test("three agents with Docker only: the published state, to the letter", () => {
  const snapshot = snapshotFor(STATE_CONFIG, DOCKER_ONLY);
  const state = overlayState(snapshot, new Map(DOCKER_ONLY.map(({ name }) => [name, report(name)])));
  assert.equal(JSON.stringify(state, undefined, 2), JSON.stringify(STATE, undefined, 2));
});

test("DC/OS 2.x with a master and IPv6: the published state, to the letter", () => {
  const members = ["172.17.0.2", "172.17.0.4", "172.17.0.3"].map((underlay) => ({
    name: `h${underlay.slice(-1)}`,
    underlay,
  }));
  const snapshot = snapshotFor(STATE_2_CONFIG, members);
  const state = overlayState(snapshot, new Map(members.map(({ name }) => [name, report(name)])));
  assert.equal(JSON.stringify(state, undefined, 2), JSON.stringify(STATE_2, undefined, 2));
});

function statusOf(status: HostReport | undefined) {
  const state = overlayState(
    snapshotFor(STATE_CONFIG, DOCKER_ONLY),
    new Map(status === undefined ? [] : [[status.host, status]]),
  );
  return state?.agents[0]?.overlays[0]?.state;
}

test("the status of a network on a host follows the host's report", () => {
  assert.deepEqual(statusOf(undefined), { status: "STATUS_CONFIGURING" });
  assert.deepEqual(statusOf(report("h120")), { status: "STATUS_OK" });
  assert.deepEqual(statusOf(report("h120", { revision: 4 })), { status: "STATUS_CONFIGURING" });
  assert.deepEqual(statusOf(report("h120", { networks: [] })), { status: "STATUS_CONFIGURING" });
  assert.deepEqual(statusOf(report("h120", { networks: [], errors: ["bridge: EPERM", "vxlan: EBUSY"] })), {
    error: "bridge: EPERM; vxlan: EBUSY",
    status: "STATUS_FAILED",
  });
  assert.deepEqual(statusOf(report("h120", { revision: 4, errors: ["vxlan: EBUSY"] })), {
    error: "vxlan: EBUSY",
    status: "STATUS_FAILED",
  });
});

test("an agent's view is the master's, with the attempts", () => {
  const snapshot = snapshotFor(STATE_CONFIG, DOCKER_ONLY);
  const view = agentOverlay(snapshot, "h118", report("h118"));
  assert.deepEqual(view, { configuration_attempts: 1, ...STATE.agents[1] });
  assert.equal(Object.keys(view ?? {})[0], "configuration_attempts");
  assert.equal(agentOverlay(snapshot, "h118", undefined)?.configuration_attempts, 0);
  assert.equal(agentOverlay(snapshot, "stranger", undefined), undefined);
});

test("what a network does not have is not shown", () => {
  const snapshot = snapshotFor(STATE_CONFIG, DOCKER_ONLY);
  const blocks = snapshot.blocks.filter(({ spec }) => spec.host !== "h118");
  const vteps = snapshot.vteps.filter(({ spec }) => spec.host !== "h119");
  const networks = snapshot.networks.map((network) => ({ ...network, spec: { ...network.spec, enabled: false } }));
  const state = overlayState({ ...snapshot, blocks, vteps, networks }, new Map());
  assert.deepEqual(
    state?.agents.map(({ ip, overlays }) => [ip, overlays.length]),
    [
      ["10.10.0.120", 1],
      ["10.10.0.118", 0],
    ],
  );
  assert.deepEqual(state?.network.overlays[0], { enabled: false, name: "dcos", prefix: 24, subnet: "44.128.0.0/16" });
  assert.equal("enabled" in (state?.agents[0]?.overlays[0]?.info ?? {}), false);
});

test("vtep_mtu is shown for the network and for each VTEP", () => {
  const config = STATE_CONFIG.replace("  vtep_mac_oui", "  vtep_mtu: 9000\n  vtep_mac_oui");
  const state = overlayState(snapshotFor(config, DOCKER_ONLY), new Map());
  assert.equal(state?.network.vtep_mtu, 9000);
  assert.equal(state?.agents[2]?.overlays[0]?.backend.vxlan.vtep_mtu, 9000);
  assert.deepEqual(Object.keys(state?.agents[2]?.overlays[0]?.backend.vxlan ?? {}), [
    "vni",
    "vtep_ip",
    "vtep_mac",
    "vtep_mtu",
    "vtep_name",
  ]);
});

test("other networks are none of DC/OS's", () => {
  const snapshot = snapshotFor(STATE_CONFIG, DOCKER_ONLY);
  const [network] = snapshot.networks;
  assert.ok(network !== undefined);
  const others = [
    { ...network, name: "elsewhere", spec: { ...network.spec, vrf: "elsewhere" } },
    { ...network, name: "switched", spec: { ...network.spec, ipam: "global" as const } },
  ];
  const state = overlayState({ ...snapshot, networks: [...others, network] }, new Map());
  assert.deepEqual(
    state?.network.overlays.map(({ name }) => name),
    ["dcos"],
  );
  assert.equal(overlayState({ ...snapshot, vrfs: [] }, new Map()), undefined);
});
