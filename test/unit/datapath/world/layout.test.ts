// Where a network's addresses are on a host, kind by kind: bridges of blocks, slices and segments, their gateways, and
// what an endpoint's interface gets of them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatCidr, formatIp } from "../../../../src/model/address.ts";
import type { EndpointSpec, ResourceOf } from "../../../../src/model/resource.ts";
import { layoutOf, macsOf, mustCidr, segmentsOf } from "../../../../src/datapath/world/layout.ts";

function make<K extends "vrf" | "network" | "host" | "block">(kind: K, spec: object, name = "blue"): ResourceOf<K> {
  return { kind, name, uid: name, revision: 1, spec } as unknown as ResourceOf<K>;
}

const VRF = make("vrf", {});
const HOST = make("host", { underlay: "192.0.2.1", underlayMtu: 1500, order: 0 }, "h1");
const network = (spec: object) => make("network", { driver: "vxlan", subnets: [], ...spec });
const block = (cidr: string) => make("block", { network: "blue", host: "h1", cidr });

/** As `BRIDGE MAC [SLICE] RANGE@GATEWAY… | the bridge's own addresses`. */
function shown(segments: ReturnType<typeof segmentsOf>): string[] {
  return segments.map(({ bridge, mac, slice, prefixes, gateways }) => {
    const own = prefixes.map(
      ({ cidr, gateway }) => formatCidr(cidr) + (gateway === undefined ? "" : `@${formatIp(gateway)}`),
    );
    return [bridge, mac, ...(slice === undefined ? [] : [slice]), ...own, "|", ...gateways].join(" ");
  });
}

test("a routed network has a bridge for its blocks, whose first addresses are the bridge's", () => {
  const plain = network({ ipam: "local" });
  assert.deepEqual(shown(segmentsOf(VRF, plain, HOST, [])), []);
  assert.deepEqual(shown(segmentsOf(VRF, plain, HOST, [block("fd01::/64"), block("10.1.3.0/24")])), [
    "wb-blue 02:00:0a:01:03:01 10.1.3.0/24@10.1.3.1 fd01::/64@fd01::1 | 10.1.3.1/24 fd01::1/64",
  ]);
  assert.deepEqual(shown(segmentsOf(VRF, plain, HOST, [block("fd01:0:0:3::/64")])), [
    "wb-blue 02:00:00:00:00:01 fd01:0:0:3::/64@fd01:0:0:3::1 | fd01:0:0:3::1/64",
  ]);
});

test("slices are equal parts of a block, each a bridge; a host has those that it says, a master of DC/OS none", () => {
  const slices = ["a", "b", "c", "d"].map((name) => ({ name, bridge: name }));
  const cut = network({ ipam: "local", slices });
  const blocks = [block("10.1.3.0/24"), block("fd01::/64")];
  assert.deepEqual(shown(segmentsOf(VRF, cut, HOST, blocks.slice(0, 1))), [
    "a-blue 02:00:0a:01:03:01 a 10.1.3.0/26@10.1.3.1 | 10.1.3.1/26",
    "b-blue 02:00:0a:01:03:41 b 10.1.3.64/26@10.1.3.65 | 10.1.3.65/26",
    "c-blue 02:00:0a:01:03:81 c 10.1.3.128/26@10.1.3.129 | 10.1.3.129/26",
    "d-blue 02:00:0a:01:03:c1 d 10.1.3.192/26@10.1.3.193 | 10.1.3.193/26",
  ]);
  assert.deepEqual(
    segmentsOf(VRF, cut, HOST, blocks).map(({ gateways }) => gateways),
    [
      ["10.1.3.1/26", "fd01::1/66"],
      ["10.1.3.65/26", "fd01::4000:0:0:1/66"],
      ["10.1.3.129/26", "fd01::8000:0:0:1/66"],
      ["10.1.3.193/26", "fd01::c000:0:0:1/66"],
    ],
  );
  const some = make("host", { ...HOST.spec, slices: ["c"] }, "h1");
  assert.deepEqual(
    segmentsOf(VRF, cut, some, blocks).map(({ slice }) => slice),
    ["c"],
  );
  const masters = make("vrf", { dcos: { masters: ["192.0.2.1"] } });
  assert.deepEqual(segmentsOf(masters, cut, HOST, blocks), []);
});

test("a switched network has one bridge, with the gateways of its subnets and ranges, each once", () => {
  const subnets = [{ cidr: "10.7.0.0/16", gateway: "10.7.0.1" }, { cidr: "fd07::/64" }];
  const plain = network({ ipam: "global", vni: 0x12345, subnets });
  assert.deepEqual(shown(segmentsOf(VRF, plain, HOST, [])), [
    "wb-blue 02:00:0a:07:00:01 10.7.0.0/16@10.7.0.1 fd07::/64 | 10.7.0.1/16",
  ]);
  const ranges = [
    { name: "a", gateway: "10.7.0.254" },
    { name: "b", gateway: "10.7.0.254", gateway6: "fd07::fe" },
    { name: "c", gateway: "none", gateway6: "none" },
    { name: "d", gateway: "10.9.0.1" },
    // A way out in one of its prefixes: answers to the other have to find back.
    { name: "e", prefix: "fd08::/64", ula: "fd09::/64", gateway6: "fd08::1" },
  ];
  const [segment] = segmentsOf(VRF, network({ ipam: "global", vni: 7, subnets, ranges }), HOST, []);
  assert.deepEqual(segment?.gateways, ["10.7.0.1/16", "10.7.0.254/16", "fd07::fe/64", "fd08::1/64", "fd09::1/64"]);
  assert.deepEqual([...(segment?.overrides?.keys() ?? [])], ["a", "b", "c", "d", "e"]);
  // Without a gateway of its own there is none for its prefixes.
  const quiet = [{ name: "e", prefix: "fd08::/64", ula: "fd09::/64" }];
  assert.deepEqual(
    shown(segmentsOf(VRF, network({ ipam: "global", vni: 0x12345, subnets: [], ranges: quiet }), HOST, [])),
    ["wb-blue 0a:57:00:01:23:45 fd08::/64 fd09::/64 |"],
  );
  assert.equal(segmentsOf(VRF, network({ ipam: "global" }), HOST, [])[0]?.mac, "0a:57:00:00:00:00");
});

