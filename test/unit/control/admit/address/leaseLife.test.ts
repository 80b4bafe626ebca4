// What of a network's addresses depends on what came before: where next-fit goes on, what of two former leases counts,
// which holds and pieces end where. Beside given.test.ts, whose networks are small and whose time has no equals.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { EndpointClaim, NetworkInput, ReserveRequest } from "../../../../../src/model/input.ts";
import type { Freed, Network } from "../../../../../src/model/resource.ts";
import { formerLease } from "../../../../../src/control/admit/address/freed.ts";
import type { Context } from "../../../../../src/control/admit/context.ts";
import { Draft } from "../../../../../src/control/state/draft.ts";
import { viewOf } from "../../../../../src/control/state/view.ts";
import { type Lab, openLab, refuses } from "../../lab.ts";

async function labWith(spec: NetworkInput): Promise<Lab> {
  const lab = await openLab();
  await lab.join(1);
  await lab.put("net", spec);
  return lab;
}
const attach = async (lab: Lab, owner: string, more: Partial<EndpointClaim> = {}, network = "net") =>
  (await lab.attach(network, "h1", owner, more)).spec.addresses.join();
const detach = (lab: Lab, ...owners: readonly string[]) => Promise.all(owners.map((one) => lab.detach(`${one}.eth0`)));
const hold = (lab: Lab, first: string, last = first) =>
  lab.control.write({ verb: "hold", request: { network: "net", first, last, reason: "a printer", owner: "ops" } });
const holds = async (lab: Lab) =>
  (await lab.snapshot()).holds.map(({ spec }) => [spec.first, spec.last].join("-")).toSorted();
const cursors = async (lab: Lab) => (await lab.snapshot()).cursors.map(({ spec }) => spec.last.join());
async function reserve(lab: Lab, request: ReserveRequest): Promise<Network> {
  const { resource } = await lab.control.write({ verb: "reserve", network: "net", request });
  return resource?.kind === "network" ? resource : assert.fail();
}

const DUAL: NetworkInput = { subnets: [{ cidr: "10.0.0.0/24" }, { cidr: "fd00::/64" }] };

describe("next-fit", () => {
  test("goes on behind the last that it chose: not behind one that was asked for, or given again", async () => {
    const lab = await labWith({ ...DUAL, strategy: "next", quarantine: 0, sticky: true });
    assert.equal(await attach(lab, "a"), "10.0.0.2,fd00::2");
    assert.equal(await attach(lab, "b", { addresses: ["10.0.0.9", "fd00::20"] }), "10.0.0.9,fd00::20");
    assert.deepEqual(await cursors(lab), ["10.0.0.2,fd00::2"]);
    assert.equal(await attach(lab, "c"), "10.0.0.3,fd00::3");
    await detach(lab, "a");
    assert.equal(await attach(lab, "a"), "10.0.0.2,fd00::2", "as it had it");
    assert.deepEqual(await cursors(lab), ["10.0.0.3,fd00::3"]);
    assert.equal(await attach(lab, "d"), "10.0.0.4,fd00::4");
    // An empty list asks for nothing.
    await detach(lab, "c");
    assert.equal(await attach(lab, "c", { addresses: [] }), "10.0.0.3,fd00::3");
  });

  test("what it chose last counts for it alone: the lowest is the lowest", async () => {
    const spec = { ...DUAL, quarantine: 0 };
    const lab = await labWith({ ...spec, strategy: "next" });
    for (const owner of ["a", "b"]) await attach(lab, owner);
    await detach(lab, "a", "b");
    assert.deepEqual(await cursors(lab), ["10.0.0.3,fd00::3"]);
    await lab.put("net", { ...spec, strategy: "lowest" });
    assert.equal(await attach(lab, "c"), "10.0.0.2,fd00::2");
    const other = await labWith({ ...spec, strategy: "lowest" });
    await attach(other, "a");
    assert.deepEqual(await cursors(other), []);
  });

  test("in ranges the same", async () => {
    const ranges = [{ name: "r", type: "ip4", first: "10.0.0.10", size: 8 }] as const;
    const lab = await labWith({ ...DUAL, ranges: [...ranges], strategy: "next", quarantine: 0, sticky: true });
    assert.equal(await attach(lab, "a"), "10.0.0.10");
    assert.equal(await attach(lab, "b", { addresses: ["10.0.0.15"] }), "10.0.0.15");
    await detach(lab, "a");
    assert.equal(await attach(lab, "a"), "10.0.0.10");
    assert.deepEqual(await cursors(lab), ["10.0.0.10"]);
    assert.equal(await attach(lab, "c"), "10.0.0.11");
    await lab.put("net", { ...DUAL, ranges: [...ranges], strategy: "lowest", quarantine: 0 });
    await detach(lab, "a");
    assert.equal(await attach(lab, "d"), "10.0.0.10");
    assert.deepEqual(await cursors(lab), []);
  });
});

