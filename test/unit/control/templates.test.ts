// Templates: what networks of them are, who replaces what, and every refusal; a refusal makes no network.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Caller } from "../../../src/control/write.ts";
import { cidrOf, overlaps } from "../../../src/model/address.ts";
import { Fault } from "../../../src/model/fault.ts";
import type { ApplyItem, InstantiateRequest, NetworkInput } from "../../../src/model/input.ts";
import type { TemplateSpec } from "../../../src/model/kinds/template.ts";
import { parsePut } from "../../../src/model/parse.ts";
import type { Network } from "../../../src/model/resource.ts";
import { type Lab, openLab, refuses } from "./lab.ts";

const put = async (lab: Lab, name: string, spec: TemplateSpec) =>
  lab.control.write({ verb: "put", kind: "template", name, spec: parsePut("template", { spec }) });
const make = async (lab: Lab, template: string, request: InstantiateRequest = {}): Promise<Network[]> => {
  const { changes } = await lab.control.write({ verb: "instantiate", template, request });
  return changes.flatMap((change) => ("put" in change && change.put.kind === "network" ? [change.put] : []));
};
const isRefused = (lab: Lab, reason: Parameters<typeof refuses>[1], why: RegExp, template: string) => ({
  by: (request: InstantiateRequest) => refuses(lab, reason, why, () => make(lab, template, request)),
});

test("a name is enough: private-ipv4 gives a network of its own VRF, and the same addresses to another", async () => {
  const lab = await openLab();
  const [a] = await make(lab, "private-ipv4", { name: "lab" });
  const [b] = await make(lab, "private-ipv4", { name: "other", inputs: { prefix: "26", dns: "9.9.9.9, 1.1.1.1" } });
  assert.deepEqual(
    [a?.spec.vrf, a?.spec.subnets, a?.spec.masquerade, a?.spec.pool],
    ["lab", [{ cidr: "10.64.0.0/24", gateway: "10.64.0.1" }], true, { name: "private-ipv4" }],
  );
  assert.deepEqual(
    [b?.spec.vrf, b?.spec.subnets, b?.spec.dns],
    ["other", [{ cidr: "10.64.0.0/26", gateway: "10.64.0.1" }], ["9.9.9.9", "1.1.1.1"]],
  );
  const [unnamed, , third] = await make(lab, "private-ipv4", { count: 3 });
  assert.deepEqual([unnamed?.name, third?.name], ["private-ipv4-1", "private-ipv4-3"]);
  assert.deepEqual(
    (await make(lab, "private-ipv4")).map(({ name }) => name),
    ["private-ipv4-4"],
  );
});

test("several are made, or none; their numbers are in order", async () => {
  const lab = await openLab();
  await lab.put("n-3", { subnets: [{ cidr: "10.1.0.0/24" }] });
  await isRefused(lab, "name-taken", /there is a network "n-3" already/, "private-ipv4").by({ name: "n", count: 3 });
  assert.deepEqual(
    (await make(lab, "private-ipv4", { name: "n", count: 2 })).map(({ name }) => name),
    ["n-1", "n-2"],
  );
  const { subnets } = { subnets: [{ cidr: "10.2.0.0/24" }] };
  await put(lab, "one", { network: { subnets, vrf: "n-3" } });
  await isRefused(lab, "overlap", /network "x-1"/, "one").by({ name: "x", count: 2 });
  await lab.control.write({ verb: "put", kind: "vrf", name: "kept", spec: {} });
  await isRefused(lab, "name-taken", /there is a VRF of the name "kept" already/, "private-ipv4").by({ name: "kept" });
  await isRefused(lab, "template-unknown", /no template "gone"/, "gone").by({ name: "a" });
  await isRefused(lab, "name-invalid", /"-" cannot be/, "private-ipv4").by({ name: "-" });
});

