// The reference, row by row: who needs what in OpenNebula, its locks, and its quality assurance's cases about rights.
// Where Weft answers otherwise on purpose, the row says why.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LOCKS, RIGHTS, type Right } from "../../../../src/model/rights.ts";
import { type Lab, v4 } from "../lab.ts";
import { RANGES, ROOT, as, blueWith, callerOf, cluster, give, put, tried } from "./lab.ts";

const [ann, ben, cat] = [callerOf("ann"), callerOf("ben"), callerOf("cat")];
type WriteOf = (lab: Lab) => object | Promise<object>;
const about = (verb: string, more: object): WriteOf => {
  return () => ({ verb, kind: "network", name: "blue", ...more });
};
const ranges = (change: (all: readonly object[]) => readonly object[]): WriteOf => {
  return (lab) => blueWith(lab, { ranges: change(RANGES) });
};
const NEW_RANGE = { name: "c", type: "ip4", first: "10.7.0.80", size: 2 };
const HELD = { network: "blue", first: "10.7.0.50" };
const hold = { verb: "hold", request: { ...HELD, reason: "r", owner: "o" } };
const claim = { network: "blue", host: "h1", owner: "vm", ifname: "eth0", netns: "/run/netns/vm" };
const attach = { verb: "attach", claim, by: { role: "host", host: "h1" } };
const reserve = { verb: "reserve", network: "blue", request: { name: "mine", size: 2 } };
const LAB = { verb: "instantiate", template: "private-ipv4", request: { name: "lab" } };

/** What OpenNebula calls it; the right that it takes of network blue. */
const NEEDS: readonly (readonly [string, Right, WriteOf])[] = [
  ["use in a VM", "use", () => attach],
  ["reserve", "use", () => reserve],
  ["update", "manage", (lab) => blueWith(lab, { description: "x", labels: { a: "b" } })],
  // Networks keep their name; nothing else stands for rename.
  ["chmod", "manage", about("chmod", { mode: "-m-------" })],
  ["chown, into a group of one's own", "manage", about("chown", { group: "red" })],
  ["hold", "manage", () => hold],
  ["release", "manage", () => ({ verb: "release", span: HELD })],
  ["update_ar", "manage", ranges(([a, b]) => [{ ...a, dns: ["10.7.0.1"] }, b ?? {}])],
  ["recover", "manage", about("retry-network", {})],
  ["lock", "manage", about("lock", { level: "admin" })],
  ["delete", "manage", () => ({ verb: "delete", kind: "network", name: "blue", force: true })],
  ["add_ar", "admin", ranges((all) => [...all, NEW_RANGE])],
  ["rm_ar", "admin", ranges((all) => all.slice(0, 1))],
];

for (const [what, right, writeOf] of NEEDS)
  test(`${what} takes ${right}, and no other right gives it`, async () => {
    for (const given of ["none", ...RIGHTS] as const) {
      const lab = await cluster();
      await lab.control.write({ verb: "delete", kind: "network", name: "piece" });
      if (what === "release") await lab.control.write(hold as never);
      // Who changes something has to manage it first.
      const rights = given === "none" ? [] : given === "admin" ? ["manage", "admin"] : [given];
      if (rights.length > 0) await give(lab, "ann", { kinds: ["network"], name: "blue" }, ...rights);
      const isEnough = given === right || (given === "admin" && right === "manage");
      const result = await tried(lab.control, ann, await writeOf(lab));
      const refused = given === "none" ? /^(not-found|network-unknown|forbidden)$/ : /^forbidden$/;
      assert.match(result, isEnough ? /^done$/ : refused, `${what} with ${given}`);
    }
  });

test("info takes use", async () => {
  for (const right of RIGHTS) {
    const lab = await cluster([[[right], ["network"], "blue"]]);
    assert.equal((await lab.control.find("network", "blue", as("ann"))) !== undefined, right === "use", right);
  }
});

/** Rows that are no right to one network: what is given, the write, and its answer. */
type Given = (lab: Lab) => Promise<unknown>;
const rule = (resource: object, ...rights: readonly string[]): Given => {
  return (lab) => give(lab, "ann", resource, ...rights);
};
const all = (...kinds: readonly string[]) => ({ kinds, all: true });
const owned: Given = async (lab) => {
  await lab.control.write({ verb: "chown", kind: "network", name: "blue", owner: "ann" });
};
const mine = put("network", "mine", v4("10.9.0.0/24"));
const chown = (to: object) => about("chown", to);
const inEast = put("network", "mine", { ...v4("10.9.0.0/24"), clusters: ["east"] });
const east: Given = (lab) => lab.control.write(put("hostcluster", "east", { hosts: ["h1"] }) as never);

