// Address ranges and leases of global networks: the cases that the classic managers are known by, with their outcome,
// or with a refusal where they silently took what cannot work. The I-numbers are those of the conformance table.
import type { Reason } from "../../../src/model/fault.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EndpointClaim, NetworkInput } from "../../../src/model/input.ts";
import type { AddressRange } from "../../../src/model/range.ts";
import { ADMIN, type Lab, openLab, refuses } from "./lab.ts";

const subnets = [{ cidr: "10.0.0.0/24", gateway: "none" }];
const ip4: AddressRange = { name: "main", type: "ip4", first: "10.0.0.10", size: 20 };
/** As the classic managers do it: what was freed may go to anybody at once. */
const CLASSIC = { quarantine: 0 };

async function labWith(spec: NetworkInput): Promise<Lab> {
  const lab = await openLab();
  await lab.join(1);
  await lab.put("net", spec);
  return lab;
}
const first = async (lab: Lab, owner: string, more: Partial<EndpointClaim> = {}) => {
  const { spec } = await lab.attach("net", "h1", owner, more);
  return spec.addresses[0] ?? spec.mac;
};
const wish =
  (lab: Lab, more: Partial<EndpointClaim>, owner = "wisher") =>
  () =>
    lab.attach("net", "h1", owner, more);
const putting = (lab: Lab, spec: NetworkInput, force = false) =>
  lab.control.write({ verb: "put", kind: "network", name: "net", spec, force });
const hold = (lab: Lab, span: { first: string; last?: string }, more: object = {}) =>
  lab.control.write({ verb: "hold", request: { network: "net", reason: "a printer", owner: "ops", ...span, ...more } });
const release = (lab: Lab, span: { first: string; last?: string }) =>
  lab.control.write({ verb: "release", span: { network: "net", ...span } });
const holds = async (lab: Lab) =>
  (await lab.snapshot()).holds.map(({ spec }) => `${spec.first}-${spec.last}`).toSorted();

test("I6: next, by IP, by MAC, next again", async () => {
  const lab = await labWith({ subnets, ranges: [ip4] });
  assert.equal(await first(lab, "a"), "10.0.0.10");
  assert.equal(await first(lab, "b", { addresses: ["10.0.0.12"] }), "10.0.0.12");
  const byMac = await lab.attach("net", "h1", "c", { mac: "02:00:0a:00:00:0d" });
  assert.deepEqual([byMac.spec.addresses, byMac.spec.mac], [["10.0.0.13"], "02:00:0a:00:00:0d"]);
  const next = await lab.attach("net", "h1", "d");
  assert.deepEqual([next.spec.addresses, next.spec.mac, next.spec.range], [["10.0.0.11"], "02:00:0a:00:00:0b", "main"]);
});

test("I7: the lowest free, also of what was given back", async () => {
  const lab = await labWith({ subnets, ranges: [{ ...ip4, first: "10.0.0.1" }], ...CLASSIC });
  for (const owner of ["a", "b", "c", "d"]) await first(lab, owner);
  for (const owner of ["a", "b"]) await lab.detach(`${owner}.eth0`);
  assert.deepEqual(
    [await first(lab, "e"), await first(lab, "f"), await first(lab, "g")],
    ["10.0.0.1", "10.0.0.2", "10.0.0.5"],
  );
});

test("I8: three interfaces and one free address: nothing is left behind", async () => {
  const lab = await labWith({ subnets, ranges: [{ ...ip4, size: 3 }] });
  await first(lab, "a");
  await first(lab, "b");
  const claims = ["eth0", "eth1", "eth2"].map((ifname) => {
    return { network: "net", host: "h1", owner: "vm", ifname, netns: "/run/netns/vm" };
  });
  const all = (list: readonly EndpointClaim[]) => lab.control.write({ verb: "attach-all", claims: list, by: ADMIN });
  await refuses(lab, ["exhausted", "endpoints[1].network"], /every lease of range "main" \(3\) is used/, () =>
    all(claims),
  );
  const { changes } = await all(claims.slice(0, 1));
  assert.equal(changes.length, 1);
  await refuses(lab, "name-taken", /listed twice/, () => all([...claims.slice(0, 1), ...claims.slice(0, 1)]));
});

