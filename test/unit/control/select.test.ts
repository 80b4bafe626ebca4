// Attaches to any network: which one is selected by each policy, what is passed over and why, several at once, all or
// nothing, and that no network is overfilled.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { SERVER } from "../../../src/control/write.ts";
import { bestFirst, choicesOf } from "../../../src/control/select/order.ts";
import { viewOf } from "../../../src/control/state/view.ts";
import type { Network } from "../../../src/model/resource.ts";
import { FIELD_NAMES } from "../../../src/control/select/fields.ts";
import { selectedIn } from "../../../src/control/select/selected.ts";
import type { EndpointClaim, NetworkInput } from "../../../src/model/input.ts";
import type { SelectRequest } from "../../../src/model/selection.ts";
import { ADMIN, type Lab, openLab, refuses, v4 } from "./lab.ts";

const claimOf = (owner: string, more: Partial<EndpointClaim> = {}): EndpointClaim => ({
  network: "auto",
  host: "h1",
  owner,
  ifname: "eth0",
  netns: `/var/run/netns/${owner}`,
  ...more,
});
const as = (host: string) => ({ role: "host", host }) as const;

async function attach(lab: Lab, owner: string, more: Partial<EndpointClaim> = {}, by: "admin" | "host" = "admin") {
  const claim = claimOf(owner, more);
  const { resource } = await lab.control.write({ verb: "attach", claim, by: by === "admin" ? ADMIN : as(claim.host) });
  return resource;
}
const networkFor = async (lab: Lab, owner: string, more: Partial<EndpointClaim> = {}) => {
  const resource = await attach(lab, owner, more);
  assert.equal(resource?.kind, "endpoint");
  return resource?.kind === "endpoint" ? resource.spec.network : "";
};
const attachAll = (lab: Lab, claims: readonly EndpointClaim[]) =>
  lab.control.write({ verb: "attach-all", claims, by: ADMIN });
const select = (lab: Lab, request: SelectRequest = {}) => lab.control.read((view) => selectedIn(view, request, ADMIN));
const placed = async (lab: Lab) =>
  Object.fromEntries((await lab.snapshot()).endpoints.map(({ name, spec }) => [name, spec.network]));

/** Networks with 5, 13 and 29 leases. */
async function threeNetworks(): Promise<Lab> {
  const lab = await openLab();
  await lab.join(1);
  for (const [name, length] of [
    ["a", 29],
    ["b", 28],
    ["c", 27],
  ] as const)
    await lab.put(name, { ...v4(`10.${length}.0.0/${length}`), description: `net ${name}` });
  return lab;
}

test("policies: most free leases first, fewest first, by rank", async () => {
  const lab = await threeNetworks();
  const order = async (request: SelectRequest) => (await select(lab, request)).networks.map(({ network }) => network);
  assert.deepEqual(await order({}), ["c", "b", "a"]);
  assert.deepEqual(await order({ policy: "packing" }), ["a", "b", "c"]);
  assert.deepEqual(await order({ rank: "-TOTAL_LEASES" }), ["a", "b", "c"]);
  assert.deepEqual(await order({ rank: "1 / (TOTAL_LEASES - 13)" }), ["c", "a", "b"], "without a rank comes last");
  assert.deepEqual(await order({ policy: "fixed" }), ["a", "b", "c"], "nobody has a priority: by name");
  assert.deepEqual((await select(lab, { requires: "NAME = a" })).networks, [
    { network: "a", ipam: "global", free: 5, score: 5 },
  ]);
  assert.equal(await networkFor(lab, "one"), "c");
  assert.equal(await networkFor(lab, "two", { policy: "packing" }), "a");
  assert.equal(await networkFor(lab, "three", { rank: "TOTAL_LEASES * (TOTAL_LEASES - 20)" }), "c");
  assert.equal(await networkFor(lab, "three"), "c", "a repeated claim is answered as before");
  assert.equal(await networkFor(lab, "four", { requires: 'DESCRIPTION = "net b"' }), "b");
  assert.equal((await select(lab, {})).networks.find(({ network }) => network === "c")?.free, 27);
});