const greenWith = (more: object) => put("network", "green", { ...v4("10.8.0.0/24"), ...more });
const manageGreen = rule({ kinds: ["network"], name: "green" }, "use", "manage");
const adminGreen = rule({ kinds: ["network"], name: "green" }, "admin");
const range = { name: "a", type: "ip4", first: "10.8.0.10", size: 4 };
const withMac = { ...range, mac: "02:00:00:00:00:01" };
const greenRange: Given = (lab) => lab.control.write(greenWith({ ranges: [range] }) as never);
const qos = { inbound: { average: "1mbit" } };

const CASES: readonly (readonly [string, readonly Given[], object | WriteOf, string])[] = [
  ["allocate, without create", [], mine, "forbidden"],
  ["allocate, with NET CREATE", [rule(all("network"), "create")], mine, "done"],
  // OpenNebula asks for admin of the cluster. With clusters a network is on fewer hosts than without, so use is enough.
  ["allocate in a cluster, without a right to it", [east, rule(all("network"), "create")], inEast, "cluster-unknown"],
  [
    "allocate in a cluster",
    [east, rule(all("network"), "create"), rule({ kinds: ["hostcluster"], name: "east" }, "use")],
    inEast,
    "done",
  ],
  ["chown to another user", [owned], chown({ owner: "ben" }), "not-found"],
  ["chown to another user, with MANAGE USER", [owned, rule(all("user"), "manage")], chown({ owner: "ben" }), "done"],
  ["chown into another group", [owned], chown({ group: "green" }), "not-found"],
  [
    "chown into another group, with USE GROUP",
    [owned, rule(all("usergroup"), "use")],
    chown({ group: "green" }),
    "done",
  ],
  // There use of all networks comes with the group of users; here nothing is anybody's who was not given it.
  ["the default world: networks of others", [], attach, "network-unknown"],
  ["the default world: a user owns security groups", [], put("securitygroup", "own", { rules: [] }), "done"],
  [
    "the default world: the default security group is used",
    [],
    put("securitygroup", "default", { rules: [] }),
    "forbidden",
  ],
  ["instantiate, with USE of the template alone", [], LAB, "done"],
  [
    "instantiate, without",
    [(lab) => lab.control.write(put("template", "t", { network: {} }) as never)],
    { ...LAB, template: "t" },
    "template-unknown",
  ],
  ["create a template, without VNTEMPLATE CREATE", [], put("template", "t", { network: {} }), "forbidden"],
  ["create a template, with it", [rule(all("template"), "create")], put("template", "t", { network: {} }), "done"],
  // There the clone of a template takes only use, too.
  ["clone a template", [], { verb: "clone-template", template: "private-ipv4", name: "c" }, "forbidden"],
  [
    "chmod of a template that may be used",
    [],
    { verb: "chmod", kind: "template", name: "private-ipv4", mode: "777" },
    "forbidden",
  ],
  ["update with VN_MAD", [owned], (lab) => blueWith(lab, { driver: "gre" }), "forbidden"],
  // update_ar drops a restricted key there, and says that it succeeded.
  ["update_ar with a restricted key", [greenRange, manageGreen], greenWith({ ranges: [withMac] }), "forbidden"],
  // Limits are a matter of update there; here whoever is limited does not say how much.
  ["update of limits", [manageGreen], greenWith({ qos }), "forbidden"],
  ["update of limits, with admin", [manageGreen, adminGreen], greenWith({ qos }), "done"],
  // The owner of what an administrator has made adds no ranges, as there; of what he has made himself, owning.test.ts.
  ["add_ar by an owner", [owned], ranges((known) => [...known, NEW_RANGE]), "forbidden"],
];

for (const [what, given, write, expected] of CASES)
  test(`${what}: ${expected}`, async () => {
    const lab = await cluster();
    for (const each of given) await each(lab);
    const asked = typeof write === "function" ? await (write as WriteOf)(lab) : write;
    assert.equal(await tried(lab.control, ann, asked), expected);
  });

test("nine bits: what they give to owner, group and others", async () => {
  const to: readonly (readonly [string, typeof ann])[] = [
    ["owner", ann],
    ["group", ben],
    ["other", cat],
  ];
  const writes: Readonly<Record<Right, WriteOf>> = {
    use: () => reserve,
    manage: (lab) => blueWith(lab, { description: "x" }),
    admin: ranges((known) => [...known, NEW_RANGE]),
  };
  for (const [i, [holder, caller]] of to.entries())
    for (const [n, rights] of [["use"], ["use", "manage"], RIGHTS].entries()) {
      const lab = await cluster();
      const mode = "---".repeat(i) + "uma".slice(0, n + 1).padEnd(3, "-") + "---".repeat(2 - i);
      await lab.control.write({ verb: "chown", kind: "network", name: "blue", owner: "ann", group: "red" });
      await lab.control.write({ verb: "chmod", kind: "network", name: "blue", mode });
      for (const right of RIGHTS) {
        const isGiven = rights.includes(right);
        const result = await tried(lab.control, caller, await writes[right](lab));
        assert.equal(result === "done", isGiven, `${holder} with ${mode}: ${right}`);
      }
    }
});