test("I9, I10: two ranges with the same addresses are refused, so a hold is never in two places", async () => {
  const lab = await labWith({ subnets, ranges: [ip4] });
  const twin = { ...ip4, name: "twin", first: "10.0.0.20" };
  await refuses(lab, "overlap", /range "twin" overlaps range "main": both would give 10.0.0.20/, () =>
    putting(lab, { subnets, ranges: [ip4, twin] }),
  );
  const ether: AddressRange = { name: "frames", type: "ether", mac: "02:00:0a:00:00:0f", size: 4 };
  await refuses(lab, "overlap", /both would give 02:00:0a:00:00:0f/, () =>
    putting(lab, { subnets, ranges: [ip4, ether] }),
  );
  await refuses(lab, "name-taken", /two ranges have the name "main"/, () =>
    putting(lab, { subnets, ranges: [ip4, ip4] }),
  );
});

test("I11: what is not held cannot be released, and says so", async () => {
  const lab = await labWith({ subnets, ranges: [ip4] });
  await first(lab, "a");
  await hold(lab, { first: "10.0.0.12" });
  await release(lab, { first: "10.0.0.12" });
  for (const text of ["10.0.0.12", "10.0.9.9", "10.0.0.10"])
    await refuses(lab, "hold-unknown", /is not held in network "net"/, () => release(lab, { first: text }));
});

test("I12: a range shrinks to the last lease and no further", async () => {
  const lab = await labWith({ subnets, ranges: [ip4] });
  await first(lab, "a", { addresses: ["10.0.0.24"] });
  const sized = (size: number) => putting(lab, { subnets, ranges: [{ ...ip4, size }] });
  const refused = await refuses(lab, "in-use", /this change of the ranges of network "net" is refused/, () =>
    sized(10),
  );
  assert.deepEqual(refused.detail.blockers, ["endpoint a.eth0 on h1 (10.0.0.24, 02:00:0a:00:00:18)"]);
  await refuses(lab, "in-use", /lose their place/, () => sized(14));
  await sized(15);
  await sized(40);
  assert.equal(await first(lab, "b", { addresses: ["10.0.0.49"] }), "10.0.0.49");
});

test("I13: where a range with leases is does not change; without leases it may", async () => {
  const lab = await labWith({ subnets, ranges: [ip4] });
  const moved = { ...ip4, first: "10.0.0.100" };
  await putting(lab, { subnets, ranges: [moved] });
  await putting(lab, { subnets, ranges: [ip4] });
  await first(lab, "a");
  await refuses(lab, "in-use", /lose their place/, () => putting(lab, { subnets, ranges: [moved] }));
  await refuses(lab, "in-use", /lose their place/, () =>
    putting(lab, { subnets, ranges: [{ ...ip4, mac: "02:11:00:00:00:01" }] }),
  );
  await refuses(lab, "in-use", /lose their place/, () =>
    putting(lab, { subnets, ranges: [{ ...ip4, type: "ip4-6", prefix: "fd00:1::/64" }] }),
  );
  await lab.control.write({ verb: "put", kind: "securitygroup", name: "web", spec: { rules: [] } });
  await putting(lab, { subnets, ranges: [{ ...ip4, mtu: 1400, dns: ["10.0.0.53"], securityGroups: ["web"] }] });
});