test("by chance every address is the first one, the last as well", async () => {
  const lab = await labWith({ subnets: [{ cidr: "10.0.0.0/30", gateway: "none" }], strategy: "random", quarantine: 0 });
  const seen = new Set<string>();
  for (let n = 0; n < 60 && seen.size < 2; n++) {
    seen.add(await attach(lab, "a"));
    await detach(lab, "a");
  }
  assert.deepEqual([...seen].toSorted(), ["10.0.0.1", "10.0.0.2"]);
});

test("in a slice an endpoint has addresses of its part, in the first as in the last", async () => {
  const slices = ["a", "b"].map((name) => ({ name, bridge: name }));
  const lab = await labWith({ subnets: [{ cidr: "9.0.0.0/16", hostPrefix: 24 }], slices });
  for (const [slice, inside, outside] of [
    ["a", "9.0.0.5", "9.0.0.130"],
    ["b", "9.0.0.130", "9.0.0.5"],
  ] as const) {
    await refuses(lab, ["address-outside", "addresses[0]"], /is outside the part/, () =>
      attach(lab, "w", { slice, addresses: [outside] }),
    );
    assert.equal(await attach(lab, `w${slice}`, { slice, addresses: [inside] }), inside);
  }
  await refuses(lab, ["request-invalid", "slice"], /has no slice "c".*choose one of a, b/, () =>
    attach(lab, "w", { slice: "c", addresses: ["9.0.0.6"] }),
  );
});

test("above its quota a tenant may change what it has, and return, and have no more", async () => {
  const lab = await labWith(DUAL);
  await reserve(lab, { name: "part", size: 8, tenant: "acme" });
  const quota = (leases: number) => lab.put("net", { ...DUAL, quotas: [{ tenant: "acme", leases }] });
  await quota(4);
  const { ranges = [] } = (await lab.control.find("network", "part", { role: "admin" }))?.spec ?? {};
  const part = { reservedFrom: "net", tenant: "acme", ranges };
  await lab.put("part", { ...part, description: "as it was" });
  await refuses(lab, ["quota-exceeded", "tenant"], /"acme" cannot have 1 more.*the quota is 4, and 8 are used/, () =>
    reserve(lab, { name: "part", size: 1, tenant: "acme" }),
  );
  await lab.put("part", { ...part, ranges: ranges.map((one) => ({ ...one, size: 5 })) });
  await quota(6);
  await reserve(lab, { name: "part", size: 1, tenant: "acme" });
  await refuses(lab, "quota-exceeded", /cannot have 1 more.*the quota is 6, and 6 are used/, () =>
    reserve(lab, { name: "part", size: 1, tenant: "acme" }),
  );
});

test("of two leases that ended at the same time, the later one comes back", async () => {
  const lab = await labWith({ ...DUAL, quarantine: 0, sticky: true });
  await attach(lab, "a");
  await detach(lab, "a");
  for (const n of [7, 5, 6]) {
    await attach(lab, "a", { addresses: [`10.0.0.${n}`, `fd00::${n}`] });
    await detach(lab, "a");
  }
  assert.equal(await attach(lab, "a"), "10.0.0.6,fd00::6");
});