test("labels: by their key, by LABEL, and the priority of policy fixed", async () => {
  const lab = await openLab();
  await lab.join(1);
  for (const [name, labels] of [
    ["a", { zone: "east", priority: "5" }],
    ["b", { zone: "west", "example.com/tier": "gold", NAME: "other", priority: "10" }],
    ["c", { priority: "none" }],
  ] as const)
    await lab.put(name, { ...v4(`10.${name.charCodeAt(0)}.0.0/24`), ipam: "global", labels });
  const order = async (request: SelectRequest) => (await select(lab, request)).networks.map(({ network }) => network);
  assert.deepEqual(await order({ policy: "fixed" }), ["b", "a", "c"]);
  assert.deepEqual(await order({ requires: "zone = east" }), ["a"]);
  assert.deepEqual(await order({ requires: 'LABEL("example.com/tier") = "g*"' }), ["b"]);
  assert.deepEqual(await order({ requires: "NAME = other" }), []);
  assert.deepEqual(await order({ requires: 'LABEL("NAME") = other' }), ["b"]);
  assert.deepEqual(await order({ requires: "constructor = x | toString = y" }), []);
  assert.deepEqual(await order({ rank: "-priority" }), ["c", "a", "b"]);
});

test("the reasons of many networks take the requirement apart once, and do not repeat a long one in full", async () => {
  const lab = await threeNetworks();
  let reads = 0;
  const asked = {
    get requires() {
      reads++;
      return `DESCRIPTION = "${"*x".repeat(1500)}" & !(NAME = "${"?".repeat(900)}")`;
    },
    isLocalPossible: true,
  };
  const whys: string[] = [];
  const choices = await lab.control.read((view) => choicesOf(view, asked, ({ why }) => whys.push(why())));
  assert.deepEqual([choices.length, whys.length], [0, 3]);
  assert.equal(reads, 1);
  for (const why of whys) assert.ok(why.length < 400, `${why.length}`);
  const { passedOver } = await select(lab, { requires: `!(NAME = "*${"*".repeat(3000)}" | VNI > 0)` });
  for (const { why } of passedOver) assert.match(why, /^.{100,250}… holds, and must not$/);
});

test("what is passed over: disabled, full, not on the host, not as required; each with its reason", async () => {
  const lab = await threeNetworks();
  await lab.put("full", v4("10.30.0.0/30"));
  await lab.attach("full", "h1", "only");
  await lab.put("off", { ...v4("10.31.0.0/24"), enabled: false });
  await lab.put("shut", v4("10.32.0.0/24"));
  await lab.control.write({ verb: "lock", kind: "network", name: "shut", level: "use" });
  await lab.put("local", v4("10.40.0.0/16", 24));
  const { networks, passedOver } = await select(lab, { host: "h1", requires: 'NAME != "c"' });
  assert.deepEqual(
    networks.map(({ network, free }) => [network, free]),
    [
      ["local", 253],
      ["b", 13],
      ["a", 5],
    ],
  );
  assert.deepEqual(passedOver, [
    { network: "c", why: 'NAME != "c": its NAME is c' },
    { network: "full", why: "it has no free lease" },
    { network: "off", why: "it is disabled" },
    { network: "shut", why: "it is locked" },
  ]);
  const fault = await refuses(lab, ["none-fits", "network"], /no network fits web.eth0 on host "h1"/, () =>
    attach(lab, "web", { requires: "FREE_LEASES > 1000" }),
  );
  assert.deepEqual((fault.detail.why ?? "").split("\n").slice(0, 2), [
    "a: FREE_LEASES > 1000: its FREE_LEASES is 5",
    "b: FREE_LEASES > 1000: its FREE_LEASES is 13",
  ]);
  assert.match(fault.detail.why ?? "", /shut: it is locked\noff: it is disabled$/);
});

test("a refusal names ten networks at most", async () => {
  const lab = await openLab();
  await lab.join(1);
  for (let i = 0; i < 15; i++) await lab.put(`n${i}`, v4(`10.${i}.0.0/24`));
  const { detail } = await refuses(lab, "none-fits", /no network/, () => attach(lab, "web", { requires: "zone = a" }));
  const lines = (detail.why ?? "").split("\n");
  assert.equal(lines.length, 11);
  assert.equal(lines.at(-1), "and 5 more networks");
});

test("in a local network the agent allocates: it is told which", async () => {
  const lab = await threeNetworks();
  await lab.put("local", v4("10.40.0.0/16", 24));
  const told = await attach(lab, "web", {}, "host");
  assert.equal(told?.kind === "network" ? told.name : "", "local");
  const next = await attach(lab, "web", { passOver: ["local"] }, "host");
  assert.equal(next?.kind === "endpoint" ? next.spec.network : "", "c");
  assert.equal(await networkFor(lab, "mail"), "c", "an administrator cannot allocate in it");
  await lab.attach("local", "h1", "db", { addresses: ["10.40.0.2"] });
  const again = await attach(lab, "db", {}, "host");
  assert.equal(again?.kind === "network" ? again.name : "", "local");
});