test("an ACL rule: its subjects, and what it selects", async () => {
  const lab = await cluster();
  await lab.control.write(put("hostcluster", "east", { hosts: ["h1"] }) as never);
  await lab.control.write(put("network", "red", { ...v4("10.30.0.0/24"), clusters: ["east"] }) as never);
  await lab.control.write({ verb: "chown", kind: "network", name: "green", group: "green" });
  const subjects = { "#user": { user: "ann" }, "@group": { usergroup: "red" }, "*": { all: true } };
  const seenBy = { "#user": ["ann"], "@group": ["ann", "ben", "dan"], "*": ["ann", "ben", "cat", "dan"] };
  const selectors = {
    "#id": { name: "blue" },
    "@gid": { usergroup: "green" },
    "%cluster": { hostcluster: "east" },
    "*": { all: true },
  };
  const selected = { "#id": ["blue"], "@gid": ["green"], "%cluster": ["red"], "*": ["blue", "green", "piece", "red"] };
  for (const [of, subject] of Object.entries(subjects))
    for (const [what, selector] of Object.entries(selectors)) {
      const spec = { subject, resource: { kinds: ["network"], ...selector }, rights: ["use"] };
      await lab.control.write(put("aclrule", "r", spec) as never);
      for (const user of ["ann", "ben", "cat", "dan"]) {
        const { items } = await lab.control.list("network", as(user));
        const expected = seenBy[of as keyof typeof seenBy].includes(user)
          ? selected[what as keyof typeof selected]
          : [];
        assert.deepEqual(items.map(({ name }) => name).sort(), expected, `${of} ${what}: ${user}`);
      }
    }
});

test("leases: who does not manage sees only his own, and how many are used", async () => {
  const lab = await cluster([[["use"], ["network"], "blue"]]);
  assert.equal(await tried(lab.control, ann, attach), "done");
  const seen = async (user: string) => (await lab.control.list("endpoint", as(user))).items.map(({ name }) => name);
  assert.deepEqual(await seen("ann"), ["vm.eth0"]);
  await give(lab, "ann", { kinds: ["network"], name: "blue" }, "manage");
  assert.deepEqual((await seen("ann")).sort(), ["vm.eth0", "web.eth0"]);
});

test("quotas count interfaces and reservations, of users and of groups, and go along with chown", async () => {
  const lab = await cluster([[["use"], ["network"], "blue"]]);
  const quota = { leasesIn: [{ network: "blue", leases: 6 }] };
  await lab.control.write(put("user", "ann", { group: "red", quota }) as never);
  const more = (size: number) => ({ ...reserve, request: { name: "mine", size } });
  assert.equal(await tried(lab.control, ann, attach), "done");
  assert.equal(await tried(lab.control, ann, more(5)), "done");
  await assert.rejects(
    lab.control.writeAs(ann, more(1) as never),
    /user "ann" cannot own 1 lease .*6 leases.* may own 6/,
  );
  await lab.control.write({ verb: "chown", kind: "network", name: "mine", owner: "ben" });
  const other = { ...reserve, request: { name: "other", size: 5 } };
  assert.equal(await tried(lab.control, ann, other), "done", "five are ben's now");
  await lab.control.write(put("user", "ann", { group: "red" }) as never);
  const third = { ...reserve, request: { name: "third", size: 5 } };
  assert.equal(await tried(lab.control, ann, third), "done", "without a quota");
});

test("reservations: a user changes no ranges, and takes no name, parent or network of others", async () => {
  const lab = await cluster([[["use"], ["network"], "blue"]]);
  for (let n = 0; n < 2; n++) assert.equal(await tried(lab.control, ann, reserve), "done");
  const { spec } = (await lab.control.find("network", "mine", as("ann"))) ?? assert.fail();
  const { ranges: pieces = [] } = spec;
  const more = { ...NEW_RANGE, first: "10.7.0.50", from: "b" };
  const changed = (now: readonly object[]) => put("network", "mine", { ...spec, ranges: now });
  assert.equal(await tried(lab.control, ann, changed([...pieces, more])), "forbidden", "addar");
  // A piece is given back by who manages the reservation; there rmar is refused, and free_ar does the same.
  assert.equal(await tried(lab.control, ann, changed(pieces.slice(1))), "done", "free_ar");
  const [byName, byParent] = ["piece", "green"].map((name) => ({ ...reserve, request: { name, size: 1 } }));
  assert.equal(await tried(lab.control, ann, byName ?? {}), "name-taken", "another's");
  assert.equal(await tried(lab.control, ann, byParent ?? {}), "name-taken", "no reservation");
  assert.equal(await tried(lab.control, ann, { ...reserve, network: "green" }), "network-unknown");
  await give(lab, "ann", { kinds: ["network"], name: "green" }, "use", "manage");
  assert.equal(await tried(lab.control, ann, byParent ?? {}), "name-taken", "no reservation, although it manages it");
});

