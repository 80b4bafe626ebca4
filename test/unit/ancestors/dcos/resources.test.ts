// A configuration in Weft's words, as the API takes it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseApply } from "../../../../src/model/parse.ts";
import { parseDcosConfig } from "../../../../src/ancestors/dcos/config.ts";
import { applyOf } from "../../../../src/ancestors/dcos/resources.ts";
import { COMMUNITY, ENTERPRISE, resourcesOf } from "./samples.ts";

test("the community sample is one VRF with two networks", () => {
  const { vrf, networks } = resourcesOf(COMMUNITY);
  assert.deepEqual(vrf, {
    kind: "vrf",
    name: "dcos",
    spec: {
      vni: 1024,
      vtepSubnets: ["44.128.0.0/20"],
      vtepMacOui: "70:b3:d5",
      vtepName: "vtep1024",
      hostAccess: true,
      dcos: {
        vtepMacOui: "70:B3:D5:00:00:00",
        masters: ["10.10.0.120", "10.10.0.119", "10.10.0.118"],
        agents: ["10.10.0.117", "10.10.0.116"],
      },
    },
  });
  assert.deepEqual(networks[1], {
    kind: "network",
    name: "dcos-1",
    spec: {
      driver: "vxlan",
      ipam: "local",
      vrf: "dcos",
      subnets: [{ cidr: "192.168.0.0/16", hostPrefix: 24 }],
      slices: [
        { name: "mesos", bridge: "m" },
        { name: "docker", bridge: "d" },
      ],
      masquerade: true,
      enabled: true,
    },
  });
});

test("the API takes every sample as it is", () => {
  for (const text of [COMMUNITY, ENTERPRISE, "cluster_name: defaults\n"]) {
    const apply = applyOf(parseDcosConfig(text, "config.yaml"), 64_000);
    assert.deepEqual(parseApply(JSON.parse(JSON.stringify(apply))), apply);
  }
});

function networksOf(...lines: string[]) {
  return resourcesOf(`${lines.join("\n")}\n`).networks.map(({ name, spec }) => ({ name, ...spec }));
}

test("without IPv6, networks that have nothing else are disabled, the others have only IPv4", () => {
  assert.deepEqual(
    networksOf("enable_ipv6: false").map(({ name, enabled, subnets }) => [
      name,
      enabled,
      subnets?.[0]?.cidr,
      subnets?.length,
    ]),
    [
      ["dcos", true, "9.0.0.0/8", 1],
      ["dcos6", false, "fd01:b::/64", 1],
    ],
  );
  const dual = [
    "dcos_overlay_network:",
    "  vtep_subnet: 44.128.0.0/20",
    "  vtep_subnet6: fd01:a::/64",
    "  vtep_mac_oui: 70:B3:D5:00:00:00",
    "  overlays: [{name: both, subnet: 10.0.0.0/8, prefix: 24, subnet6: 'fd02::/64', prefix6: 80, enabled: false}]",
  ];
  assert.deepEqual(networksOf(...dual)[0]?.subnets, [
    { cidr: "10.0.0.0/8", hostPrefix: 24 },
    { cidr: "fd02::/64", hostPrefix: 80 },
  ]);
  assert.deepEqual(networksOf(...dual, "enable_ipv6: false")[0]?.subnets, [{ cidr: "10.0.0.0/8", hostPrefix: 24 }]);
  assert.equal(networksOf(...dual)[0]?.enabled, false);
});

test("dcos_overlay_mtu is every network's, and at least what Weft takes", () => {
  assert.deepEqual(
    networksOf("dcos_overlay_mtu: 1420").map(({ mtu }) => mtu),
    [1420, 1420],
  );
  assert.deepEqual(
    networksOf("dcos_overlay_mtu: 552", "enable_ipv6: false").map(({ mtu }) => mtu),
    [576, 576],
  );
  assert.deepEqual(
    networksOf("cluster_name: x").map(({ mtu }) => mtu),
    [undefined, undefined],
  );
});

test("a file that switches overlays off asks for the VRF, and no network in it", () => {
  const { resources, pruneVrf } = applyOf(parseDcosConfig("dcos_overlay_enable: false\n", "config.yaml"));
  assert.deepEqual([resources.map(({ kind, name }) => `${kind}/${name}`), pruneVrf], [["vrf/dcos"], "dcos"]);
});