test("a reservation is selected for itself, and not while its parent is disabled", async () => {
  const lab = await openLab();
  await lab.join(1);
  const ranges = [{ name: "all", type: "ip4" as const, first: "10.1.0.10", size: 100 }];
  await lab.put("parent", { subnets: [{ cidr: "10.1.0.0/24" }], ranges });
  await lab.control.write({ verb: "reserve", network: "parent", request: { name: "mine", size: 20 } });
  const free = async () => (await select(lab)).networks.map(({ network, free: count }) => [network, count]);
  assert.deepEqual(await free(), [
    ["parent", 80],
    ["mine", 20],
  ]);
  assert.equal(await networkFor(lab, "web", { requires: "RESERVED_FROM = parent" }), "mine");
  assert.deepEqual(await free(), [
    ["parent", 80],
    ["mine", 19],
  ]);
  const { spec } = (await lab.snapshot()).networks.find(({ name }) => name === "parent") ?? assert.fail();
  await lab.put("parent", { ...(spec as NetworkInput), enabled: false });
  const { passedOver } = await select(lab);
  assert.match(passedOver.find(({ network }) => network === "mine")?.why ?? "", /"parent".* is disabled/);
});

test("a network with nothing but quarantined leases is the last resort", async () => {
  const lab = await openLab();
  await lab.join(1);
  await lab.put("small", v4("10.1.0.0/30"));
  await lab.put("large", v4("10.2.0.0/29"));
  await lab.attach("small", "h1", "gone");
  await lab.detach("gone.eth0");
  assert.deepEqual(
    (await select(lab, { policy: "packing" })).networks.map(({ network }) => network),
    ["large", "small"],
  );
  for (let i = 0; i < 5; i++) assert.equal(await networkFor(lab, `w${i}`, { policy: "packing" }), "large");
  assert.equal(await networkFor(lab, "last", { policy: "packing" }), "small");
  await refuses(lab, "none-fits", /no network fits/, () => attach(lab, "more"));
});

test("interfaces in different networks: all or nothing, and they make way for each other", async () => {
  const lab = await threeNetworks();
  const different = (ifname: string, more: Partial<EndpointClaim> = {}) =>
    claimOf("vm", { ifname, differentNetworks: true, ...more });
  await attachAll(lab, [different("eth0"), different("eth1"), claimOf("vm", { ifname: "eth2", network: "b" })]);
  assert.deepEqual(await placed(lab), { "vm.eth0": "c", "vm.eth1": "a", "vm.eth2": "b" });
  await refuses(lab, "none-fits", /no network fits vm.eth3/, () =>
    attach(lab, "vm", { ifname: "eth3", differentNetworks: true }),
  );
  assert.equal(await networkFor(lab, "vm", { ifname: "eth3" }), "c");
  for (const ifname of ["eth0", "eth1", "eth2", "eth3"]) await lab.detach(`vm.${ifname}`);
  // Taken one after the other, eth0 would get c, eth1 b, and nothing would be left for eth2.
  await attachAll(lab, [
    different("eth0"),
    different("eth1", { requires: "NAME != a" }),
    different("eth2", { requires: "NAME = c" }),
  ]);
  assert.deepEqual(await placed(lab), { "vm.eth0": "a", "vm.eth1": "b", "vm.eth2": "c" });
  const none = await refuses(lab, "none-fits", /vm2.eth1/, () =>
    attachAll(lab, [
      { ...different("eth0", { requires: "NAME = a" }), owner: "vm2" },
      { ...different("eth1", { requires: "NAME = a" }), owner: "vm2" },
    ]),
  );
  assert.equal(none.detail.where, "endpoints[1].network");
});

test("two at once never get the same lease, and striping sees what the other took", async () => {
  const lab = await openLab();
  await lab.join(1);
  for (const name of ["a", "b", "c"]) await lab.put(name, v4(`10.${name.charCodeAt(0)}.0.0/29`));
  const results = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => attach(lab, `w${i}`)));
  assert.equal(results.filter(({ status }) => status === "fulfilled").length, 15);
  const counts = Object.values(Object.groupBy(Object.values(await placed(lab)), (network) => network)).map(
    (all) => all?.length,
  );
  assert.deepEqual(counts, [5, 5, 5]);
});

test("a claim that no network could take is refused as it is, not once for each", async () => {
  const lab = await threeNetworks();
  await refuses(lab, "group-unknown", /no security group/, () => attach(lab, "web", { securityGroups: ["none"] }));
  await refuses(lab, "host-unknown", /h9/, () => attach(lab, "web", { host: "h9" }));
  await refuses(lab, "forbidden", /host "h1"/, () =>
    lab.control.writeAs(SERVER, { verb: "attach", claim: claimOf("web", { host: "h2" }), by: as("h1") }),
  );
});

