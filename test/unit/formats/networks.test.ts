// Networks of every driver that files can say: what is exported of one on a host, and imported from there, is the same
// network, or the export has said what is missing.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { exportNetwork } from "../../../src/formats/export.ts";
import { type Format, type SourceFormat, readPlan } from "../../../src/formats/formats.ts";
import { newReading, remarkText } from "../../../src/formats/reading.ts";
import { resourcesOf } from "../../../src/formats/resources.ts";
import { type Network, type Snapshot, emptySnapshot } from "../../../src/model/resource.ts";
import { defined } from "../../../src/model/defined.ts";
import { asFolder, memoryFiles } from "./memoryFiles.ts";

const hosts = [1, 2, 3].map((n) => ({
  kind: "host",
  name: `h${n}`,
  spec: {
    underlay: `172.31.77.1${n}`,
    underlayMtu: 1500,
    underlayDevice: "eth0",
    order: n,
    physical: [{ name: "eth1", device: "eth1" }],
    devices: [
      { name: "eth1", mtu: 1500 },
      { name: "eth2", mtu: 1500, addresses: [`172.31.78.1${n}`] },
    ],
  },
}));
const vrf = {
  kind: "vrf",
  name: "host",
  spec: { index: 1, vni: 4096, tunnelPort: 4789, vtepSubnets: [], placement: "host" },
};
const snapshotWith = (networks: readonly object[]) =>
  ({
    ...emptySnapshot("c"),
    hosts,
    vrfs: [vrf],
    physicalNetworks: [{ kind: "physicalnetwork", name: "eth1", spec: {} }],
    networks,
  }) as unknown as Snapshot;

const maybe = <T>(arb: fc.Arbitrary<T>) => fc.option(arb, { nil: undefined });
const vni = fc.integer({ min: 1, max: 16_777_214 });
const id = fc.integer({ min: 1, max: 4094 });
const way = fc.oneof(
  fc.record({ driver: fc.constant("vxlan"), vni, device: maybe(fc.constant("encap-mgmt")) }),
  fc
    .record({
      vni,
      octet: fc.integer({ min: 1, max: 254 }),
      ttl: maybe(fc.integer({ min: 1, max: 255 })),
      device: maybe(fc.constant("encap-mgmt")),
    })
    .map(({ octet, ...rest }) => ({
      driver: "vxlan",
      peers: "multicast",
      group: `239.0.1.${octet}`,
      underlayDevice: "eth2",
      ...rest,
    })),
  fc.record({ driver: fc.constant("gre"), vni }),
  fc.record({
    driver: fc.constant("vlan"),
    parent: fc.constant("eth1"),
    vlan: id,
    device: maybe(fc.constant("eth1.x")),
  }),
  fc.record({ driver: fc.constant("vlan"), parent: fc.constant("eth1"), vlan: id, outerVlan: id }),
  fc.record({ driver: fc.constant("bridge"), parent: fc.constant("eth1") }),
);
const tree = fc.oneof(
  fc.record({ stp: fc.constant(true), forwardDelay: maybe(fc.integer({ min: 2, max: 30 })) }),
  fc.record({ forwardDelay: maybe(fc.integer({ min: 0, max: 30 })) }),
);
const addresses = fc.oneof(
  fc.constant({ subnets: [{ cidr: "10.7.0.0/16", gateway: "none" }], own: ["10.7.0.11/16"] }),
  fc.constant({
    subnets: [
      { cidr: "10.7.0.0/16", gateway: "none" },
      { cidr: "fd07::/64", gateway: "none" },
    ],
    own: ["10.7.0.11/16", "fd07::11/64"],
  }),
);
const anyNetwork = fc
  .tuple(way, tree, addresses, maybe(fc.constant("br-mgmt")))
  .map(([how, stp, { subnets, own }, bridge]) => {
    // The kernel's own delay is not written.
    const delay = stp.forwardDelay === 15 ? { ...stp, forwardDelay: undefined } : stp;
    const hostAddresses = own.map((address) => ({ host: "h1", address }));
    const spec = {
      ipam: "global",
      vrf: "host",
      placement: "host",
      masquerade: false,
      ...how,
      ...delay,
      bridge,
      subnets,
      hostAddresses,
    };
    return { kind: "network", name: "mgmt", spec: defined(spec) } as unknown as Network;
  });

const FIELDS = [
  "driver",
  "vni",
  "peers",
  "group",
  "ttl",
  "underlayDevice",
  "parent",
  "vlan",
  "outerVlan",
  "device",
].concat(["bridge", "stp", "forwardDelay", "subnets", "hostAddresses", "placement", "masquerade"]);
const said = (spec: Readonly<Record<string, unknown>>) =>
  defined(Object.fromEntries(FIELDS.map((key) => [key, spec[key]])));

const READ_BY: readonly (readonly [Format, SourceFormat, RegExp])[] = [
  ["ifupdown", "ifupdown", /^(vxlan|gre|vlan|bridge)$/],
  ["ifupdown2", "ifupdown", /^(vxlan|gre|vlan|bridge)$/],
  ["netplan", "netplan", /^(vlan|bridge|vxlan)$/],
  ["networkd", "networkd", /^(vxlan|gre|vlan|bridge)$/],
];

for (const [format, reader, whole] of READ_BY)
  test(`${format}: import(export(network)) is the network`, () => {
    const drivers = new Set<string>();
    fc.assert(
      fc.property(anyNetwork, (network) => {
        const written = exportNetwork(snapshotWith([network]), network, "h1", format);
        if (written.lacks.length > 0) return;
        drivers.add(network.spec.driver);
        const { plan, reading } = readPlan(reader, memoryFiles(asFolder(written.files)), ["/x"]);
        assert.deepEqual(reading.problems.map(remarkText), []);
        const told = newReading();
        const { resources } = resourcesOf([{ host: "h1", plan }], { snapshot: snapshotWith([]) }, told);
        assert.deepEqual(told.problems.map(remarkText), []);
        const found = resources.find(({ kind }) => kind === "network");
        assert.deepEqual(said((found as unknown as Network).spec), said(network.spec));
      }),
      { numRuns: 120, seed: 20_261_130 },
    );
    assert.ok(drivers.size > 1 && [...drivers].every((driver) => whole.test(driver)), [...drivers].join());
  });