test("I14: a range in use goes only by force, which asks its hosts to detach", async () => {
  const other = { ...ip4, name: "other", first: "10.0.0.40" };
  const lab = await labWith({ subnets, ranges: [ip4, other] });
  await first(lab, "a");
  await hold(lab, { first: "10.0.0.15" });
  const refused = await refuses(lab, "in-use", /lose their place/, () => putting(lab, { subnets, ranges: [other] }));
  assert.deepEqual(refused.detail.blockers, [
    "endpoint a.eth0 on h1 (10.0.0.10, 02:00:0a:00:00:0a)",
    "hold 10.0.0.15 of ops",
  ]);
  await putting(lab, { subnets, ranges: [other] }, true);
  const { endpoints } = await lab.snapshot();
  assert.deepEqual(
    endpoints.map(({ spec }) => [spec.addresses, spec.detaching]),
    [[["10.0.0.10"], true]],
  );
  assert.deepEqual(await holds(lab), []);
  await lab.detach("a.eth0");
  assert.deepEqual((await lab.snapshot()).freed, [], "nobody could get it, so it is not kept");
  await refuses(lab, "range-unknown", /no address range "main"/, wish(lab, { range: "main" }));
});

test("I23: an IP and a MAC together, if they are of one lease", async () => {
  const lab = await labWith({ subnets, ranges: [ip4] });
  const both = { addresses: ["10.0.0.12"], mac: "02:00:0a:00:00:0c" };
  await refuses(
    lab,
    ["request-invalid", "mac"],
    /are not of one lease: one is of the lease 10.0.0.12, 02:00:0a:00:00:0c, the other of 10.0.0.13/,
    wish(lab, { ...both, mac: "02:00:0a:00:00:0d" }),
  );
  assert.equal(await first(lab, "a", both), "10.0.0.12");
  await refuses(lab, "address-taken", /endpoint "a.eth0" on host "h1" has it/, wish(lab, both));
});

test("QA: the first, a requested one, one beyond the end; holds are nobody's", async () => {
  const ranges: AddressRange[] = [
    { name: "0", type: "ip4", first: "10.0.1.1", size: 250 },
    { name: "1", type: "ip4", first: "10.0.0.1", size: 20 },
    { name: "2", type: "ether", mac: "00:03:00:00:00:05", size: 3 },
  ];
  const lab = await labWith({ subnets: [{ cidr: "10.0.0.0/23", gateway: "none" }], ranges });
  assert.equal(await first(lab, "a"), "10.0.1.1");
  assert.equal(await first(lab, "b", { addresses: ["10.0.1.23"] }), "10.0.1.23");
  await refuses(
    lab,
    ["address-outside", "addresses[0]"],
    /10.0.1.253 is in no range/,
    wish(lab, { addresses: ["10.0.1.253"] }),
  );
  await hold(lab, { first: "10.0.0.3" });
  await refuses(
    lab,
    "address-held",
    /10.0.0.3 is held in network "net": hold "net:10.0.0.3" has 10.0.0.3 for ops: a printer/,
    wish(lab, { addresses: ["10.0.0.3"] }),
  );
  await refuses(lab, "address-held", /10.0.0.3 is held/, () => hold(lab, { first: "10.0.0.2", last: "10.0.0.5" }));
  await refuses(lab, "address-taken", /10.0.1.1 is taken/, () => hold(lab, { first: "10.0.1.1", last: "10.0.1.9" }));
  await hold(lab, { first: "00:03:00:00:00:05" });
  await refuses(lab, "address-held", /00:03:00:00:00:05 is held/, wish(lab, { mac: "00:03:00:00:00:05" }));
  assert.equal(await first(lab, "frames", { range: "2" }), "00:03:00:00:00:06");
  await release(lab, { first: "10.0.0.3" });
  assert.equal(await first(lab, "c", { addresses: ["10.0.0.3"] }), "10.0.0.3");
  // A lease of one range does not spill into the next but where none is left.
  for (let n = 0; n < 248; n++) await first(lab, `fill${n}`);
  assert.equal(await first(lab, "spill"), "10.0.0.1");
});