test("of former leases the one that ended last counts, in whichever order they are known", () => {
  const spec = (n: number) => ({ network: "net", endpoint: "a.eth0", addresses: [`10.0.0.${n}`], mac: "", sinceMs: n });
  const freed = [10, 30, 20].map((n): Freed => {
    return { kind: "freed", name: `f${n}`, uid: `u${n}`, revision: 1, spec: spec(n) };
  });
  const network = { name: "net", spec: { sticky: true } } as Network;
  const context: Context = {
    uid: () => assert.fail(),
    nowMs: () => 100,
    quarantineTime: () => assert.fail("a sticky network remembers without end"),
    prefixes: new Map(),
  };
  for (const order of [
    [0, 1, 2],
    [1, 2, 0],
    [2, 0, 1],
  ]) {
    const draft = new Draft(
      viewOf(
        "lab",
        1,
        order.flatMap((i) => freed[i] ?? []),
      ),
      context,
    );
    assert.equal(formerLease(draft, network, "a.eth0")?.name, "f30", order.join());
  }
});

test("half of a former lease is none: where one of its addresses cannot be, it begins anew", async () => {
  const lab = await labWith({ ...DUAL, quarantine: 0, sticky: true });
  await attach(lab, "a", { addresses: ["10.0.0.9", "fd00::9"] });
  await detach(lab, "a");
  await lab.put("net", {
    ...DUAL,
    subnets: [{ cidr: "10.0.0.0/24" }, { cidr: "fd00::/64", gateway: "fd00::9" }],
    quarantine: 0,
    sticky: true,
  });
  assert.equal(await attach(lab, "a"), "10.0.0.2,fd00::1");
});