test("free leases are what a naive count says, whatever is leased, held and released", async () => {
  const network = fc.constantFrom<NetworkInput>(
    v4("10.1.0.0/28"),
    { subnets: [{ cidr: "10.1.0.0/28" }, { cidr: "fd00::/124", gateway: "none" }], quarantine: 0 },
    {
      subnets: [{ cidr: "10.1.0.0/28", gateway: "none" }],
      ranges: [{ name: "r", type: "ip4", first: "10.1.0.0", size: 9 }],
    },
    {
      subnets: [{ cidr: "10.1.0.0/28" }],
      ranges: [
        { name: "r", type: "ip4", first: "10.1.0.4", size: 3 },
        { name: "m", type: "ether", mac: "02:00:00:00:00:10", size: 4 },
      ],
    },
  );
  const steps = fc.array(fc.tuple(fc.constantFrom("attach", "detach", "hold"), fc.nat(9)), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(network, steps, async (spec, todo) => {
      const lab = await openLab();
      await lab.join(1);
      await lab.put("n", spec);
      for (const [what, i] of todo) {
        const hold = { network: "n", first: `10.1.0.${i}`, last: `10.1.0.${i}`, reason: "r", owner: "o" };
        const step = { attach: () => attach(lab, `w${i}`), detach: () => lab.detach(`w${i}.eth0`) } as const;
        await (what === "hold" ? lab.control.write({ verb: "hold", request: hold }) : step[what]()).catch(
          () => undefined,
        );
      }
      const [seen] = (await select(lab)).networks;
      const free = seen?.free ?? 0;
      // The naive count: attach until nothing is free, without what rests.
      const resting = (await lab.snapshot()).freed.filter(({ spec: { untilMs } }) => untilMs !== undefined).length;
      let taken = 0;
      for (let i = 0; i < 40; i++)
        taken += await attach(lab, `x${i}`).then(
          () => 1,
          () => 0,
        );
      assert.ok(taken >= free && taken <= free + resting, `${taken} taken, ${free} free, ${resting} at rest`);
    }),
    { numRuns: 60 },
  );
});

test("every field is in docs/selection.md", () => {
  const page = readFileSync(new URL("../../../docs/selection.md", import.meta.url), "utf8");
  assert.deepEqual(
    FIELD_NAMES.filter((name) => !page.includes(`\`${name}\``)),
    [],
  );
});

test("choosing among 5,000 networks", async (t) => {
  const lab = await openLab();
  await lab.join(1);
  const { spec } = await lab.put("one", { ...v4("10.0.0.0/24"), ipam: "global" });
  const networks = Array.from({ length: 5000 }, (_, i): Network => {
    const cidr = `10.${i >> 8}.${i & 255}.0/24`;
    return { kind: "network", name: `net${i}`, uid: `u${i}`, revision: 1, spec: { ...spec, subnets: [{ cidr }] } };
  });
  const host = (await lab.snapshot()).hosts[0] ?? assert.fail();
  const view = viewOf("lab", 1, [...networks, host]);
  const asked = { requires: 'NAME = "net*" & FREE_LEASES > 10 & !(NAME = "*test*")', host, isLocalPossible: true };
  const times = Array.from({ length: 100 }, () => {
    const began = performance.now();
    assert.equal(bestFirst(choicesOf(view, asked)).next().value?.network.name, "net0");
    return performance.now() - began;
  });
  t.diagnostic(`choosing among 5,000 networks: ${Math.min(...times).toFixed(2)} ms at best`);
});

test("clusters: by requirement, and only on their hosts", async () => {
  const lab = await openLab();
  for (const n of [1, 2]) await lab.join(n);
  const hosts = ["h1"];
  await lab.control.write({ verb: "put", kind: "hostcluster", name: "east", spec: { hosts } });
  await lab.put("a", { ...v4("10.1.0.0/24"), ipam: "global", clusters: ["east"] });
  await lab.put("b", { ...v4("10.2.0.0/28"), ipam: "global" });
  const order = async (request: SelectRequest) => (await select(lab, request)).networks.map(({ network }) => network);
  assert.deepEqual(await order({ requires: "CLUSTER = east" }), ["a"]);
  assert.deepEqual(await order({ host: "h1" }), ["a", "b"]);
  assert.deepEqual(await order({ host: "h2" }), ["b"]);
  assert.match((await select(lab, { host: "h2" })).passedOver[0]?.why ?? "", /host "h2" does not carry it: .*clusters/);
});