test("network, broadcast and gateway addresses are stepped over, and refused by name", async () => {
  const all: AddressRange = { name: "all", type: "ip4", first: "10.0.0.0", size: 8, gateway: "10.0.0.4" };
  const lab = await labWith({ subnets: [{ cidr: "10.0.0.0/29", gateway: "10.0.0.2" }], ranges: [all] });
  const given = [await first(lab, "a"), await first(lab, "b"), await first(lab, "c"), await first(lab, "d")];
  assert.deepEqual(given, ["10.0.0.1", "10.0.0.3", "10.0.0.5", "10.0.0.6"]);
  await refuses(lab, "exhausted", /every lease of range "all" \(8\) is used or held/, wish(lab, {}));
  for (const [text, role] of [
    ["10.0.0.0", "the network itself"],
    ["10.0.0.2", "the gateway"],
    ["10.0.0.4", "a gateway"],
    ["10.0.0.7", "broadcast"],
  ] as const) {
    await refuses(lab, "address-taken", new RegExp(`${text} .* kept for ${role}`), wish(lab, { addresses: [text] }));
    await refuses(lab, "address-taken", new RegExp(`kept for ${role}`), () => hold(lab, { first: text }));
  }
});

test("nobody gets the bridge's MAC", async () => {
  const lab = await labWith({
    subnets: [{ cidr: "10.0.0.0/24" }],
    ranges: [{ name: "e", type: "ether", mac: "02:00:0a:00:00:00", size: 3 }],
  });
  assert.equal(await first(lab, "a"), "02:00:0a:00:00:00");
  assert.equal(await first(lab, "b"), "02:00:0a:00:00:02");
  await refuses(lab, "address-taken", /the gateway has it/, wish(lab, { mac: "02:00:0a:00:00:01" }));
});