describe("holds", () => {
  test("what is in the way is named by its first address in the span", async () => {
    const lab = await labWith(DUAL);
    await hold(lab, "10.0.0.20", "10.0.0.25");
    const refused = (first: string, last: string, text: RegExp) =>
      refuses(lab, ["address-held", "first"], text, () => hold(lab, first, last));
    await refused("10.0.0.23", "10.0.0.30", /^10\.0\.0\.23 is held/);
    await refused("10.0.0.10", "10.0.0.30", /^10\.0\.0\.20 is held/);
    await refused("10.0.0.25", "10.0.0.25", /^10\.0\.0\.25 is held/);
    await hold(lab, "10.0.0.27", "10.0.0.28");
    await refused("10.0.0.22", "10.0.0.30", /^10\.0\.0\.22 is held/);
    await refused("10.0.0.10", "10.0.0.30", /^10\.0\.0\.20 is held/);
    await refused("10.0.0.26", "10.0.0.30", /^10\.0\.0\.27 is held/);
    await lab.control.write({ verb: "release", span: { network: "net", first: "10.0.0.27", last: "10.0.0.28" } });
    await refused("10.0.0.10", "10.0.0.20", /^10\.0\.0\.20 is held/);
    await reserve(lab, { name: "part", size: 4, first: "10.0.0.40" });
    await refuses(lab, ["address-reserved", "first"], /^10\.0\.0\.42 is reserved/, () =>
      hold(lab, "10.0.0.42", "10.0.0.50"),
    );
    await refuses(lab, ["address-reserved", "first"], /^10\.0\.0\.40 is reserved/, () =>
      hold(lab, "10.0.0.35", "10.0.0.40"),
    );
    await hold(lab, "10.0.0.26", "10.0.0.39");
    await hold(lab, "10.0.0.44");
    assert.deepEqual(await holds(lab), ["10.0.0.20-10.0.0.25", "10.0.0.26-10.0.0.39", "10.0.0.44-10.0.0.44"]);
  });

  test("only what is held is released, to the last address, over as many holds as there are", async () => {
    const lab = await labWith(DUAL);
    for (const n of [20, 22, 23]) await hold(lab, `10.0.0.${n}`);
    await hold(lab, "10.0.0.24", "10.0.0.30");
    const release = (first: string, last: string) =>
      lab.control.write({ verb: "release", span: { network: "net", first, last } });
    for (const [first, last, lacking] of [
      ["10.0.0.20", "10.0.0.22", "10.0.0.21"],
      ["10.0.0.19", "10.0.0.20", "10.0.0.19"],
      ["10.0.0.22", "10.0.0.31", "10.0.0.31"],
      ["10.0.0.50", "10.0.0.50", "10.0.0.50"],
    ] as const)
      await refuses(lab, ["hold-unknown", "first"], new RegExp(`^${lacking.replaceAll(".", "\\.")} is not held`), () =>
        release(first, last),
      );
    await release("10.0.0.22", "10.0.0.26");
    assert.deepEqual(await holds(lab), ["10.0.0.20-10.0.0.20", "10.0.0.27-10.0.0.30"]);
    await release("10.0.0.28", "10.0.0.28");
    assert.deepEqual(await holds(lab), ["10.0.0.20-10.0.0.20", "10.0.0.27-10.0.0.27", "10.0.0.29-10.0.0.30"]);
  });

  test("the first hundred endpoints in the way are named; quarantines of many end in several commits", async () => {
    const lab = await labWith({ subnets: [{ cidr: "10.0.0.0/19" }], quarantine: 60 });
    const owners = Array.from({ length: 2_001 }, (_, n) => `w${n}`);
    await Promise.all(owners.map((owner) => attach(lab, owner)));
    const fault = await refuses(lab, ["address-taken", "first"], /^10\.0\.0\.2 is taken/, () =>
      hold(lab, "10.0.0.1", "10.0.31.254"),
    );
    assert.deepEqual(
      [fault.detail.blockers?.length, fault.detail.blockers?.[0], fault.detail.blockers?.[99]],
      [100, "w0.eth0 (10.0.0.2)", "w99.eth0 (10.0.0.101)"],
    );
    await detach(lab, ...owners);
    lab.time.now += 60_000;
    const left: number[] = [];
    for (let n = 0; n < 2; n++) {
      await lab.control.write({ verb: "expire" });
      left.push((await lab.snapshot()).freed.length);
    }
    assert.deepEqual(left, [1, 0]);
  });

  test("an address that is never given is refused with what it is", async () => {
    const lab = await labWith({
      subnets: [{ cidr: "10.0.0.0/24" }, { cidr: "fd00::/120" }],
      ranges: [
        { name: "r", type: "ip4", first: "10.0.0.1", size: 255, gateway: "10.0.0.77" },
        { name: "s", type: "ip6-static", first6: "fd00::1", size: 255, gateway6: "fd00::ff" },
      ],
    });
    for (const [address, why] of [
      ["10.0.0.1", /in 10\.0\.0\.0\/24 it is kept for the gateway/],
      ["10.0.0.77", /it is kept for a gateway/],
      ["10.0.0.255", /it is kept for broadcast/],
      ["fd00::1", /in fd00::\/120 it is kept for the gateway/],
      ["fd00::ff", /it is kept for a gateway/],
    ] as const) {
      await refuses(lab, ["address-taken", "first"], why, () => hold(lab, address));
      await refuses(lab, ["address-taken", "addresses"], why, () => attach(lab, "a", { addresses: [address] }));
    }
    // Spans go over them.
    await hold(lab, "10.0.0.70", "10.0.0.80");
  });
});

test("what is asked of a range is refused by the field that asked", async () => {
  const lab = await labWith({ ...DUAL, ranges: [{ name: "r", type: "ip4", first: "10.0.0.10", size: 8 }] });
  await attach(lab, "a", { addresses: ["10.0.0.12"] });
  await hold(lab, "10.0.0.13");
  const cases = [
    [{ mac: "02:00:0a:00:00:0c" }, "address-taken", "mac"],
    [{ addresses: ["10.0.0.12"] }, "address-taken", "addresses"],
    [{ mac: "02:00:0a:00:00:0c", addresses: ["10.0.0.12"] }, "address-taken", "addresses"],
    [{ mac: "02:00:0a:00:00:0d" }, "address-held", "mac"],
    [{ addresses: ["10.0.0.13"] }, "address-held", "addresses"],
    [{ mac: "02:00:0a:00:00:0e", addresses: ["10.0.0.15"] }, "request-invalid", "mac"],
    [{ mac: "02:00:0a:00:00:20" }, "address-outside", "mac"],
    [{ addresses: ["10.0.0.20"] }, "address-outside", "addresses[0]"],
  ] as const;
  for (const [wish, reason, where] of cases) await refuses(lab, [reason, where], /./, () => attach(lab, "b", wish));
});