test("addresses of the caller are instead of the template's only where that is meant", async () => {
  const lab = await openLab();
  const ranges = [{ name: "a", type: "ip4", first: "10.7.0.10", size: 5 }] as const;
  await put(lab, "fixed", { network: { subnets: [{ cidr: "10.7.0.0/24" }], ranges, mtu: 1400 } });
  await put(lab, "bare", { network: { mtu: 1400 } });
  const own = [{ name: "b", type: "ip4", first: "10.7.0.50", size: 9 }] as const;
  const both = (field: string) => new RegExp(`both template "fixed" and the request have ${field}`);
  await isRefused(lab, "request-invalid", both("ranges"), "fixed").by({ name: "x", network: { ranges: own } });
  const elsewhere = { subnets: [{ cidr: "10.9.0.0/24" }] };
  await isRefused(lab, "request-invalid", both("subnets"), "fixed").by({ name: "x", network: elsewhere });
  const nothing = /nothing replaces addresses of template "fixed"/;
  await isRefused(lab, "request-invalid", nothing, "fixed").by({ name: "x", replaceAddresses: true });
  const [replaced] = await make(lab, "fixed", { name: "x", network: { ranges: own }, replaceAddresses: true });
  assert.deepEqual([replaced?.spec.ranges?.map((r) => r.name), replaced?.spec.mtu], [["b"], 1400]);
  const [moved] = await make(lab, "fixed", { name: "y", network: { ...elsewhere, mtu: 1300 }, replaceAddresses: true });
  assert.deepEqual(
    [moved?.spec.ranges, moved?.spec.subnets[0]?.cidr, moved?.spec.mtu],
    [undefined, "10.9.0.0/24", 1300],
  );
  const [given] = await make(lab, "bare", { name: "z", network: elsewhere });
  assert.equal(given?.spec.subnets[0]?.cidr, "10.9.0.0/24");
  await isRefused(lab, "request-invalid", /subnets: expected a value/, "bare").by({ name: "w" });
  // A pool with spaces is asked for a subnet; another is none of it.
  const [named] = await make(lab, "private-ipv4", { name: "p", network: { subnets: [{ cidr: "10.64.9.0/24" }] } });
  assert.equal(named?.spec.subnets[0]?.cidr, "10.64.9.0/24");
  await isRefused(lab, "address-outside", /no space of pool/, "private-ipv4").by({ name: "q", network: elsewhere });
  const [free] = await make(lab, "private-ipv4", { name: "q", network: elsewhere, replaceAddresses: true });
  assert.deepEqual([free?.spec.pool, free?.spec.subnets[0]?.cidr], [undefined, "10.9.0.0/24"]);
  const [longer] = await make(lab, "private-ipv4", {
    name: "r",
    network: { pool: { name: "private-ipv4", prefix: 28 } },
  });
  assert.equal(longer?.spec.subnets[0]?.cidr, "10.64.0.0/28");
});

test("a template says that networks have no group by default, others, or are reservations with their own", async () => {
  const lab = await openLab();
  await lab.control.write({ verb: "put", kind: "securitygroup", name: "web", spec: { rules: [] } });
  await lab.put("big", { subnets: [{ cidr: "10.1.0.0/24" }] });
  const pool = { name: "private-ipv4" };
  await put(lab, "open", { network: { pool, securityGroups: [] } });
  await put(lab, "closed", { network: { pool, securityGroups: ["web"] } });
  await put(lab, "piece", { network: { reservedFrom: "big", securityGroups: ["web"] } });
  assert.deepEqual((await make(lab, "open"))[0]?.spec.securityGroups, []);
  assert.deepEqual((await make(lab, "closed"))[0]?.spec.securityGroups, ["web"]);
  const ranges = [{ name: "p", type: "ip4", first: "10.1.0.32", size: 4 }] as const;
  const [piece] = await make(lab, "piece", { name: "mine", network: { ranges } });
  assert.deepEqual([piece?.spec.securityGroups, piece?.spec.reservedFrom, piece?.spec.vrf], [["web"], "big", "big"]);
  await isRefused(lab, "address-reserved", /mine/, "piece").by({ name: "other", network: { ranges } });
});

test("inputs have types, defaults and choices; what is not one is refused by its name", async () => {
  const lab = await openLab();
  await put(lab, "t", {
    network: { subnets: [{ cidr: "10.7.0.0/24" }] },
    inputs: [
      { name: "mtu", type: "number", field: "mtu", default: 1400, choices: [1300, 1400] },
      { name: "cidr", type: "cidr", field: "subnets[0].cidr" },
      { name: "gateway", type: "address", field: "subnets[0].gateway" },
      { name: "out", type: "flag", field: "masquerade" },
      { name: "why", type: "text", field: "description", required: true, description: "What it is for." },
    ],
  });
  const [a] = await make(lab, "t", {
    name: "a",
    inputs: { why: "test", out: "false", cidr: "10.8.0.0/24", gateway: "10.8.0.9" },
  });
  assert.deepEqual(
    [a?.spec.mtu, a?.spec.masquerade, a?.spec.description, a?.spec.subnets],
    [1400, false, "test", [{ cidr: "10.8.0.0/24", gateway: "10.8.0.9" }]],
  );
  for (const [inputs, why] of [
    [{}, /template "t" needs input why: What it is for\./],
    [{ why: "x", size: 1 }, /template "t" has no input size.*inputs are mtu, cidr/s],
    [{ why: "x", mtu: 1350 }, /input mtu cannot be "1350": it is one of 1300, 1400/],
    [{ why: "x", mtu: "many" }, /input mtu: "many" is no number/],
    [{ why: "x", out: "perhaps" }, /input out: "perhaps" is no flag/],
    [{ why: 5 }, /input why: "5" is no text/],
  ] as const)
    await isRefused(lab, "request-invalid", why, "t").by({ name: "b", inputs });
  await isRefused(lab, "cidr-invalid", /inputs\.cidr/, "t").by({
    name: "b",
    inputs: { why: "x", cidr: "10.8.0.1/24" },
  });
  await isRefused(lab, "address-invalid", /inputs\.gateway/, "t").by({ name: "b", inputs: { why: "x", gateway: "?" } });
});