test("what the classic managers took and could not work is refused", async () => {
  const lab = await openLab();
  const put = (range: object, cidrs = ["10.0.0.0/24", "fd00::/64"]) =>
    lab.put("net", {
      subnets: cidrs.map((cidr) => ({ cidr, gateway: "none" })),
      // As it comes past the parser.
      ranges: [{ name: "r", ...range } as AddressRange],
    });
  const at = (field: string) => `spec.ranges[0].${field}`;
  const cases: [object, Reason, RegExp, string, string[]?][] = [
    [
      { type: "ip4", first: "10.0.0.250", size: 7 },
      "address-outside",
      /ends outside 10.0.0.0\/24.*has 6 addresses/,
      at("size"),
    ],
    [
      { type: "ip4", first: "10.9.9.9", size: 5 },
      "address-outside",
      /begins at 10.9.9.9, outside every subnet/,
      at("first"),
    ],
    [{ type: "ip4", first: "10.0.0.9", size: 5_000_000_000 }, "address-outside", /ends outside/, at("size")],
    [{ type: "ip4", size: 5 }, "request-invalid", /first: expected a value/, at("first")],
    [{ type: "ip4", first: "10.0.0.9" }, "request-invalid", /needs first and size/, at("size")],
    [{ type: "ip4", first: "10.0.0.900", size: 1 }, "address-invalid", /not an IP address/, at("first")],
    [{ type: "ip4", first: "fd00::1", size: 1 }, "family-wrong", /not an IPv4 address/, at("first")],
    [
      { type: "ip4", first: "10.0.0.9", size: 1, prefix: "fd00:1::/64" },
      "request-invalid",
      /has no prefix/,
      at("prefix"),
    ],
    [
      { type: "ip4", first: "10.0.0.9", size: 1, gateway: "10.0.1.1" },
      "address-outside",
      /gateway 10.0.1.1/,
      at("gateway"),
    ],
    [
      { type: "ip4", first: "10.0.0.9", size: 1, mac: "01:00:00:00:00:00" },
      "address-invalid",
      /unicast MAC/,
      at("mac"),
    ],
    [{ type: "ether", mac: "fe:ff:ff:ff:ff:fe", size: 4 }, "address-outside", /4 leases and 2 MACs/, at("size")],
    [{ type: "ether", size: 2 ** 33 }, "address-outside", /not so many MACs in a row/, at("size")],
    [{ type: "ether", size: 4, first: "10.0.0.1" }, "request-invalid", /type ether has no first/, at("first")],
    [
      { type: "ip6-static", first6: "fd00::1", prefixLength: 129 },
      "prefix-invalid",
      /prefixLength 129/,
      at("prefixLength"),
    ],
    [
      { type: "ip6-static", first6: "fd00::1", prefixLength: 48 },
      "prefix-invalid",
      /lies in a \/64/,
      at("prefixLength"),
    ],
    [
      { type: "ip6-static", first6: "fd00::ff", size: 2, prefixLength: 120 },
      "address-outside",
      /ends outside fd00::\/120/,
      at("size"),
    ],
    [{ type: "ip6", size: 4 }, "request-invalid", /neither prefix nor ula/, at("prefix")],
    [{ type: "ip6", size: 4, prefix: "fd00:1::/72" }, "prefix-invalid", /not an IPv6 \/64/, at("prefix")],
    [{ type: "ip6", size: 4, ula: "2001:db8::/64" }, "prefix-invalid", /not unique local/, at("ula")],
    [{ type: "ip6", size: 4, prefix: "fe80::/64" }, "cidr-invalid", /not ordinary unicast/, at("prefix")],
    [
      { type: "ip6", size: 4, prefix: "fd00::/64" },
      "overlap",
      /overlaps the subnet fd00::\/80/,
      at("prefix"),
      ["fd00::/80"],
    ],
    [{ type: "ip4", first: "10.0.0.9", size: 1, dns: ["ns1"] }, "address-invalid", /"ns1"/, at("dns[0]")],
    [{ type: "ip4", first: "10.0.0.9", size: 1, mtu: 600 }, "mtu-invalid", /too small for IPv6/, at("mtu")],
    [
      { type: "ip4", first: "10.0.0.9", size: 1, securityGroups: ["a b"] },
      "group-unknown",
      /"a b"/,
      at("securityGroups[0]"),
    ],
  ];
  for (const [range, reason, text, where, cidrs] of cases)
    await refuses(lab, [reason, where], text, () => put(range, cidrs));
  const slaac = { name: "r", type: "ip6", prefix: "fd00:1::/64", size: 1 } as const;
  await refuses(lab, ["request-invalid", "spec.subnets"], /at least one/, () => lab.put("net", { subnets: [] }));
  await refuses(lab, "request-invalid", /a local network has no ranges/, () =>
    lab.put("net", { subnets: [{ cidr: "10.0.0.0/16", hostPrefix: 24 }], ranges: [slaac] }),
  );
  await lab.put("net", { subnets: [], ranges: [slaac] });
  await refuses(lab, "overlap", /overlaps network "net" \(fd00:1::\/64\)/, () =>
    lab.put("other", { vrf: "net", subnets: [{ cidr: "fd00:1::/48" }] }),
  );
});

test("MACs: two-digit or one-digit octets, and random ones that stay", async () => {
  const lab = await labWith({
    subnets: [],
    ranges: [
      { name: "given", type: "ether", mac: "0:1:2:3:4:fe", size: 4 },
      { name: "drawn", type: "ether", size: 1000 },
      { name: "wide", type: "ip6", prefix: "fd00:1::/64", size: 1000 },
    ],
  });
  const macs = async () => (await lab.snapshot()).networks[0]?.spec.ranges?.map((range) => range.mac) ?? [];
  const [given, drawn = "", wide = ""] = await macs();
  assert.equal(given, "00:01:02:03:04:fe");
  assert.match(drawn, /^02:00:/);
  assert.notEqual(drawn, wide);
  // Put again without it, it is the same.
  await lab.put("net", {
    subnets: [],
    ranges: [
      { name: "drawn", type: "ether", size: 2000 },
      { name: "wide", type: "ip6", prefix: "fd00:1::/64", size: 1000 },
    ],
  });
  assert.deepEqual(await macs(), [drawn, wide]);
  const { spec } = await lab.attach("net", "h1", "a", { range: "drawn" });
  assert.deepEqual([spec.mac, spec.addresses, spec.range], [drawn, [], "drawn"]);
  const slaac = await lab.attach("net", "h1", "b", { range: "wide" });
  assert.match(slaac.spec.addresses[0] ?? "", /^fd00:1::/);
  await refuses(lab, "address-taken", /has it/, wish(lab, { addresses: [slaac.spec.addresses[0] ?? ""] }));
  await refuses(lab, "family-wrong", /gives no IPv4 addresses/, wish(lab, { addresses: ["10.0.0.1"] }));
});

