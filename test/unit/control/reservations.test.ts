// Reservations and quotas: the cases that the classic managers are known by, with their outcome or a better one, and
// what they refuse that works here. The I-numbers are those of the conformance table; the reservations with holes are
// those of its quality suite.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NetworkInput } from "../../../src/model/input.ts";
import type { AddressRange } from "../../../src/model/range.ts";
import type { Network } from "../../../src/model/resource.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import { ADMIN, type Lab, openLab, refuses } from "./lab.ts";

const BLUE: NetworkInput = { subnets: [{ cidr: "10.0.0.0/24", gateway: "none" }] };
type Request = {
  readonly name: string;
  readonly size: number;
  readonly range?: string;
  readonly first?: string;
  readonly tenant?: string;
};

const reserving = (lab: Lab, network: string, request: Request) => () =>
  lab.control.write({ verb: "reserve", network, request });
async function reserve(lab: Lab, network: string, request: Request): Promise<Network> {
  const { resource } = await reserving(lab, network, request)();
  if (resource?.kind !== "network") throw new Error("no network");
  return resource;
}
const remove = (lab: Lab, name: string, force = false) =>
  lab.control.write({ verb: "delete", kind: "network", name, force });
const put = (lab: Lab, name: string, spec: NetworkInput) => () =>
  lab.control.write({ verb: "put", kind: "network", name, spec });

async function networkIn(lab: Lab, name: string): Promise<Network> {
  return (await lab.control.find("network", name, ADMIN)) ?? assert.fail(`no network ${name}`);
}
/** Pieces as `first (or MAC) +size of range`. */
function pieces({ spec }: Network): string[] {
  return (spec.ranges ?? []).map(
    ({ first, first6, mac, size, from }) =>
      `${first ?? first6 ?? mac} +${size}${from === undefined ? "" : ` of ${from}`}`,
  );
}
const address = async (lab: Lab, network: string, owner: string, more: object = {}) =>
  (await lab.attach(network, "h1", owner, more)).spec.addresses.join();
async function labWith(spec: NetworkInput): Promise<Lab> {
  const lab = await openLab();
  await lab.join(1);
  await lab.join(2);
  await lab.put("blue", spec);
  return lab;
}
const hold = (lab: Lab, first: string, last = first, network = "blue") =>
  lab.control.write({ verb: "hold", request: { network, first, last, reason: "a printer", owner: "ops" } });

const TWO: NetworkInput = {
  subnets: [{ cidr: "10.0.0.0/8", gateway: "none" }],
  ranges: [
    { name: "0", type: "ip4", first: "10.6.0.0", size: 10 },
    { name: "1", type: "ip4", first: "10.7.0.0", size: 100 },
  ],
};

test("I16 to I19: the first run that is long enough, of the first range that has one; a piece more", async () => {
  const lab = await labWith(TWO);
  await hold(lab, "10.6.0.2");
  assert.deepEqual(pieces(await reserve(lab, "blue", { name: "r1", size: 3 })), ["10.6.0.3 +3 of 0"]);
  assert.deepEqual(pieces(await reserve(lab, "blue", { name: "r2", size: 90 })), ["10.7.0.0 +90 of 1"]);
  assert.deepEqual(pieces(await reserve(lab, "blue", { name: "r3", size: 2, range: "0", first: "10.6.0.7" })), [
    "10.6.0.7 +2 of 0",
  ]);
  await refuses(
    lab,
    ["address-reserved", "first"],
    /10\.6\.0\.7 is reserved .* it is of the network "r3"/,
    reserving(lab, "blue", { name: "r4", size: 2, range: "0", first: "10.6.0.7" }),
  );
  assert.deepEqual(pieces(await reserve(lab, "blue", { name: "r1", size: 1 })), [
    "10.6.0.3 +3 of 0",
    "10.6.0.0 +1 of 0",
  ]);
});

test("I20: not over two ranges at once, but the refusal says where the longest run is", async () => {
  const lab = await labWith(TWO);
  await hold(lab, "10.6.0.5", "10.6.0.9");
  await hold(lab, "10.7.0.10", "10.7.0.99");
  await refuses(
    lab,
    ["exhausted", "size"],
    /no 12 free .* longest free run has 10, from 10\.7\.0\.0 in range "1" .*at most 10, and the rest/,
    reserving(lab, "blue", { name: "r", size: 12 }),
  );
  await reserve(lab, "blue", { name: "r", size: 10 });
  assert.deepEqual(pieces(await reserve(lab, "blue", { name: "r", size: 2 })), [
    "10.7.0.0 +10 of 1",
    "10.6.0.0 +2 of 0",
  ]);
});

test("I21: what is deleted is the parent's at once, and nobody's who had it a moment ago", async () => {
  const lab = await labWith({ ...BLUE, subnets: [{ cidr: "10.0.0.0/29", gateway: "none" }] });
  const free = async () => (await lab.control.addressUse()).find(({ network }) => network === "blue")?.total;
  assert.equal(await free(), 6);
  await reserve(lab, "blue", { name: "r", size: 4 });
  assert.equal(await free(), 2);
  assert.equal((await lab.control.addressUse()).find(({ network }) => network === "blue")?.quarantined, 0);
  await lab.attach("r", "h1", "web");
  await refuses(lab, "in-use", /"r" has endpoints: .*web\.eth0/, () => remove(lab, "r"));
  await lab.detach("web.eth0");
  await remove(lab, "r");
  assert.equal(await free(), 6);
  const [use] = await lab.control.addressUse();
  assert.deepEqual([use?.used, use?.held, use?.quarantined], [0, 0, 1]);
  await refuses(lab, "address-quarantined", /10\.0\.0\.1 .*"web.eth0" gave it back/, () =>
    lab.attach("blue", "h1", "other", { addresses: ["10.0.0.1"] }),
  );
  assert.equal(await address(lab, "blue", "other"), "10.0.0.2");
  assert.equal(await address(lab, "blue", "web"), "10.0.0.1", "but its owner's, who comes back");
});