test("a former lease is found by its address where its range has no MACs", async () => {
  const lab = await labWith({
    subnets: [{ cidr: "fd00::/64" }],
    ranges: [{ name: "r", type: "ip6-static", first6: "fd00::100" }],
    sticky: true,
    quarantine: 0,
  });
  await attach(lab, "a", { addresses: ["fd00::150"] });
  await detach(lab, "a");
  assert.equal(await attach(lab, "b"), "fd00::100");
  assert.equal(await attach(lab, "a"), "fd00::150");
});

test("of two that are wrong, the first is named: an address, a field, a setting, a range", async () => {
  const lab = await labWith({
    ...DUAL,
    ranges: [
      { name: "r", type: "ip4-6-static", first: "10.0.0.1", first6: "fd00::1", size: 8 },
      { name: "s", type: "ip4", first: "10.0.0.32", size: 7 },
    ],
  });
  await refuses(lab, "address-taken", /^10\.0\.0\.1 cannot be/, () => attach(lab, "a", { mac: "02:00:0a:00:00:01" }));
  await refuses(lab, "address-taken", /^10\.0\.0\.1 cannot be/, () =>
    reserve(lab, { name: "p", size: 2, first: "fd00::1" }),
  );
  await refuses(lab, "exhausted", /longest free run has 7, from 10\.0\.0\.2 in range "r"/, () =>
    reserve(lab, { name: "p", size: 9 }),
  );
  const put = (range: object) => () => lab.put("net", { ...DUAL, ranges: [{ name: "q", ...range } as never] });
  await refuses(lab, ["request-invalid", "spec.ranges[0].first"], /expected a value/, put({ type: "ip4" }));
  const stray = { type: "ether", size: 2, gateway: "10.0.0.1", first: "10.0.0.9" };
  await refuses(lab, ["request-invalid", "spec.ranges[0].first"], /has no first/, put(stray));
  await reserve(lab, { name: "part", size: 2 });
  const { ranges = [] } = (await lab.control.find("network", "part", { role: "admin" }))?.spec ?? {};
  for (const [more, where] of [
    [{ vrf: "other", ipam: "local" }, "spec.vrf"],
    [{ ipam: "local", mtu: 1400 }, "spec.ipam"],
    [{ vni: 77, dns: ["10.0.0.9"] }, "spec.vni"],
    [{ vrf: "other" }, "spec.vrf"],
    [{ masquerade: false }, "spec.masquerade"],
    [{ mtu: 1400 }, "spec.mtu"],
    [{ slices: [] }, "spec.slices"],
    [{ dns: ["10.0.0.9"] }, "spec.dns"],
    [{ pool: { name: "p" } }, "spec.pool"],
    [{ subnets: [{ cidr: "10.0.0.0/24" }] }, "spec.subnets"],
  ] as const)
    await refuses(lab, ["request-invalid", where], /a reservation has no/, () =>
      lab.put("part", { reservedFrom: "net", ranges, ...more } as NetworkInput),
    );
});

test("a list of no ranges, and a range that is not there, are refused", async () => {
  const ranges = [{ name: "r", type: "ip4", first: "10.0.0.10", size: 8 }] as const;
  const lab = await labWith({ ...DUAL, ranges: [...ranges] });
  const none = ["request-invalid", "spec.ranges"] as const;
  await refuses(lab, none, /at least one/, () => lab.put("net", { ...DUAL, ranges: [] }));
  await reserve(lab, { name: "part", size: 2 });
  for (const more of [{}, { ranges: [] }])
    await refuses(lab, none, /at least one/, () => lab.put("part", { reservedFrom: "net", ...more } as NetworkInput));
  for (const name of ["net", "other"])
    await refuses(lab, ["request-invalid", "spec.reservedFrom"], /reserved from itself/, () =>
      lab.put(name, { reservedFrom: name, ranges: [...ranges] }),
    );
  for (const act of [
    () => attach(lab, "a", { range: "q" }),
    () => reserve(lab, { name: "p", size: 1, range: "q" }),
    () => reserve(lab, { name: "p", size: 1, range: "q", first: "10.0.0.15" }),
  ])
    await refuses(lab, ["range-unknown", "range"], /no address range "q".*choose one of r/, act);
  assert.equal(await attach(lab, "a", { range: "r" }), "10.0.0.12");
});