test("an IPv6 range too large for MACs of its own makes each from the address", async () => {
  const lab = await labWith({
    subnets: [{ cidr: "2001:db8::/64" }],
    ranges: [{ name: "six", type: "ip6-static", first6: "2001:db8::5" }],
  });
  const { spec } = await lab.attach("net", "h1", "a");
  assert.deepEqual([spec.addresses, spec.mac], [["2001:db8::5"], "02:00:00:00:00:05"]);
  await refuses(lab, "family-wrong", /no MACs of its own/, wish(lab, { mac: "02:00:00:00:00:06" }));
});

test("existing leases stay when a network gets its first ranges, and the ranges step over them", async () => {
  const lab = await labWith({ subnets });
  assert.equal(await first(lab, "old", { addresses: ["10.0.0.10"] }), "10.0.0.10");
  await putting(lab, { subnets, ranges: [ip4] });
  assert.equal(await first(lab, "new"), "10.0.0.11");
  await refuses(lab, "in-use", /lose their place/, () => putting(lab, { subnets }));
});

test("how full a network with ranges is", async () => {
  const lab = await labWith({
    subnets,
    ranges: [
      ip4,
      { name: "six", type: "ip6", prefix: "fd00:1::/64", ula: "fd00:2::/64", size: 10 },
      { name: "frames", type: "ether", size: 5 },
    ],
  });
  await hold(lab, { first: "10.0.0.12", last: "10.0.0.14" });
  await first(lab, "gone", { range: "main" });
  await lab.detach("gone.eth0");
  for (const range of ["main", "main", "six", "frames"])
    await lab.attach("net", "h1", `a${(await lab.snapshot()).revision}`, { range });
  assert.deepEqual(
    (await lab.control.addressUse()).map(({ family, used, held, quarantined, total }) => {
      return [family, used, held, quarantined, total];
    }),
    [
      [4, 2, 3, 1, 20],
      [6, 2, 0, 0, 20],
    ],
  );
});

test("an address that is leased does not become a gateway; by force its host is asked to let go of it", async () => {
  const lab = await openLab();
  await lab.join(1);
  const put = (more: object) => {
    const ranges = [{ name: "a", type: "ip4" as const, first: "10.7.0.8", size: 8, ...more }];
    const spec = { subnets: [{ cidr: "10.7.0.0/24" }], ranges };
    return (force: boolean) => lab.control.write({ verb: "put", kind: "network", name: "net", spec, force });
  };
  await put({})(false);
  await lab.attach("net", "h1", "web", { addresses: ["10.7.0.9"] });
  await refuses(lab, "in-use", /web\.eth0 on h1/, () => put({ gateway: "10.7.0.9" })(false));
  await put({ gateway: "10.7.0.10" })(false);
  await put({ gateway: "10.7.0.9" })(true);
  assert.deepEqual(
    (await lab.snapshot()).endpoints.map(({ name, spec }) => [name, spec.detaching]),
    [["web.eth0", true]],
  );
});