test("deleted by force: endpoints go, and what they had rests in the parent", async () => {
  const lab = await labWith(BLUE);
  await reserve(lab, "blue", { name: "r", size: 4 });
  await lab.attach("r", "h1", "web");
  await remove(lab, "r", true);
  assert.deepEqual((await lab.snapshot()).endpoints, []);
  assert.equal(await address(lab, "blue", "other"), "10.0.0.2");
});

test("I22: a quota counts what is reserved and what is attached for a tenant", async () => {
  const lab = await labWith({ ...BLUE, quotas: [{ tenant: "m", leases: 6 }] });
  await reserve(lab, "blue", { name: "r", size: 4, tenant: "m" });
  await address(lab, "blue", "a", { tenant: "m" });
  await refuses(
    lab,
    ["quota-exceeded", "tenant"],
    /tenant "m" cannot have 9 more of network "blue": the quota is 6, and 5 are used/,
    reserving(lab, "blue", { name: "r2", size: 9, tenant: "m" }),
  );
  const two = ["eth0", "eth1"].map((ifname) => ({
    network: "blue",
    host: "h1",
    owner: "b",
    ifname,
    netns: "/n",
    tenant: "m",
  }));
  await refuses(lab, "quota-exceeded", /1 more .* 6, and 6 are used/, () =>
    lab.control.write({ verb: "attach-all", claims: two, by: ADMIN }),
  );
  await address(lab, "blue", "c", { tenant: "m" });
  await refuses(lab, "quota-exceeded", /1 more/, () => lab.attach("blue", "h1", "d", { tenant: "m" }));
  await lab.attach("blue", "h1", "d", { tenant: "n" });
  await lab.attach("r", "h1", "e", { tenant: "m" });
  await lab.detach("a.eth0");
  await address(lab, "blue", "f", { tenant: "m" });
});

test("a quota below what is used takes nothing away, and lets nothing come", async () => {
  const lab = await labWith(BLUE);
  await reserve(lab, "blue", { name: "r", size: 4, tenant: "m" });
  await lab.put("blue", { ...BLUE, quotas: [{ tenant: "m", leases: 2 }] });
  await refuses(lab, "quota-exceeded", /quota is 2, and 4 are used/, reserving(lab, "blue", { name: "r", size: 1 }));
  const smaller = [{ name: "piece-1", type: "ip4", first: "10.0.0.1", size: 3 }] as const;
  await put(lab, "r", { subnets: [], reservedFrom: "blue", tenant: "m", ranges: smaller })();
  await refuses(
    lab,
    "name-taken",
    /two quotas/,
    put(lab, "blue", {
      ...BLUE,
      quotas: [
        { tenant: "m", leases: 2 },
        { tenant: "m", leases: 3 },
      ],
    }),
  );
  await refuses(lab, "name-invalid", /tenant/, put(lab, "blue", { ...BLUE, quotas: [{ tenant: " ", leases: 2 }] }));
});

test("a reservation that goes to another tenant takes its count along", async () => {
  const quotas = [
    { tenant: "m", leases: 5 },
    { tenant: "n", leases: 3 },
  ];
  const lab = await labWith({ ...BLUE, quotas });
  const { spec } = await reserve(lab, "blue", { name: "r", size: 4, tenant: "m" });
  await refuses(lab, "quota-exceeded", /2 more/, reserving(lab, "blue", { name: "r2", size: 2, tenant: "m" }));
  await refuses(
    lab,
    "quota-exceeded",
    /"n" cannot have 4 more .* 3, and 0 are/,
    put(lab, "r", { ...spec, tenant: "n" }),
  );
  await lab.put("blue", { ...BLUE, quotas: [{ tenant: "m", leases: 5 }] });
  await put(lab, "r", { ...spec, tenant: "n" })();
  await reserve(lab, "blue", { name: "r2", size: 5, tenant: "m" });
  await remove(lab, "r2");
  await reserve(lab, "blue", { name: "r3", size: 5, tenant: "m" });
});

/** Twenty workloads, of which some are gone: 10.0.0.1, .4, .5 and .9 to .14 are free, and everything from .21 on. */
async function holes(store = openMemoryStore({ cluster: "lab" })): Promise<Lab> {
  const lab = await openLab(store);
  await lab.join(1);
  const ranges: AddressRange[] = [
    { name: "0", type: "ip4", first: "10.0.0.1", size: 200 },
    { name: "1", type: "ip4", first: "10.0.1.0", size: 300 },
    { name: "2", type: "ip6-static", first6: "2001:db8::1", size: 100 },
  ];
  const subnets = [
    { cidr: "10.0.0.0/16", gateway: "none" },
    { cidr: "2001:db8::/64", gateway: "none" },
  ];
  await lab.put("blue", { subnets, ranges, quarantine: 0 });
  for (let n = 1; n <= 20; n++) await address(lab, "blue", `vm${n}`);
  for (const n of [1, 4, 5, 9, 10, 11, 12, 13, 14]) await lab.detach(`vm${n}.eth0`);
  return lab;
}

