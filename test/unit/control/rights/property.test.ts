// Rights in random worlds, against a model that is as plain as the words of docs/tenancy.md.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RIGHTS } from "../../../../src/model/rights.ts";
import type { Resource } from "../../../../src/model/resource.ts";
import { Fault } from "../../../../src/model/fault.ts";
import { viewOf } from "../../../../src/control/state/view.ts";
import { Needs } from "../../../../src/control/rights/needs.ts";
import { askVerb } from "../../../../src/control/rights/verbs.ts";
import { hasRight, principalOf } from "../../../../src/control/rights/rights.ts";

const USERS = ["ann", "ben", "cat"] as const;
const GROUPS = ["red", "green"] as const;
const some = <T>(list: readonly T[]) => fc.constantFrom(...list);
const mode = fc
  .array(fc.boolean(), { minLength: 9, maxLength: 9 })
  .map((bits) => bits.map((bit, i) => (bit ? "uma".charAt(i % 3) : "-")).join(""));
const one = (kind: string, name: string, spec: object, more: object = {}) =>
  ({ kind, name, uid: name, revision: 1, spec, ...more }) as unknown as Resource;
const rules = fc.array(
  fc.record({
    subject: fc.oneof(
      some(USERS).map((user) => ({ user })),
      some(GROUPS).map((usergroup) => ({ usergroup })),
      fc.constant({ all: true }),
    ),
    resource: fc.oneof(
      fc.constant({ kinds: ["network"], all: true }),
      fc.constant({ kinds: ["vrf"], all: true }),
      fc.constant({ kinds: ["network"], name: "blue" }),
      some(GROUPS).map((usergroup) => ({ kinds: ["network"], usergroup })),
    ),
    rights: fc.subarray([...RIGHTS, "create"], { minLength: 1 }),
  }),
  { maxLength: 3 },
);

test("a right is there exactly if the owner's, the group's or others' bit, or an ACL rule gives it", () => {
  const access = fc.option(fc.record({ owner: some(USERS), group: some(GROUPS), mode }));
  fc.assert(
    fc.property(fc.array(some(GROUPS), { minLength: 3, maxLength: 3 }), access, rules, (groups, owned, given) => {
      const network = one("network", "blue", {}, owned === null ? {} : { access: owned });
      const users = USERS.map((name, i) => one("user", name, { group: groups[i], enabled: true }));
      const view = viewOf("c", 1, [...users, ...given.map((spec, i) => one("aclrule", `r${i}`, spec))]);
      for (const [i, user] of USERS.entries())
        for (const [bit, right] of RIGHTS.entries()) {
          const has = (at: number) => owned !== null && owned.mode[at + bit] !== "-";
          const byMode = (owned?.owner === user && has(0)) || (owned?.group === groups[i] && has(3)) || has(6);
          const byRule = given.some(
            ({ subject, resource, rights }) =>
              rights.includes(right) &&
              resource.kinds[0] === "network" &&
              ("all" in subject || ("user" in subject ? subject.user === user : subject.usergroup === groups[i])) &&
              (!("usergroup" in resource) || resource.usergroup === owned?.group),
          );
          assert.equal(hasRight(principalOf(view, { user }), right, network), byMode || byRule, `${user} ${right}`);
        }
    }),
    { numRuns: 500 },
  );
});

const CLUSTERS = ["east", "west"] as const;
const subset = <T>(list: readonly T[]) => fc.subarray([...list]);
const USER = { group: "red", enabled: true };

test("a rule for a cluster is about its hosts, and what is for it; create in it makes that, and nothing else", () => {
  const kinds = subset(["host", "network", "hostcluster"] as const).filter((list) => list.length > 0);
  const given = fc.array(
    fc.record({ kinds, cluster: some(CLUSTERS), rights: fc.subarray([...RIGHTS, "create"], { minLength: 1 }) }),
    { maxLength: 4 },
  );
  const racks = fc.array(some(["r1", "r2", "r3"]), { minLength: 2, maxLength: 2 });
  fc.assert(
    fc.property(given, racks, subset(["h1", "h2"]), subset(CLUSTERS), subset(CLUSTERS), (list, labels, ...more) => {
      const [named, clusters, wanted] = more;
      const hosts = labels.map((rack, i) => one("host", `h${i + 1}`, { order: i, labels: { rack } }));
      const network = one("network", "n", { vrf: "n", subnets: [], ...(clusters.length > 0 ? { clusters } : {}) });
      const [east, west] = [
        one("hostcluster", "east", { selector: "rack=r1", hosts: named }),
        one("hostcluster", "west", { selector: "rack in (r1,r2)" }),
      ];
      const rulesOf = list.map(({ kinds: about, cluster, rights }, i) =>
        one("aclrule", `r${i}`, { subject: { all: true }, resource: { kinds: about, hostcluster: cluster }, rights }),
      );
      const view = viewOf("c", 1, [one("user", "ann", USER), ...hosts, network, east, west, ...rulesOf]);
      const principal = principalOf(view, { user: "ann" });
      const isIn = (host: string, cluster: string) => {
        const rack = labels[Number(host.slice(1)) - 1] ?? "";
        return cluster === "east" ? rack === "r1" || named.includes(host) : rack === "r1" || rack === "r2";
      };
      const is = (right: string, kind: string, inside: (cluster: string) => boolean) =>
        list.some((rule) => rule.rights.includes(right) && rule.kinds.some((k) => k === kind) && inside(rule.cluster));
      for (const right of RIGHTS) {
        for (const host of hosts)
          assert.equal(
            hasRight(principal, right, host),
            is(right, "host", (cluster) => isIn(host.name, cluster)),
            `${right} of ${host.name}`,
          );
        const has = is(right, "network", (cluster) => clusters.some((each) => each === cluster));
        assert.equal(hasRight(principal, right, network), has, `${right} of the network`);
        const own = is(right, "hostcluster", (cluster) => cluster === "east");
        assert.equal(hasRight(principal, right, east as Resource), own, `${right} of east`);
      }
      const creates =
        wanted.length > 0 && wanted.every((each) => is("create", "network", (cluster) => cluster === each));
      assert.equal(
        isAllowed(() => new Needs(view, principal).create("network", "new", wanted)),
        creates,
        "create",
      );
    }),
    { numRuns: 300 },
  );
});