test("what was leased before there were ranges does not become a gateway of one", async () => {
  const lab = await openLab();
  await lab.join(1);
  await putting(lab, { subnets });
  for (const [owner, address] of [
    ["web", "10.0.0.9"],
    ["gone", "10.0.0.10"],
    ["past", "10.0.0.11"],
  ] as const)
    await lab.attach("net", "h1", owner, { addresses: [address] });
  for (const owner of ["gone", "past"]) await lab.detach(`${owner}.eth0`);
  const put =
    (gateway: string, force = false) =>
    () =>
      putting(lab, { subnets, ranges: [{ name: "a", type: "ip4", first: "10.0.0.128", size: 8, gateway }] }, force);
  const state = async () => {
    const { endpoints, freed } = await lab.snapshot();
    return [endpoints.map(({ spec }) => spec.detaching), freed.map(({ spec }) => spec.addresses)];
  };
  await refuses(lab, "in-use", /web\.eth0 on h1/, put("10.0.0.9"));
  await put("10.0.0.10")();
  // Nothing is kept of what is no longer to be given; the other is still in quarantine.
  assert.deepEqual(await state(), [[undefined], [["10.0.0.11"]]]);
  await put("10.0.0.9", true)();
  assert.deepEqual(await state(), [[true], [["10.0.0.11"]]]);
});

test("random MACs are in a row behind 02:00, and refused when there cannot be so many", async () => {
  for (let n = 0; n < 12; n++) {
    const lab = await openLab();
    const ranges = [{ name: "e", type: "ether" as const, size: 2_147_483_648 }];
    const [range] = (await lab.put(`n${n}`, { subnets: [], ranges })).spec.ranges ?? [];
    const first = Number.parseInt(range?.mac?.replaceAll(":", "") ?? "", 16);
    assert.ok(first >= 0x0200_0000_0000 && first + 2_147_483_647 <= 0x0200_ffff_ffff, range?.mac);
    // It grows beyond its MACs' room only where others are drawn.
    await refuses(lab, "address-outside", /not so many MACs in a row/, () =>
      lab.put("more", { subnets: [], ranges: [{ name: "e", type: "ether", size: 2_147_483_649 }] }),
    );
  }
});

test("a SLAAC range has its gateway in one of its prefixes, or none; a static one in its subnet", async () => {
  const lab = await openLab();
  const slaac = { name: "s", type: "ip6", prefix: "fd00:1::/64", ula: "fd00:2::/64", size: 4 } as const;
  const put =
    (more: object, range: object = slaac) =>
    () =>
      lab.put("net", { subnets: [{ cidr: "fd00::/64" }], ranges: [{ ...range, ...more } as AddressRange] });
  for (const gateway6 of ["fd00:1::1", "fd00:2::1", "none"]) {
    const { spec } = await put({ gateway6 })();
    assert.equal(spec.ranges?.[0]?.gateway6, gateway6);
  }
  const where = "spec.ranges[0].gateway6";
  for (const gateway6 of ["fd00:3::1", "fd00::1", "fd00:1::", "10.0.0.1"])
    await refuses(lab, ["address-outside", where], /is not a usable address/, put({ gateway6 }));
  const fixed = { name: "f", type: "ip6-static", first6: "fd00::10", size: 4 };
  await put({ gateway6: "fd00::99" }, fixed)();
  await refuses(lab, ["address-outside", where], /fd00:1::1 is not a usable/, put({ gateway6: "fd00:1::1" }, fixed));
});

test("a gateway is any usable address of the subnet, from the first to the last", async () => {
  const lab = await openLab();
  const put = (gateway: string, ofRange: boolean) => () =>
    lab.put("net", {
      subnets: [{ cidr: "10.0.0.0/24", ...(ofRange ? {} : { gateway }) }],
      ranges: [{ ...ip4, ...(ofRange ? { gateway } : {}) }],
    });
  for (const ofRange of [true, false]) {
    for (const gateway of ["10.0.0.1", "10.0.0.254", "none"]) await put(gateway, ofRange)();
    for (const gateway of ["10.0.0.0", "10.0.0.255", "10.0.1.1", "fd00::1"])
      await refuses(lab, "address-outside", /is not a usable address/, put(gateway, ofRange));
  }
});