test("locks: level by operation, for users and administrators", async () => {
  const operations: readonly (readonly [Right, WriteOf])[] = [
    ...NEEDS.filter(([what]) => !["lock", "delete", "release"].includes(what)).map(
      ([, right, writeOf]) => [right, writeOf] as const,
    ),
    ["manage", () => ({ verb: "delete", kind: "network", name: "blue", force: true })],
  ];
  const blocked: Readonly<Record<(typeof LOCKS)[number], readonly string[]>> = {
    use: RIGHTS,
    manage: ["manage", "admin"],
    admin: ["admin"],
    all: RIGHTS,
  };
  for (const level of LOCKS) {
    const lab = await cluster([[RIGHTS, ["network"]]]);
    await lab.control.write({ verb: "lock", kind: "network", name: "blue", level });
    for (const [right, writeOf] of operations) {
      const write = await writeOf(lab);
      if (blocked[level].includes(right))
        for (const caller of [ann, ROOT])
          assert.equal(await tried(lab.control, caller, write), "locked", `${level}: ${JSON.stringify(write)}`);
      else await lab.control.writeAs(ROOT, write as never, { dryRun: true });
      // info is never blocked.
      assert.ok((await lab.control.find("network", "blue", as("ann"))) !== undefined);
    }
    assert.equal(await tried(lab.control, ann, { verb: "lock", kind: "network", name: "blue" }), "done", "unlock");
  }
});

test("templates: locked at use they make nothing; what is given besides counts, unless it is restricted", async () => {
  const lab = await cluster();
  const network = { pool: { name: "private-ipv4" }, mtu: 1400 };
  await lab.control.write(put("template", "t", { network, restricted: ["mtu"] }) as never);
  await lab.control.write({ verb: "chmod", kind: "template", name: "t", mode: "------u--" });
  const of = (name: string | undefined, more: object = {}) => ({
    verb: "instantiate",
    template: "t",
    request: { ...(name === undefined ? {} : { name }), network: more },
  });
  assert.equal(await tried(lab.control, ann, of("a", { dns: ["10.0.0.1"] })), "done", "by who may only use it");
  const made = (await lab.control.find("network", "a", as("ann"))) ?? assert.fail();
  assert.equal(made.access?.owner, "ann");
  assert.equal(await tried(lab.control, ann, of("b", { mtu: 1300 })), "forbidden", "restricted");
  assert.equal(await tried(lab.control, ann, of("a")), "name-taken");
  assert.equal(await tried(lab.control, ann, of(undefined)), "done");
  // There the name ends with the number of the network; here with the lowest that is free.
  assert.ok((await lab.control.find("network", "t-1", as("ann"))) !== undefined);
  // There a given range drops those of the template without a word.
  const addresses = of("c", { subnets: [{ cidr: "10.99.0.0/24" }], pool: { name: "p" } });
  assert.equal(await tried(lab.control, ann, addresses), "request-invalid");
  await lab.control.write({ verb: "lock", kind: "template", name: "t", level: "use" });
  for (const caller of [ann, ROOT]) assert.equal(await tried(lab.control, caller, of("d")), "locked");
});

test("security groups: one name for all; the default one is changed by administrators", async () => {
  const lab = await cluster();
  const own = put("securitygroup", "own", { rules: [] });
  assert.equal(await tried(lab.control, ann, own), "done");
  // There two owners may have groups of the same name, which are told apart by number.
  assert.equal(await tried(lab.control, cat, own), "name-taken");
  assert.equal(await tried(lab.control, cat, { verb: "delete", kind: "securitygroup", name: "own" }), "group-unknown");
  const rules = [{ direction: "inbound", protocol: "tcp", ports: ["22"] }];
  assert.equal(await tried(lab.control, ann, put("securitygroup", "default", { rules })), "forbidden");
  await lab.control.write({ verb: "lock", kind: "securitygroup", name: "own", level: "use" });
  const named = put("network", "n", { ...v4("10.40.0.0/24"), securityGroups: ["own"] });
  assert.equal(await tried(lab.control, ROOT, named), "locked");
});