test("a lock is taken off by who manages, and set it, or has admin; an administrator's by an ACL rule's admin", () => {
  const level = some(["use", "manage", "admin", "all"] as const);
  fc.assert(
    fc.property(
      mode,
      fc.option(some(USERS), { nil: undefined }),
      level,
      subset(RIGHTS),
      (bits, lockedBy, lock, rights) => {
        const access = { owner: "ann", group: "green", mode: bits };
        const held = { access, lock, ...(lockedBy === undefined ? {} : { lockedBy }) };
        const network = one("network", "blue", { vrf: "blue", subnets: [] }, held);
        const rule = { subject: { user: "ben" }, resource: { kinds: ["network"], name: "blue" }, rights };
        const users = USERS.map((name) => one("user", name, USER));
        const view = viewOf("c", 1, [...users, network, ...(rights.length > 0 ? [one("aclrule", "r", rule)] : [])]);
        for (const user of USERS) {
          const byMode = (at: number) => bits[6 + at] !== "-" || (user === "ann" && bits[at] !== "-");
          const byRule = (right: (typeof RIGHTS)[number]) => user === "ben" && rights.includes(right);
          const isManager = byMode(1) || byRule("manage");
          const isAdmin = lockedBy === undefined ? byRule("admin") : byMode(2) || byRule("admin");
          const needs = new Needs(view, principalOf(view, { user }));
          const unlock = () => askVerb(needs, { verb: "lock", kind: "network", name: "blue" });
          assert.equal(
            isAllowed(unlock),
            isManager && (lockedBy === user || isAdmin),
            `${user}: ${bits}, by ${lockedBy}`,
          );
        }
      },
    ),
    { numRuns: 500 },
  );
});

test("a join takes use of who asks and of whose the workload is, and manage of each of its instances", () => {
  const instance = fc.record({ owner: some(USERS), workload: some(["web", "db"]), mode });
  const world = fc.record({ permitted: subset(USERS), instances: fc.array(instance, { maxLength: 5 }) });
  const asked = fc.record({ workload: some(["web", "db"]), user: fc.option(some(USERS), { nil: undefined }) });
  fc.assert(
    fc.property(world, asked, ({ permitted, instances }, { workload, user }) => {
      const endpoints = instances.map(({ owner, workload: of, mode: bits }, i) => {
        const spec = { network: "blue", host: "h", owner: `o${i}`, ifname: "eth0", workload: of, addresses: [] };
        return one("endpoint", `o${i}.eth0`, { ...spec, mac: "02:00:00:00:00:01" }, { access: { owner, mode: bits } });
      });
      const given = permitted.map((each) => {
        const spec = { subject: { user: each }, resource: { kinds: ["network"], name: "blue" }, rights: ["use"] };
        return one("aclrule", each, spec);
      });
      const blue = one("network", "blue", { vrf: "blue", subnets: [] });
      const view = viewOf("c", 1, [...USERS.map((name) => one("user", name, USER)), blue, ...endpoints, ...given]);
      for (const asking of USERS) {
        const whose = user ?? asking;
        const theirs = instances.filter((each) => each.owner === whose && each.workload === workload);
        const isManaged = theirs.every(
          ({ owner, mode: bits }) => bits[7] !== "-" || (owner === asking && bits[1] !== "-"),
        );
        const isSome = theirs.length > 0 || whose === asking;
        const isPermitted = permitted.includes(asking) && permitted.includes(whose);
        const claim = { network: "blue", workload, ...(user === undefined ? {} : { user }) };
        const join = () =>
          askVerb(new Needs(view, principalOf(view, { user: asking })), { verb: "join-network", claim });
        assert.equal(isAllowed(join), isPermitted && isManaged && isSome, `${asking} joins ${workload} of ${whose}`);
      }
    }),
    { numRuns: 500 },
  );
});

function isAllowed(ask: () => void): boolean {
  try {
    ask();
    return true;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return false;
  }
}