test("refused templates: inputs and restrictions of no field, names of nothing, no part of a network", async () => {
  const lab = await openLab();
  const network = { subnets: [{ cidr: "10.7.0.0/24" }] };
  const input = { name: "a", type: "number", field: "mtu" } as const;
  const isNone = (reason: Parameters<typeof refuses>[1], why: RegExp, spec: object) =>
    refuses(lab, reason, why, () => put(lab, "t", { network, ...spec }));
  await isNone("name-invalid", /"1" cannot be the name of an input/, { inputs: [{ ...input, name: "1" }] });
  await isNone("name-taken", /two inputs have the name a/, { inputs: [input, input] });
  await isNone("request-invalid", /inputs\[0\]\.field: expected a field/, { inputs: [{ ...input, field: "gateway" }] });
  await isNone("request-invalid", /"x" is no number/, { inputs: [{ ...input, default: "x" }] });
  await isNone("request-invalid", /"x" is no number/, { inputs: [{ ...input, choices: ["x"] }] });
  await isNone("request-invalid", /cannot be "5"/, { inputs: [{ ...input, choices: [4], default: 5 }] });
  await isNone("request-invalid", /restricted\[0\]: expected a field/, { restricted: ["colour"] });
  await isNone("pool-unknown", /no pool "p"/, { network: { pool: { name: "p" } } });
  await isNone("group-unknown", /"web"/, { network: { ...network, securityGroups: ["web"] } });
  await isNone("vrf-unknown", /no VRF "v"/, { network: { ...network, vrf: "v" } });
  await isNone("physical-unknown", /"p"/, { network: { ...network, driver: "vlan", parent: "p" } });
  await isNone("network-unknown", /"n"/, { network: { reservedFrom: "n" } });
  await isNone("request-invalid", /spec\.network\.colour: unknown field/, { network: { colour: 1 } });
  await isNone("cidr-invalid", /spec\.network\.subnets\[0\]/, { network: { subnets: [{ cidr: "10.0.0.1/8" }] } });
});

const as = (user: string): Caller => ({ identity: { role: "user", user }, credential: "test", from: "test" });
const MODES = { use: "------u--", admin: "------uma" } as const;

/** Users `ann` and `bob`, and a template of the administrators that others use, or administer. */
async function shared(spec: TemplateSpec, others: keyof typeof MODES): Promise<Lab> {
  const lab = await openLab();
  const items: ApplyItem[] = [
    { kind: "usergroup", name: "red", spec: {} },
    ...["ann", "bob"].map((name) => ({ kind: "user", name, spec: { group: "red" } }) as const),
  ];
  await lab.control.write({ verb: "apply", items });
  await put(lab, "t", spec);
  await lab.control.write({ verb: "chmod", kind: "template", name: "t", mode: MODES[others] });
  return lab;
}

test("what a template restricts, others do not give, wherever it is; who administers it does", async () => {
  const spec = { network: {}, restricted: ["mtu", "ranges.gateway"] } satisfies TemplateSpec;
  const lab = await shared(spec, "use");
  const range = { name: "r", type: "ip4", first: "10.7.0.9", size: 2 } as const;
  const by = (network: NetworkInput, to = lab, name = "n") =>
    to.control.writeAs(as("ann"), { verb: "instantiate", template: "t", request: { name, network } });
  const subnets = [{ cidr: "10.7.0.0/24", gateway: "10.7.0.5" }];
  for (const [network, why] of [
    [{ subnets, mtu: 1400 }, /template "t" restricts mtu.*\(at network\.mtu\)/],
    [{ subnets, ranges: [range, { ...range, mtu: 1400 }] }, /\(at network\.ranges\[1\]\.mtu\)/],
    [{ subnets, ranges: [{ ...range, gateway: "none" }] }, /restricts ranges\.gateway/],
  ] as const)
    await refuses(lab, "forbidden", why, () => by(network));
  await by({ subnets, ranges: [range] });
  assert.equal((await lab.snapshot()).networks[0]?.spec.ranges?.length, 1, "a gateway of a subnet is another field");
  const administered = await shared(spec, "admin");
  await by({ subnets, mtu: 1400 }, administered);
  assert.equal((await administered.snapshot()).networks[0]?.spec.mtu, 1400);
});