test("ranges may touch and not meet, in whichever order and space", async () => {
  const ip4 = (first: string, size: number) => ({ type: "ip4", first, size });
  const ip6 = (first6: string, size: number, mac: string) => ({ type: "ip6-static", first6, size, mac });
  const ether = (mac: string, size: number) => ({ type: "ether", mac, size });
  const cases: readonly (readonly [object, object, met: RegExp | undefined])[] = [
    [ip4("10.0.0.10", 4), ip4("10.0.0.13", 2), /both would give 10\.0\.0\.13/],
    [ip4("10.0.0.10", 4), ip4("10.0.0.14", 2), undefined],
    [ip4("10.0.0.10", 8), ip4("10.0.0.12", 2), /both would give 10\.0\.0\.12/],
    [ip6("fd00::10", 4, "02:00:00:00:00:10"), ip6("fd00::13", 2, "02:00:00:00:00:20"), /both would give fd00::13/],
    [ip6("fd00::10", 4, "02:00:00:00:00:10"), ip6("fd00::14", 2, "02:00:00:00:00:14"), undefined],
    [ip6("fd00::10", 4, "02:00:00:00:00:10"), ip6("fd00::20", 2, "02:00:00:00:00:13"), /give 02:00:00:00:00:13/],
    [ether("02:00:00:00:00:10", 4), ether("02:00:00:00:00:13", 1), /both would give 02:00:00:00:00:13/],
    [ether("02:00:00:00:00:10", 4), ether("02:00:00:00:00:14", 1), undefined],
    [ip4("10.0.0.10", 4), ether("02:00:0a:00:00:0d", 1), /both would give 02:00:0a:00:00:0d/],
  ];
  for (const [one, other, met] of cases)
    for (const pair of [
      [one, other],
      [other, one],
    ]) {
      const lab = await labWith(DUAL);
      const ranges = pair.map((each, i) => ({ name: `r${i}`, ...each })) as never;
      const put = () => lab.put("net", { ...DUAL, ranges });
      if (met === undefined) await put();
      else await refuses(lab, ["overlap", "spec.ranges[1]"], met, put);
    }
});

test("a range keeps its MACs while they are enough for it", async () => {
  const lab = await labWith({ subnets: [{ cidr: "fd00::/64" }] });
  const macOf = async (range: object) => {
    const { spec } = await lab.put("net", {
      subnets: [{ cidr: "fd00::/64" }],
      ranges: [{ name: "r", ...range } as never],
    });
    return spec.ranges?.[0]?.mac;
  };
  const slaac = { type: "ip6", prefix: "fd01::/64" };
  const last = "02:ff:ff:ff:ff:f0";
  assert.equal(await macOf({ ...slaac, size: 8, mac: last }), last);
  for (const size of [8, 15, 16]) assert.equal(await macOf({ ...slaac, size }), last);
  const other = await macOf({ ...slaac, size: 17 });
  assert.match(other ?? "", /^02:00:/);
  assert.equal(await macOf({ ...slaac, size: 4 }), other);
  const fixed = { type: "ip6-static", first6: "fd00::100" };
  assert.equal(await macOf({ ...fixed, size: 16, mac: last }), last);
  assert.equal(await macOf(fixed), undefined, "each is made from the address");
});