test("reservations with holes: the lowest run that is long enough, and after a restart as before", async () => {
  const store = openMemoryStore({ cluster: "lab" });
  const lab = await holes(store);
  for (const [n, size, expected] of [
    [1, 2, "10.0.0.4 +2 of 0"],
    [2, 6, "10.0.0.9 +6 of 0"],
    [3, 1, "10.0.0.1 +1 of 0"],
    [4, 20, "10.0.0.21 +20 of 0"],
    [5, 240, "10.0.1.0 +240 of 1"],
  ] as const)
    assert.deepEqual(pieces(await reserve(lab, "blue", { name: `r${n}`, size })), [expected]);
  await refuses(
    lab,
    "exhausted",
    /no 440 free .* longest free run has 160, from 10\.0\.0\.41/,
    reserving(lab, "blue", { name: "r6", size: 440 }),
  );
  assert.deepEqual(pieces(await reserve(lab, "blue", { name: "six", size: 10, range: "2" })), ["2001:db8::1 +10 of 2"]);
  const before = await lab.snapshot();
  await lab.control.close();
  const again = await openLab(store);
  assert.deepEqual((await again.snapshot()).networks, before.networks);
  assert.deepEqual(pieces(await reserve(again, "blue", { name: "r7", size: 1 })), ["10.0.0.41 +1 of 0"]);
  assert.equal(await address(again, "r2", "in"), "10.0.0.9");
  assert.equal(await address(again, "six", "in6"), "2001:db8::1");
});

test("beginning with an address or a MAC, in the range given or in whichever has it", async () => {
  const lab = await holes();
  assert.deepEqual(pieces(await reserve(lab, "blue", { name: "r1", size: 5, first: "10.0.0.57" })), [
    "10.0.0.57 +5 of 0",
  ]);
  assert.deepEqual(pieces(await reserve(lab, "blue", { name: "r2", size: 2, first: "02:00:0a:00:00:0d" })), [
    "10.0.0.13 +2 of 0",
  ]);
  assert.deepEqual(pieces(await reserve(lab, "blue", { name: "r3", size: 10, first: "2001:db8::5" })), [
    "2001:db8::5 +10 of 2",
  ]);
  assert.deepEqual(pieces(await reserve(lab, "blue", { name: "r4", size: 1, range: "1" })), ["10.0.1.0 +1 of 1"]);
  const wrong = (more: Partial<Request>, size = 2) => reserving(lab, "blue", { name: "wrong", size, ...more });
  await refuses(lab, ["address-taken", "first"], /10\.0\.0\.15 is taken .*"vm15\.eth0"/, wrong({ first: "10.0.0.15" }));
  await refuses(lab, "address-reserved", /2001:db8::e is reserved/, wrong({ first: "2001:db8::e" }));
  await refuses(lab, ["address-outside", "first"], /10\.9\.0\.1 is not an address/, wrong({ first: "10.9.0.1" }));
  await refuses(lab, "address-outside", /10\.0\.1\.0 is not .*range "0"/, wrong({ first: "10.0.1.0", range: "0" }));
  await refuses(lab, "address-outside", /02:00:0b:00:00:01 is not/, wrong({ first: "02:00:0b:00:00:01" }));
  await refuses(lab, "address-invalid", /not/, wrong({ first: "02:00:zz:00:00:01" }));
  await refuses(lab, ["exhausted", "size"], /range "0" ends after 1 /, wrong({ first: "10.0.0.200" }));
  await refuses(lab, ["range-unknown", "range"], /no address range "7"/, wrong({ range: "7" }));
});