test("use is enough, and the network is the caller's; nothing of hosts or others comes along", async () => {
  const lab = await shared({ network: { pool: { name: "private-ipv4" } } }, "use");
  await lab.control.write({ verb: "put", kind: "physicalnetwork", name: "lan", spec: { vlans: ["100-109"] } });
  const by = (user: string, request: InstantiateRequest, template = "t") =>
    lab.control.writeAs(as(user), { verb: "instantiate", template, request });
  const { changes } = await by("ann", { name: "lab", count: 2 });
  const made = changes.flatMap((change) => ("put" in change && change.put.kind === "network" ? [change.put] : []));
  assert.deepEqual(
    made.map(({ name, access }) => [name, access]),
    ["lab-1", "lab-2"].map((name) => [name, { owner: "ann", group: "red", mode: "uma------" }]),
  );
  const [vrf] = changes.flatMap((change) => ("put" in change && change.put.kind === "vrf" ? [change.put] : []));
  assert.equal(vrf?.access?.owner, "ann");
  const isNone = (network: NetworkInput) =>
    refuses(lab, "forbidden", /.*/, () =>
      by("bob", { name: "x", network, replaceAddresses: network.subnets !== undefined }),
    );
  await isNone({ hosts: ["*"] });
  await isNone({ placement: "host" });
  await isNone({ driver: "vlan", parent: "lan" });
  await isNone({ vni: 77 });
  await refuses(lab, "forbidden", /.*/, () => by("bob", { name: "x", network: { reservedFrom: "lab-1" } }));
  await assert.rejects(by("bob", { name: "x", network: { vrf: "lab-1" } }), Fault, "a VRF of another");
  await assert.rejects(by("bob", { name: "lab-1" }), Fault);
  // What the administrator has written into the template is his to give.
  await put(lab, "t", { network: { driver: "vlan", parent: "lan", subnets: [{ cidr: "10.9.0.0/24" }] } });
  await by("bob", { name: "tagged" });
  assert.equal((await lab.snapshot()).networks.find(({ name }) => name === "tagged")?.spec.vlan, 100);
  await lab.control.write({ verb: "chmod", kind: "template", name: "t", mode: "---------" });
  await assert.rejects(by("bob", { name: "more" }), Fault, "without use");
  await lab.control.write({ verb: "lock", kind: "template", name: "private-ipv4", level: "use" });
  await assert.rejects(by("bob", { name: "more" }, "private-ipv4"), /lock/);
});

test("what an input sets is the caller's: it leads to nothing that he could not name himself", async () => {
  const input = (field: string) =>
    ({ name: field, type: field === "securityGroups" ? "list" : "text", field }) as const;
  const fields = ["vrf", "driver", "placement", "pool.name", "securityGroups", "description"];
  const inputs = fields.map((field) => ({ ...input(field), name: field.replace(".", "-") }));
  const lab = await shared({ network: { driver: "vxlan", pool: { name: "private-ipv4" } }, inputs }, "use");
  const by = (user: string, given: Readonly<Record<string, string>>) =>
    lab.control.writeAs(as(user), { verb: "instantiate", template: "t", request: { name: "x", inputs: given } });
  await lab.control.writeAs(as("ann"), { verb: "instantiate", template: "t", request: { name: "lab" } });
  await lab.control.write({ verb: "put", kind: "securitygroup", name: "theirs", spec: { rules: [] } });
  const pool = { ids: { first: 1, last: 9 }, globalSubnets: [{ cidr: "10.99.<id>.0/24" }] };
  await lab.control.write({ verb: "put", kind: "pool", name: "theirs", spec: pool });
  for (const [name, value] of [
    ["vrf", "lab"],
    ["driver", "gre"],
    ["driver", "bridge"],
    ["placement", "host"],
    ["pool-name", "theirs"],
    ["securityGroups", "theirs"],
  ] as const)
    await assert.rejects(by("bob", { [name]: value }), Fault, `${name} ${value}`);
  const { networks } = await lab.snapshot();
  assert.deepEqual(
    networks.map(({ name }) => name),
    ["lab"],
  );
  // A default is what the author would have others set.
  const defaults = [{ ...input("vrf"), default: "lab" }];
  await put(lab, "t", { network: { pool: { name: "private-ipv4" } }, inputs: defaults });
  await assert.rejects(by("bob", {}), Fault);
  await by("ann", {});
  assert.equal((await lab.snapshot()).networks.find(({ name }) => name === "x")?.spec.vrf, "lab");
});