test("bridges learn where a network lets anybody have any MAC, and flood where it lets storms pass, too", () => {
  const kinds = [undefined, {}, { broadcasts: true }, { mac: true }, { mac: true, broadcasts: true }, { mac: false }];
  const macs = kinds.map((spoofing) =>
    network({ ipam: "global", vni: 7, ...(spoofing === undefined ? {} : { spoofing }) }),
  );
  const expected = [undefined, undefined, undefined, "learned", "flooded", undefined];
  assert.deepEqual(macs.map(macsOf), expected);
  assert.deepEqual(
    macs.map((one) => segmentsOf(VRF, one, HOST, [])[0]?.macs),
    expected,
  );
});

const SUBNETS = [
  { cidr: "10.7.0.0/16", gateway: "10.7.0.1" },
  { cidr: "fd07::/64", gateway: "fd07::1" },
];
const RANGES = [
  { name: "own", gateway: "10.7.0.254", gateway6: "fd07::fe", mtu: 1300, dns: ["10.7.0.53"] },
  { name: "none", gateway: "none", gateway6: "none" },
  { name: "plain" },
  { name: "slaac", prefix: "fd08::/64", ula: "fd09::/64", gateway6: "fd08::1" },
];

type Where = Pick<EndpointSpec, "addresses"> & { readonly range?: string; readonly slice?: string };
function laidOut(
  where: Where,
  segments = segmentsOf(VRF, network({ ipam: "global", vni: 7, subnets: SUBNETS, ranges: RANGES }), HOST, []),
) {
  const layout = layoutOf(segments, where);
  if (layout === undefined) return undefined;
  const { addresses, gateways, mtu, dns } = layout;
  return { addresses, gateways: gateways.map(({ ip }) => ip), mtu, dns };
}

test("an interface has the length of its subnet, the way out of its range or else of the subnet, by family", () => {
  const both = ["10.7.1.2", "fd07::2"];
  const addresses = ["10.7.1.2/16", "fd07::2/64"];
  const rest = { mtu: undefined, dns: undefined };
  assert.deepEqual(laidOut({ addresses: both }), { addresses, gateways: ["10.7.0.1", "fd07::1"], ...rest });
  assert.deepEqual(laidOut({ addresses: both, range: "plain" }), {
    addresses,
    gateways: ["10.7.0.1", "fd07::1"],
    ...rest,
  });
  assert.deepEqual(laidOut({ addresses: both, range: "none" }), { addresses, gateways: [], ...rest });
  assert.deepEqual(laidOut({ addresses: both, range: "own" }), {
    addresses,
    gateways: ["10.7.0.254", "fd07::fe"],
    mtu: 1300,
    dns: ["10.7.0.53"],
  });
  assert.deepEqual(laidOut({ addresses: ["fd07::2"], range: "own" })?.gateways, ["fd07::fe"]);
  assert.deepEqual(laidOut({ addresses: ["10.7.1.2"] })?.gateways, ["10.7.0.1"]);
  assert.deepEqual(laidOut({ addresses: ["fd08::2", "fd09::2"], range: "slaac" }), {
    addresses: ["fd08::2/64", "fd09::2/64"],
    gateways: ["fd08::1"],
    ...rest,
  });
  assert.deepEqual(laidOut({ addresses: ["fd08::2"] })?.gateways, [], "of no subnet, and of no range");
});

test("what no segment holds has no place; a lease of a range may have no address", () => {
  assert.equal(laidOut({ addresses: ["10.9.0.2"] }), undefined);
  assert.equal(laidOut({ addresses: ["10.7.0.2", "fd99::2"] }), undefined);
  assert.equal(laidOut({ addresses: [] }), undefined);
  assert.deepEqual(laidOut({ addresses: [], range: "plain" }), {
    addresses: [],
    gateways: [],
    mtu: undefined,
    dns: undefined,
  });
});

test("of several slices the one that holds the addresses, and the one that is said", () => {
  const slices = ["a", "b"].map((name) => ({ name, bridge: name }));
  const segments = segmentsOf(VRF, network({ ipam: "local", slices }), HOST, [block("10.1.3.0/24")]);
  const bridgeOf = (where: Where) => layoutOf(segments, where)?.segment.bridge;
  assert.equal(bridgeOf({ addresses: ["10.1.3.2"] }), "a-blue");
  assert.equal(bridgeOf({ addresses: ["10.1.3.130"] }), "b-blue");
  assert.equal(bridgeOf({ addresses: ["10.1.3.130"], slice: "b" }), "b-blue");
  assert.equal(bridgeOf({ addresses: ["10.1.3.130"], slice: "a" }), undefined);
  assert.throws(() => mustCidr("10.1.3.1/24"), /not a canonical network: 10\.1\.3\.1\/24/);
});