test("who cannot be reserved from, or into", async () => {
  const lab = await labWith(BLUE);
  await lab.put("red", { subnets: [{ cidr: "10.9.0.0/24" }] });
  await lab.put("near", { subnets: [{ cidr: "10.8.0.0/16", hostPrefix: 24 }] });
  await reserve(lab, "blue", { name: "r", size: 2, tenant: "m" });
  await refuses(lab, ["network-unknown", "network"], /"none"/, reserving(lab, "none", { name: "x", size: 1 }));
  await refuses(
    lab,
    "unsupported",
    /"near" cannot be reserved: it is local/,
    reserving(lab, "near", { name: "x", size: 1 }),
  );
  await refuses(
    lab,
    ["name-taken", "name"],
    /"red" cannot get .* not a reservation/,
    reserving(lab, "blue", { name: "red", size: 1 }),
  );
  await refuses(
    lab,
    "name-taken",
    /"r" .* reserved from network "blue"/,
    reserving(lab, "red", { name: "r", size: 1 }),
  );
  await refuses(lab, "name-taken", /it is tenant m's/, reserving(lab, "blue", { name: "r", size: 1, tenant: "n" }));
  await refuses(lab, "request-invalid", /from itself/, reserving(lab, "blue", { name: "blue", size: 1 }));
  await refuses(lab, "request-invalid", /from itself/, put(lab, "x", { subnets: [], reservedFrom: "x", ranges: [] }));
  await refuses(lab, "name-reserved", /"none"/, reserving(lab, "blue", { name: "none", size: 1 }));
  const { spec } = await networkIn(lab, "r");
  const { reservedFrom: _, ...rest } = spec;
  await refuses(lab, ["immutable", "spec.reservedFrom"], /"r" is reserved from network "blue"/, put(lab, "r", rest));
  await refuses(lab, "immutable", /"red" is not a reservation/, put(lab, "red", { ...spec, tenant: "m" }));
  await refuses(lab, "immutable", /"r" is reserved/, put(lab, "r", { ...spec, reservedFrom: "red" }));
  await refuses(lab, "request-invalid", /only a reservation has a tenant/, put(lab, "red", { ...BLUE, tenant: "m" }));
});

test("the segment is the root's: what a reservation has not of its own", async () => {
  const lab = await labWith({ ...BLUE, dns: ["10.0.0.53"], vni: 5000 });
  const { spec } = await reserve(lab, "blue", { name: "r", size: 4 });
  assert.deepEqual(
    [spec.vrf, spec.vni, spec.subnets, spec.ipam, spec.dns],
    ["blue", undefined, [], "global", undefined],
  );
  for (const [field, value] of [
    ["vni", 7000],
    ["mtu", 1300],
    ["dns", ["10.0.0.1"]],
    ["vrf", "other"],
    ["masquerade", false],
    ["parent", "lan"],
    ["vlan", 7],
    ["spoofing", { mac: true }],
    ["subnets", [{ cidr: "10.7.0.0/24" }]],
  ] as const)
    await refuses(
      lab,
      "request-invalid",
      new RegExp(`no ${field} of its own`),
      put(lab, "r", { ...spec, [field]: value }),
    );
  await refuses(lab, ["request-invalid", "spec.ranges"], /at least one/, put(lab, "r", { ...spec, ranges: [] }));
  await refuses(lab, "group-unknown", /"web"/, put(lab, "r", { ...spec, securityGroups: ["web"] }));
  await lab.control.write({ verb: "put", kind: "securitygroup", name: "web", spec: { rules: [] } });
  await put(lab, "r", { ...spec, securityGroups: ["web"] })();
  assert.deepEqual((await networkIn(lab, "r")).spec.securityGroups, ["web"], "groups are its own");
  await put(lab, "r", { ...spec, subnets: [{ cidr: "10.0.0.0/24", gateway: "none" }] })();
  assert.deepEqual((await networkIn(lab, "r")).spec.subnets, []);
});

test("pieces may be written by hand: of the parent's space, in one range, and nobody else's", async () => {
  const lab = await labWith(TWO);
  const by = (ranges: readonly AddressRange[]) => put(lab, "r", { subnets: [], reservedFrom: "blue", ranges });
  await address(lab, "blue", "web", { addresses: ["10.6.0.4"] });
  const one: AddressRange = { name: "mine", type: "ip4", first: "10.6.0.5", size: 5 };
  await by([one])();
  assert.deepEqual(pieces(await networkIn(lab, "r")), ["10.6.0.5 +5 of 0"]);
  const [mine] = (await networkIn(lab, "r")).spec.ranges ?? [];
  assert.ok(mine !== undefined);
  await refuses(lab, ["address-outside", "spec.ranges[0]"], /"mine" is in no range/, by([{ ...mine, size: 6 }]));
  await refuses(lab, "address-outside", /"mine" is in no range/, by([{ ...mine, mac: "02:00:00:00:00:01" }]));
  await refuses(lab, "address-outside", /"mine" is in no range/, by([{ ...mine, from: "1" }]));
  await refuses(lab, ["address-taken", "spec.ranges[0]"], /10\.6\.0\.4 is taken/, by([{ ...mine, first: "10.6.0.4" }]));
  await refuses(lab, "overlap", /overlaps range "mine"/, by([mine, { ...mine, name: "again" }]));
  await by([{ ...mine, size: 2 }])();
  assert.equal(await address(lab, "blue", "w2", { addresses: ["10.6.0.7"] }), "10.6.0.7");
  assert.deepEqual(pieces(await reserve(lab, "blue", { name: "r", size: 2 })), [
    "10.6.0.5 +2 of 0",
    "10.6.0.0 +2 of 0",
  ]);
});

test("a piece shrinks to its last lease and no further, not even by force; another goes alone", async () => {
  const lab = await labWith(BLUE);
  const { spec } = await reserve(lab, "blue", { name: "r", size: 8 });
  await address(lab, "r", "web", { addresses: ["10.0.0.4"] });
  await hold(lab, "10.0.0.5", "10.0.0.5", "r");
  const sized = (size: number, force = false) => {
    const ranges = (spec.ranges ?? []).map((range) => ({ ...range, size }));
    return () => lab.control.write({ verb: "put", kind: "network", name: "r", spec: { ...spec, ranges }, force });
  };
  const blockers = ["endpoint web.eth0 on h1 (10.0.0.4, 02:00:0a:00:00:04)", "hold 10.0.0.5 of ops"];
  for (const force of [false, true]) {
    const { detail } = await refuses(lab, "in-use", /may get a returned address at once/, sized(3, force));
    assert.deepEqual(detail.blockers, blockers);
  }
  await sized(5)();
  assert.equal(await address(lab, "blue", "next"), "10.0.0.6");
  await refuses(lab, "address-taken", /10\.0\.0\.6/, sized(8));
  const two = await reserve(lab, "blue", { name: "r", size: 3 });
  assert.deepEqual(pieces(two), ["10.0.0.1 +5", "10.0.0.7 +3"]);
  await put(lab, "r", { ...two.spec, ranges: two.spec.ranges?.slice(0, 1) ?? [] })();
  assert.equal(await address(lab, "blue", "w2"), "10.0.0.7");
});

test("a reservation of a reservation: its own space, its own quotas, the same segment", async () => {
  const lab = await labWith(BLUE);
  await reserve(lab, "blue", { name: "org", size: 100, tenant: "org" });
  const { spec } = await networkIn(lab, "org");
  await put(lab, "org", { ...spec, quotas: [{ tenant: "team", leases: 12 }] })();
  const team = await reserve(lab, "org", { name: "team", size: 10, tenant: "team" });
  assert.deepEqual([pieces(team), team.spec.vrf], [["10.0.0.1 +10 of piece-1"], "blue"]);
  await refuses(
    lab,
    "quota-exceeded",
    /of network "org": the quota is 12/,
    reserving(lab, "org", { name: "team", size: 3 }),
  );
  assert.equal(await address(lab, "team", "a"), "10.0.0.1");
  assert.equal(await address(lab, "org", "b"), "10.0.0.11");
  assert.equal(await address(lab, "blue", "c"), "10.0.0.101");
  await refuses(lab, "address-reserved", /10\.0\.0\.2 .*"team"/, () =>
    lab.attach("org", "h1", "x", { addresses: ["10.0.0.2"] }),
  );
  await refuses(lab, "address-reserved", /10\.0\.0\.2 .*"org"/, () =>
    lab.attach("blue", "h1", "x", { addresses: ["10.0.0.2"] }),
  );
  const { detail } = await refuses(lab, "in-use", /"blue" has reservations/, () => remove(lab, "blue"));
  assert.deepEqual(detail.blockers, ["reservation org of tenant org", "reservation team of tenant team"]);
  await refuses(lab, "in-use", /"org" has reservations/, () => remove(lab, "org"));
  const small = { ...spec, ranges: (spec.ranges ?? []).map((range) => ({ ...range, size: 9 })) };
  await lab.detach("b.eth0");
  await refuses(lab, "in-use", /reservation team of tenant team: piece-1/, put(lab, "org", small));
  await remove(lab, "blue", true);
  const { networks, endpoints, freed } = await lab.snapshot();
  assert.deepEqual([networks, endpoints, freed], [[], [], []]);
});

test("the parent keeps what reservations stand on", async () => {
  const lab = await labWith(TWO);
  await reserve(lab, "blue", { name: "r", size: 10 });
  const change = (spec: Partial<NetworkInput>, force = true) => {
    return () => lab.control.write({ verb: "put", kind: "network", name: "blue", spec: { ...TWO, ...spec }, force });
  };
  const [zero, one] = TWO.ranges ?? [];
  assert.ok(zero !== undefined && one !== undefined);
  const lost = /reservation r: piece-1/;
  await refuses(lab, "in-use", lost, change({ ranges: [one] }));
  await refuses(lab, "in-use", lost, change({ ranges: [{ ...zero, size: 9 }, one] }));
  await refuses(lab, "in-use", lost, change({ ranges: [{ ...zero, gateway: "10.6.0.4" }, one] }));
  await refuses(lab, "in-use", /`vrf` of network "blue"/, change({ vrf: "other" }));
  const gateway = "10.0.0.1";
  await refuses(lab, "in-use", /`gateway` of network/, change({ subnets: [{ cidr: "10.0.0.0/8", gateway }] }));
  await refuses(lab, "in-use", /`ipam` of network/, () =>
    lab.control.write({
      verb: "put",
      kind: "network",
      name: "blue",
      spec: { subnets: [{ cidr: "10.0.0.0/8", hostPrefix: 24 }] },
      force: true,
    }),
  );
  await change({ ranges: [{ ...zero, name: "renamed" }, one] })();
  assert.deepEqual(pieces(await networkIn(lab, "r")), ["10.6.0.0 +10 of renamed"]);
  const { ranges: _, ...plain } = TWO;
  await lab.put("blue", plain);
  assert.deepEqual(pieces(await networkIn(lab, "r")), ["10.6.0.0 +10"]);
  await lab.put("blue", TWO);
  assert.deepEqual(pieces(await networkIn(lab, "r")), ["10.6.0.0 +10 of 0"]);
  await refuses(lab, "in-use", /not listed, but have reservations/, () =>
    lab.control.write({ verb: "apply", items: [], pruneVrf: "blue" }),
  );
  await lab.control.write({ verb: "apply", items: [{ kind: "network", name: "blue", spec: TWO }], pruneVrf: "blue" });
  assert.deepEqual(pieces(await networkIn(lab, "r")), ["10.6.0.0 +10 of 0"], "what is reserved stays with its parent");
});

test("held, leased, quarantined, excluded: all of it is stepped over, and none of it reserved", async () => {
  const lab = await labWith({ subnets: [{ cidr: "10.0.0.0/28" }], quarantine: 30 });
  await address(lab, "blue", "a", { addresses: ["10.0.0.4"] });
  await address(lab, "blue", "b", { addresses: ["10.0.0.8"] });
  await lab.detach("b.eth0");
  await hold(lab, "10.0.0.12");
  const wish = (first: string) => reserving(lab, "blue", { name: "r", size: 1, first });
  await refuses(lab, "address-taken", /10\.0\.0\.1 cannot .* gateway/, wish("10.0.0.1"));
  await refuses(lab, "address-taken", /10\.0\.0\.0 cannot .* network itself/, wish("10.0.0.0"));
  await refuses(lab, "address-taken", /10\.0\.0\.15 cannot .* broadcast/, wish("10.0.0.15"));
  await refuses(lab, "address-quarantined", /10\.0\.0\.8 is in quarantine/, wish("10.0.0.8"));
  await refuses(lab, "address-held", /10\.0\.0\.12 is held/, wish("10.0.0.12"));
  assert.deepEqual(pieces(await reserve(lab, "blue", { name: "r", size: 3 })), ["10.0.0.5 +3"]);
  await refuses(
    lab,
    "exhausted",
    /no 4 free .* longest free run has 3, from 10\.0\.0\.9 in 10\.0\.0\.0\/28/,
    reserving(lab, "blue", { name: "r", size: 4 }),
  );
  await lab.detach("a.eth0");
  await refuses(lab, ["address-reserved", "first"], /10\.0\.0\.5 is reserved/, () => hold(lab, "10.0.0.4", "10.0.0.6"));
  lab.time.now += 31_000;
  assert.deepEqual(pieces(await reserve(lab, "blue", { name: "q", size: 1, first: "10.0.0.8" })), ["10.0.0.8 +1"]);
});

test("both families of a network without ranges; a MAC of the segment is nobody's twice", async () => {
  const lab = await labWith({ subnets: [{ cidr: "10.0.0.0/24" }, { cidr: "fd00::/64" }] });
  await address(lab, "blue", "a");
  await address(lab, "blue", "b", { mac: "02:00:0a:00:00:05" });
  const { spec } = await reserve(lab, "blue", { name: "r", size: 4 });
  const [piece] = spec.ranges ?? [];
  // The MAC made from .5 is b's, so the run begins behind it.
  assert.deepEqual([piece?.type, piece?.first, piece?.first6], ["ip4-6-static", "10.0.0.6", "fd00::4"]);
  const inside = await lab.attach("r", "h2", "c");
  assert.deepEqual([inside.spec.addresses, inside.spec.mac], [["10.0.0.6", "fd00::4"], "02:00:0a:00:00:06"]);
  await refuses(lab, "address-reserved", /MAC 02:00:0a:00:00:07 is reserved/, () =>
    lab.attach("blue", "h1", "d", { mac: "02:00:0a:00:00:07" }),
  );
  const at = await reserve(lab, "blue", { name: "at", size: 2, first: "fd00::100" });
  assert.deepEqual([at.spec.ranges?.[0]?.first, at.spec.ranges?.[0]?.first6], ["10.0.0.10", "fd00::100"]);
});

test("of IPv6 alone a piece gets MACs in a row: those made from its addresses, while they are free", async () => {
  const lab = await labWith({ subnets: [{ cidr: "fd00::/64", gateway: "none" }] });
  const one = await reserve(lab, "blue", { name: "r1", size: 4 });
  assert.deepEqual(
    one.spec.ranges?.map(({ first6, mac }) => [first6, mac]),
    [["fd00::1", "02:00:00:00:00:01"]],
  );
  await address(lab, "blue", "a", { addresses: ["fd00::8"], mac: "02:00:00:00:01:02" });
  const two = await reserve(lab, "blue", { name: "r2", size: 4, first: "fd00::100" });
  const mac = two.spec.ranges?.[0]?.mac ?? "";
  assert.match(mac, /^02:00:/);
  assert.notEqual(mac, "02:00:00:00:01:00", "one of those is taken");
  // The parent's next address has a MAC from its low bits, and those are r1's.
  const far = await lab.attach("blue", "h1", "far", { addresses: ["fd00::1:0:2"] });
  assert.deepEqual([far.spec.addresses, far.spec.mac], [["fd00::1:0:2"], "06:00:00:00:00:02"]);
});

test("SLAAC and frames: MACs in a row, and the addresses made from them", async () => {
  const lab = await labWith({
    subnets: [{ cidr: "fd00:1::/64", gateway: "none" }],
    ranges: [
      { name: "s", type: "ip6", prefix: "fd00:1::/64", ula: "fd00:2::/64", mac: "02:00:00:ff:ff:fc", size: 8 },
      { name: "e", type: "ether", mac: "02:00:01:00:01:00", size: 4 },
      { name: "static", type: "ip6-static", first6: "fd00:1::", prefixLength: 64 },
    ],
  });
  // The address that SLAAC makes of the second lease, as a static one.
  await address(lab, "blue", "a", { addresses: ["fd00:1::ff:feff:fffd"] });
  assert.deepEqual(pieces(await reserve(lab, "blue", { name: "r", size: 5, range: "s" })), [
    "02:00:00:ff:ff:fe +5 of s",
  ]);
  const inside = await lab.attach("r", "h1", "b");
  assert.deepEqual(inside.spec.addresses, ["fd00:1::ff:feff:fffe", "fd00:2::ff:feff:fffe"]);
  await refuses(lab, "address-reserved", /fd00:1::1ff:fe00:1 is reserved/, () =>
    lab.attach("blue", "h1", "c", { addresses: ["fd00:1::1ff:fe00:1"], range: "static" }),
  );
  assert.deepEqual(pieces(await reserve(lab, "blue", { name: "f", size: 4, range: "e" })), [
    "02:00:01:00:01:00 +4 of e",
  ]);
  assert.deepEqual((await lab.attach("f", "h1", "d")).spec.addresses, []);
  await refuses(
    lab,
    "exhausted",
    /no 1 free .*: none is free/,
    reserving(lab, "blue", { name: "g", size: 1, range: "e" }),
  );
});

test("a piece may have its own gateway, if that is nobody else's", async () => {
  const lab = await labWith({ subnets: [{ cidr: "10.0.0.0/24" }] });
  const { spec } = await reserve(lab, "blue", { name: "r", size: 4 });
  const having = (gateway: string) => {
    const ranges = (spec.ranges ?? []).map((range) => ({ ...range, gateway }));
    return put(lab, "r", { ...spec, ranges });
  };
  await refuses(lab, ["address-outside", "spec.ranges[0].gateway"], /10\.0\.0\.77 is neither/, having("10.0.0.77"));
  await having("10.0.0.1")();
  await having("none")();
  await having("10.0.0.2")();
  assert.equal(await address(lab, "r", "a"), "10.0.0.3", "the gateway is no lease");
  await refuses(lab, "address-taken", /10\.0\.0\.2 cannot .*: it is kept for a gateway/, () =>
    lab.attach("r", "h1", "b", { addresses: ["10.0.0.2"] }),
  );
});

test("a reservation waits with a parent that is disabled, and hosts see what it is from", async () => {
  const lab = await labWith(BLUE);
  await reserve(lab, "blue", { name: "r", size: 4 });
  await lab.put("blue", { ...BLUE, enabled: false });
  await refuses(lab, "network-disabled", /"blue" is disabled: network "r" is reserved from it/, () =>
    lab.attach("r", "h1", "a"),
  );
  await lab.put("blue", BLUE);
  await lab.attach("r", "h1", "a");
  const seen = await lab.snapshot({ role: "host", host: "h1" });
  assert.deepEqual(seen.networks.map(({ name }) => name).toSorted(), ["blue", "r"]);
  assert.deepEqual((await lab.snapshot({ role: "host", host: "h2" })).endpoints, []);
  await lab.attach("blue", "h2", "b");
  const other = await lab.snapshot({ role: "host", host: "h2" });
  assert.deepEqual(other.endpoints.map(({ name }) => name).toSorted(), ["a.eth0", "b.eth0"]);
});

test("the map: pieces are reserved in the parent, and all there is in the reservation", async () => {
  const lab = await labWith({ subnets: [{ cidr: "10.0.0.0/28", gateway: "none" }] });
  await address(lab, "blue", "a");
  await reserve(lab, "blue", { name: "r", size: 4 });
  await address(lab, "r", "b");
  const drawn = async (name: string) =>
    ((await lab.control.spaceMap(name))?.subnets ?? []).flatMap(({ cidr, intervals }) => [
      cidr,
      ...intervals.map(({ first, last, state }) => `${first.slice(7)}-${last.slice(7)} ${state}`),
    ]);
  assert.deepEqual(await drawn("blue"), [
    "10.0.0.0/28",
    "0-0 excluded",
    "1-1 used",
    "2-5 reserved",
    "6-14 free",
    "15-15 excluded",
  ]);
  assert.deepEqual(await drawn("r"), ["10.0.0.0/29", "0-1 excluded", "2-2 used", "3-5 free", "6-7 excluded"]);
});

test("limits: a reservation's own count first, then those of what it is from", async () => {
  const lab = await labWith(BLUE);
  const { spec } = await reserve(lab, "blue", { name: "r", size: 4 });
  await lab.attach("r", "h1", "a");
  const limited = { outbound: { average: "10mbit" } };
  const unable = /cannot limit outbound traffic/;
  await refuses(lab, ["qos-unsupported", "spec.qos.outbound"], unable, put(lab, "r", { ...spec, qos: limited }));
  await refuses(lab, "qos-unsupported", unable, put(lab, "blue", { ...BLUE, qos: limited }));
  await lab.detach("a.eth0");
  await lab.put("blue", { ...BLUE, qos: limited });
  await refuses(lab, ["qos-unsupported", "qos.outbound"], unable, () => lab.attach("r", "h1", "b"));
  await put(lab, "r", { ...spec, qos: { inbound: { average: "5mbit" } }, cni: true })();
  const kept = (await networkIn(lab, "r")).spec;
  assert.deepEqual([kept.qos?.inbound, kept.cni], [{ average: 5_000_000 }, true]);
});

test("limits: the hosts of what is reserved from a reservation are asked, too", async () => {
  const lab = await labWith(BLUE);
  const { spec } = await reserve(lab, "blue", { name: "r", size: 8 });
  await reserve(lab, "r", { name: "inner", size: 4 });
  await lab.attach("inner", "h1", "a");
  const limited = put(lab, "r", { ...spec, qos: { outbound: { average: "10mbit" } } });
  await refuses(lab, "qos-unsupported", /"inner" cannot limit outbound traffic/, limited);
});

test("of several fields that are the segment's, the refusal names the first", async () => {
  const lab = await labWith(BLUE);
  const { spec } = await reserve(lab, "blue", { name: "r", size: 4 });
  const order = ["vrf", "masquerade", "ipam"] as const;
  const wrong = { vrf: "other", masquerade: false, ipam: "local" as const };
  for (const [i, first] of order.entries()) {
    const said = Object.fromEntries(order.slice(i).map((field) => [field, wrong[field]]));
    await refuses(lab, ["request-invalid", `spec.${first}`], /r/, put(lab, "r", { ...spec, ...said }));
  }
});

test("a reservation's gateway is in any one of its pieces, or the segment's; nowhere else", async () => {
  const lab = await labWith({ subnets: [{ cidr: "10.0.0.0/24", gateway: "10.0.0.1" }] });
  const ranges = (gateway: string) => [
    { name: "one", type: "ip4" as const, first: "10.0.0.16", size: 4, gateway },
    { name: "two", type: "ip4" as const, first: "10.0.0.32", size: 4 },
  ];
  const reserve = (gateway: string) => put(lab, "r", { subnets: [], reservedFrom: "blue", ranges: ranges(gateway) });
  for (const gateway of ["10.0.0.17", "10.0.0.33", "10.0.0.1"]) await reserve(gateway)();
  for (const gateway of ["10.0.0.20", "10.0.0.2"])
    await refuses(lab, "address-outside", /neither the segment's nor in a piece/, reserve(gateway));
});

test("a further piece is numbered behind those there are, whatever people have called theirs", async () => {
  const lab = await labWith({ ...BLUE, subnets: [{ cidr: "10.0.0.0/24", gateway: "none" }] });
  const named = (...names: readonly string[]) =>
    put(lab, "r", {
      reservedFrom: "blue",
      ranges: names.map((name, i) => ({ name, type: "ip4", first: `10.0.0.${10 + i}`, size: 1 })),
    });
  for (const [names, next] of [
    [["piece-x"], "piece-1"],
    [["piece-7", "mine", "piece-2"], "piece-8"],
    [["apiece-9"], "piece-1"],
  ] as const) {
    await named(...names)();
    const { spec } = await reserve(lab, "blue", { name: "r", size: 1 });
    assert.deepEqual(
      spec.ranges?.map(({ name }) => name),
      [...names, next],
    );
    await remove(lab, "r");
  }
});

test("a piece of IPv6 without a size, or with more leases than MACs, is none", async () => {
  const lab = await labWith({ subnets: [{ cidr: "fd00::/64", gateway: "none" }] });
  const by = (more: object) =>
    put(lab, "r", {
      reservedFrom: "blue",
      ranges: [{ name: "p", type: "ip6-static", first6: "fd00::10", ...more } as AddressRange],
    });
  for (const more of [{}, { prefixLength: 124 }, { size: 2_147_483_649 }])
    await refuses(lab, ["request-invalid", "spec.ranges[0].size"], /more leases than MACs/, by(more));
  await by({ size: 4 })();
});

test("pieces of a network without ranges lie in its subnets, in each family, and have no SLAAC", async () => {
  const lab = await labWith({
    subnets: [
      { cidr: "10.0.0.0/24", gateway: "none" },
      { cidr: "fd00::/64", gateway: "none" },
    ],
  });
  const by = (range: object) =>
    put(lab, "r", { reservedFrom: "blue", ranges: [{ name: "p", size: 2, ...range } as AddressRange] });
  const none = /"p" is in no subnet/;
  await refuses(lab, ["address-outside", "spec.ranges[0]"], none, by({ type: "ip6", prefix: "fd00::/64" }));
  await refuses(lab, "address-outside", none, by({ type: "ip4-6", first: "10.0.0.9", ula: "fd00:2::/64" }));
  await refuses(lab, "address-outside", none, by({ type: "ether" }));
  await refuses(lab, "address-outside", none, by({ type: "ip4", first: "10.0.0.9", from: "0" }));
  await by({ type: "ip4-6-static", first: "10.0.0.254", first6: "fd00::9", size: 1 })();
  await by({ type: "ip4", first: "10.0.0.9" })();
  await by({ type: "ip6-static", first6: "fd00::9" })();
});

test("a piece that is returned takes its quarantine to the parent, whole, and what is over is forgotten", async () => {
  for (const parent of [TWO, { subnets: TWO.subnets ?? [] }]) {
    const lab = await labWith(parent);
    const { spec } = await reserve(lab, "blue", { name: "r", size: 4, first: "10.6.0.4" });
    const names = ["a", "b", "c"];
    for (const owner of names) await lab.attach("r", "h1", owner);
    const uids = new Map((await lab.snapshot()).endpoints.map(({ name, uid }) => [name, uid]));
    await lab.detach("c.eth0");
    lab.time.now += 59_000;
    await lab.detach("b.eth0");
    lab.time.now += 1000;
    const [range] = spec.ranges ?? [];
    assert.ok(range !== undefined);
    const sized = (size: number) => put(lab, "r", { ...spec, ranges: [{ ...range, size }] })();
    const freed = async () =>
      (await lab.snapshot()).freed.map(({ name, spec: one }) => [name, one.endpoint, one.range, one.addresses.join()]);
    await sized(2);
    // What rests in what is left stays the reservation's; the rest of c is over.
    assert.deepEqual(await freed(), [[`r:${uids.get("b.eth0")}`, "b.eth0", "piece-1", "10.6.0.5"]]);
    await sized(1);
    const at = parent.ranges === undefined ? undefined : "0";
    assert.deepEqual(await freed(), [[`blue:${uids.get("b.eth0")}`, "b.eth0", at, "10.6.0.5"]]);
    await refuses(lab, "address-quarantined", /10\.6\.0\.5 .*"b.eth0" gave it back/, () =>
      lab.attach("blue", "h1", "x", { addresses: ["10.6.0.5"] }),
    );
    assert.equal(await address(lab, "blue", "y", { addresses: ["10.6.0.6"] }), "10.6.0.6");
  }
});

test("the bridge's MAC is in no piece", async () => {
  const lab = await labWith({
    subnets: [{ cidr: "10.0.0.0/24", gateway: "10.0.0.5" }],
    ranges: [{ name: "e", type: "ether", mac: "02:00:0a:00:00:03", size: 6 }],
  });
  assert.deepEqual(pieces(await reserve(lab, "blue", { name: "r", size: 3 })), ["02:00:0a:00:00:06 +3 of e"]);
  const wish = reserving(lab, "blue", { name: "q", size: 1, first: "02:00:0a:00:00:05" });
  await refuses(lab, ["address-taken", "first"], /MAC 02:00:0a:00:00:05 cannot be reserved: the gateway/, wish);
  await refuses(
    lab,
    "exhausted",
    /ends after 1 .*at most 1/,
    reserving(lab, "blue", { name: "q", size: 2, first: "02:00:0a:00:00:08" }),
  );
});

test("where in the network a run of its subnets may be asked for: by an address or a MAC of one of them", async () => {
  const lab = await labWith({ subnets: [{ cidr: "10.0.0.0/24" }, { cidr: "fd00::/64" }] });
  await refuses(
    lab,
    ["range-unknown", "range"],
    /has no address range "x"/,
    reserving(lab, "blue", { name: "r", size: 1, range: "x" }),
  );
  await refuses(
    lab,
    "address-outside",
    /it gives 10\.0\.0\.0\/24 and fd00::\/64/,
    reserving(lab, "blue", { name: "r", size: 1, first: "10.0.1.1" }),
  );
  const at = async (name: string, size: number, first: string) => {
    const [piece] = (await reserve(lab, "blue", { name, size, first })).spec.ranges ?? [];
    return [piece?.type, piece?.first, piece?.first6, piece?.size, piece?.mac, piece?.from];
  };
  assert.deepEqual(await at("a", 2, "10.0.0.9"), ["ip4-6-static", "10.0.0.9", "fd00::2", 2, undefined, undefined]);
  assert.deepEqual(await at("b", 1, "02:00:0a:00:00:20"), [
    "ip4-6-static",
    "10.0.0.32",
    "fd00::4",
    1,
    undefined,
    undefined,
  ]);
  await refuses(
    lab,
    ["address-reserved", "first"],
    /fd00::3 is reserved/,
    reserving(lab, "blue", { name: "c", size: 1, first: "fd00::3" }),
  );
  await refuses(
    lab,
    "exhausted",
    /no 230 free .* has 222, from 10\.0\.0\.33 in 10\.0\.0\.0\/24/,
    reserving(lab, "blue", { name: "c", size: 230 }),
  );
});