test("which fields a type of range needs, and which it may not have", async () => {
  const lab = await openLab();
  const whole = {
    first: "10.0.0.16",
    first6: "fd00::10",
    prefixLength: 64,
    prefix: "fd00:1::/64",
    ula: "fd00:2::/64",
    size: 4,
    gateway: "10.0.0.17",
    gateway6: "none",
  };
  const fields = Object.keys(whole) as (keyof typeof whole)[];
  const needs = {
    ip4: ["first", "size"],
    ip6: ["size", "prefix"],
    "ip6-static": ["first6"],
    "ip4-6": ["first", "size", "prefix"],
    "ip4-6-static": ["first", "first6", "size"],
    ether: ["size"],
  } as const;
  const may: Record<keyof typeof needs, readonly string[]> = {
    ip4: ["gateway"],
    ip6: ["ula", "gateway6"],
    "ip6-static": ["prefixLength", "size", "gateway6"],
    "ip4-6": ["ula", "gateway", "gateway6"],
    "ip4-6-static": ["prefixLength", "gateway", "gateway6"],
    ether: [],
  };
  const put = (type: string, having: readonly string[]) => () => {
    const range = Object.fromEntries(having.map((field) => [field, whole[field as keyof typeof whole]]));
    const subnets = ["10.0.0.0/24", "fd00::/64"].map((cidr) => ({ cidr, gateway: "none" }));
    return lab.put("net", { subnets, ranges: [{ name: "r", type, ...range } as AddressRange] });
  };
  for (const [type, needed] of Object.entries(needs)) {
    const allowed = may[type as keyof typeof needs];
    await put(type, needed)();
    await put(type, [...needed, ...allowed])();
    for (const field of fields) {
      const where = `spec.ranges[0].${field}`;
      if ((needed as readonly string[]).includes(field))
        await refuses(
          lab,
          ["request-invalid", where],
          /./,
          put(
            type,
            needed.filter((one) => one !== field),
          ),
        );
      else if (!allowed.includes(field))
        await refuses(lab, ["request-invalid", where], /has no/, put(type, [...needed, field]));
    }
  }
  // Of the two prefixes of SLAAC one is enough.
  await put("ip6", ["size", "ula"])();
});

test("a range ends where its subnet, its prefix or its MACs do, and not one earlier", async () => {
  const lab = await openLab();
  const put = (range: object) => () =>
    lab.put("net", {
      subnets: ["10.0.0.0/24", "fd00::/64"].map((cidr) => ({ cidr, gateway: "none" })),
      ranges: [{ name: "r", ...range } as AddressRange],
    });
  for (const [range, most, text] of [
    [{ type: "ip4", first: "10.0.0.250" }, 6, /ends outside 10\.0\.0\.0\/24.*has 6 addresses.*at most 6/],
    [{ type: "ip6-static", first6: "fd00::fff0", prefixLength: 112 }, 16, /ends outside fd00::\/112.*has 16 addresses/],
    [
      { type: "ip4-6-static", first: "10.0.0.4", first6: "fd00::fffd", prefixLength: 112 },
      3,
      /ends outside fd00::\/112/,
    ],
    [{ type: "ether", mac: "02:ff:ff:ff:ff:fa" }, 6, /has 7 leases and 6 MACs.*end at 02:ff:ff:ff:ff:ff/],
  ] as const) {
    await put({ ...range, size: most })();
    await refuses(lab, ["address-outside", "spec.ranges[0].size"], text, put({ ...range, size: most + 1 }));
  }
  for (const prefixLength of [63, 129])
    await refuses(
      lab,
      ["prefix-invalid", "spec.ranges[0].prefixLength"],
      /choose 64 to 128/,
      put({ type: "ip6-static", first6: "fd00::1", prefixLength }),
    );
  for (const prefixLength of [64, 128]) await put({ type: "ip6-static", first6: "fd00::1", prefixLength })();
  assert.equal((await put({ type: "ip6-static", first6: "fd00::1" })()).spec.ranges?.[0]?.prefixLength, 64);
});