test("a rule of a security group names no network that its author may not use: it could not be deleted", async () => {
  const lab = await shared({ network: { pool: { name: "private-ipv4" } } }, "use");
  await lab.control.writeAs(as("ann"), { verb: "instantiate", template: "t", request: { name: "lab" } });
  const rules = [{ direction: "in", action: "allow", protocol: "tcp", peer: { network: "lab" } }] as const;
  const group = (user: string) =>
    lab.control.writeAs(as(user), { verb: "put", kind: "securitygroup", name: `of-${user}`, spec: { rules } });
  await refuses(lab, "network-unknown", /lab/, () => group("bob"));
  await group("ann");
});

test("a copy is another template, one with another name the same; the built-in one keeps its name", async () => {
  const lab = await openLab();
  const clone = (template: string, name: string) => lab.control.write({ verb: "clone-template", template, name });
  const rename = (template: string, name: string) => lab.control.write({ verb: "rename-template", template, name });
  const { resource: copy } = await clone("private-ipv4", "ours");
  const { resource: renamed } = await rename("ours", "mine");
  assert.deepEqual([renamed?.uid, renamed?.name, renamed?.spec], [copy?.uid, "mine", copy?.spec]);
  assert.deepEqual(
    (await lab.snapshot()).templates.map(({ name }) => name),
    ["mine"],
  );
  await refuses(lab, "forbidden", /keeps its name/, () => rename("private-ipv4", "x"));
  await refuses(lab, "template-unknown", /"ours"/, () => rename("ours", "x"));
  await refuses(lab, "name-taken", /a template "private-ipv4" already/, () => clone("mine", "private-ipv4"));
  await refuses(lab, "name-invalid", /"-"/, () => clone("mine", "-"));
  await put(lab, "private-ipv4", { network: { pool: { name: "private-ipv4" }, masquerade: false } });
  assert.equal((await make(lab, "private-ipv4", { name: "quiet" }))[0]?.spec.masquerade, false);
  await lab.control.write({ verb: "delete", kind: "template", name: "private-ipv4" });
  assert.equal((await make(lab, "private-ipv4", { name: "loud" }))[0]?.spec.masquerade, true);
});

test("networks of one VRF never overlap, and the same requests in any order give the same subnets", async () => {
  const anyRequest = fc.record({
    vrf: fc.constantFrom("a", "b"),
    prefix: fc.integer({ min: 24, max: 27 }),
    count: fc.integer({ min: 1, max: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(anyRequest, { minLength: 1, maxLength: 6 }), async (requests) => {
      const lab = await openLab();
      for (const [i, { vrf, prefix, count }] of requests.entries()) {
        const network = { vrf, pool: { name: "private-ipv4", prefix } };
        await make(lab, "private-ipv4", { name: `n${i}`, count, network });
      }
      const { networks } = await lab.snapshot();
      for (const [i, one] of networks.entries())
        for (const other of networks.slice(i + 1)) {
          const [x, y] = [one, other].map(({ spec }) => cidrOf(spec.subnets[0]?.cidr ?? ""));
          assert.ok(x !== undefined && y !== undefined);
          if (one.spec.vrf === other.spec.vrf) assert.ok(!overlaps(x, y), `${one.name} ${other.name}`);
        }
      // Equal lengths: names may swap, the set of subnets does not.
      const subnetsIn = async (order: readonly (typeof requests)[number][]) => {
        const other = await openLab();
        for (const [i, { vrf, count }] of order.entries())
          await make(other, "private-ipv4", { name: `n${i}`, count, network: { vrf } });
        return (await other.snapshot()).networks.map(({ spec }) => `${spec.vrf} ${spec.subnets[0]?.cidr}`).sort();
      };
      assert.deepEqual(await subnetsIn(requests), await subnetsIn(requests.toReversed()));
    }),
    { numRuns: 30 },
  );
});