describe("pieces", () => {
  const macs = async (lab: Lab, request: ReserveRequest) => (await reserve(lab, request)).spec.ranges?.at(-1)?.mac;

  test("of an IPv6 subnet have MACs made from the first address, while those do not wrap", async () => {
    const lab = await labWith({ subnets: [{ cidr: "fd00::/64" }] });
    assert.equal(await macs(lab, { name: "a", size: 16, first: "fd00::1:0" }), "02:00:00:01:00:00");
    assert.equal(await macs(lab, { name: "b", size: 16, first: "fd00::ffff:fff0" }), "02:00:ff:ff:ff:f0");
    // The same 32 bits: those MACs are taken.
    const other = await macs(lab, { name: "c", size: 2, first: "fd00::1:0001:0000" });
    assert.match(other ?? "", /^02:00:/);
    assert.notEqual(other, "02:00:00:01:00:00");
    const wrapping = await macs(lab, { name: "d", size: 16, first: "fd00::1:ffff:fff8" });
    assert(wrapping !== undefined && wrapping < "02:00:ff:ff:ff:f1" && wrapping.startsWith("02:00:"), wrapping);
  });

  test("of a range have its MACs as far as it has some", async () => {
    const lab = await labWith({
      subnets: [{ cidr: "fd00::/64" }],
      ranges: [{ name: "r", type: "ip6-static", first6: "fd00::100", mac: "02:ff:ff:ff:ff:f0" }],
    });
    assert.equal(await macs(lab, { name: "a", size: 8, first: "fd00::108" }), "02:ff:ff:ff:ff:f8");
    assert.equal(await macs(lab, { name: "b", size: 4, first: "fd00::110" }), "02:00:00:00:01:10");
    assert.equal(await macs(lab, { name: "c", size: 4, first: "fd00::100" }), "02:ff:ff:ff:ff:f0");
    assert.equal(await macs(lab, { name: "d", size: 2, first: "fd00::120" }), "02:00:00:00:01:20");
  });

  test("that lose a part of a lease in quarantine lose all of it to the network that they are of", async () => {
    const lab = await labWith({ ...DUAL, quarantine: 60 });
    const part = await reserve(lab, { name: "part", size: 8, first: "10.0.0.16" });
    const [piece] = part.spec.ranges ?? [];
    const given = await attach(lab, "a", {}, "part");
    await detach(lab, "a");
    const freed = async () =>
      (await lab.snapshot()).freed.map(({ spec }) => `${spec.network} ${spec.addresses.join()}`);
    assert.deepEqual(await freed(), [`part ${given}`]);
    const more = await reserve(lab, { name: "part", size: 2, first: "10.0.0.40" });
    await lab.put("part", { reservedFrom: "net", ranges: more.spec.ranges ?? [], description: "as it was" });
    assert.deepEqual(await freed(), [`part ${given}`], "all of it is still there");
    const { first, mac, name = "piece-1", size } = piece ?? {};
    await lab.put("part", {
      reservedFrom: "net",
      ranges: [
        {
          name,
          type: "ip4",
          ...(first === undefined ? {} : { first }),
          ...(mac === undefined ? {} : { mac }),
          size: size ?? 0,
        },
      ],
    });
    assert.deepEqual(await freed(), [`net ${given}`]);
    const [, six = ""] = given.split(",");
    await refuses(lab, "address-quarantined", /gave it back/, () => attach(lab, "b", { addresses: [six] }));
  });

  test("over a quarantine that has ended take what was remembered along", async () => {
    const lab = await labWith({ ...DUAL, quarantine: 60 });
    const given = await attach(lab, "a", { addresses: ["10.0.0.20", "fd00::20"] });
    await detach(lab, "a");
    const first = given.split(",")[0] ?? "";
    await refuses(lab, ["address-quarantined", "first"], /10\.0\.0\.20/, () =>
      reserve(lab, { name: "p", size: 2, first }),
    );
    lab.time.now += 60_000;
    await reserve(lab, { name: "p", size: 2, first });
    assert.deepEqual(
      (await lab.snapshot()).freed.filter(({ spec }) => spec.addresses.includes(first)),
      [],
    );
  });

  test("have the type of the range that they are of, also where another would give the same addresses", async () => {
    const lab = await labWith({
      subnets: [{ cidr: "fd00::/64", gateway: "none" }],
      ranges: [{ name: "r", type: "ip6", prefix: "fd00::/64", mac: "02:00:00:00:00:10", size: 8 }],
    });
    const piece = { name: "p", first6: "fd00::ff:fe00:12", mac: "02:00:00:00:00:12", size: 2 };
    await refuses(lab, ["address-outside", "spec.ranges[0]"], /"p" is in no range of network "net"/, () =>
      lab.put("part", { reservedFrom: "net", ranges: [{ ...piece, type: "ip6-static" }] }),
    );
    const { first6: _, ...rest } = piece;
    await lab.put("part", { reservedFrom: "net", ranges: [{ ...rest, type: "ip6", prefix: "fd00::/64" }] });
  });
});
