// What a user's lists and mirror have, against a walk over everything, in random worlds and after random commits.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ALL_KINDS, type Kind } from "../../../../src/model/kinds.ts";
import { RIGHTS } from "../../../../src/model/rights.ts";
import { type Change, type Resource, listIn } from "../../../../src/model/resource.ts";
import { applyChanges, audiencesIn, listOf, undoChanges, viewOf } from "../../../../src/control/state/view.ts";
import { builtIn } from "../../../../src/control/state/builtIn.ts";
import { listingOf, snapshotForUser } from "../../../../src/control/state/listing.ts";
import { principalOf } from "../../../../src/control/rights/rights.ts";
import { isSeenBy, sightOf } from "../../../../src/control/rights/sight.ts";

const USERS = ["ann", "ben"] as const;
const GROUPS = ["green", "red"] as const;
const NAMES = ["a", "b", "c", "d"] as const;
const CLUSTERS = ["core", "edge"] as const;
const BUILT_IN = ["default", "private-ipv4"] as const;
const some = <T>(list: readonly T[]) => fc.constantFrom(...list);
const mode = fc
  .array(fc.boolean(), { minLength: 9, maxLength: 9 })
  .map((bits) => bits.map((bit, i) => (bit ? "uma".charAt(i % 3) : "-")).join(""));
const access = fc.option(fc.record({ owner: fc.option(some(USERS), { nil: undefined }), group: some(GROUPS), mode }), {
  nil: undefined,
});
const subject = fc.oneof(
  some(USERS).map((user) => ({ user })),
  some(GROUPS).map((usergroup) => ({ usergroup })),
  fc.constant({ all: true }),
);
const selected = fc.oneof(
  some(NAMES).map((name) => ({ name })),
  some(GROUPS).map((usergroup) => ({ usergroup })),
  some(CLUSTERS).map((hostcluster) => ({ hostcluster })),
  fc.constant({ all: true }),
);
const RULED = ["network", "vrf", "securitygroup", "template", "endpoint", "host", "hostcluster", "user", "usergroup"];
const network = some(NAMES).map((name) => ({ network: name }));

/** What decides who sees each kind; indexes that are about other things are satisfied by whatever else is there. */
const SPECS: { readonly [K in Kind]?: fc.Arbitrary<object> } = {
  network: fc.record({
    driver: fc.constant("vxlan"),
    ipam: fc.constant("global"),
    vrf: some(NAMES),
    subnets: fc.constant([]),
    clusters: fc.option(fc.uniqueArray(some(CLUSTERS)), { nil: undefined }),
  }),
  vrf: fc.constant({ index: 1, vni: 1 }),
  pool: fc.constant({}),
  physicalnetwork: fc.constant({}),
  securitygroup: fc.constant({ rules: [] }),
  template: fc.constant({ network: { vrf: "a" } }),
  endpoint: network.map((at) => ({ ...at, host: "a", addresses: [], mac: "02:00:00:00:00:01" })),
  host: fc.constant({ underlay: "192.0.2.1", order: 0 }),
  hostcluster: fc.constant({}),
  membership: network,
  vtep: some(NAMES).map((vrf) => ({ vrf, host: "a" })),
  cursor: network,
  migration: fc.tuple(some(NAMES), some(NAMES)).map(([from, to]) => ({ from, to })),
  usergroup: fc.constant({}),
  aclrule: fc
    .tuple(subject, selected, fc.subarray(RULED, { minLength: 1 }), fc.subarray([...RIGHTS], { minLength: 1 }))
    .map(([who, what, kinds, rights]) => ({ subject: who, resource: { kinds, ...what }, rights })),
};
const resource: fc.Arbitrary<Resource> = some(Object.keys(SPECS) as Kind[]).chain((kind) =>
  fc
    .tuple(some([...NAMES, ...BUILT_IN, ...CLUSTERS, ...GROUPS]), SPECS[kind] ?? fc.constant({}), access)
    .map(([name, spec, own]) => ({ kind, name, uid: name, revision: 1, spec, access: own }) as unknown as Resource),
);
const change = fc.oneof(
  { weight: 4, arbitrary: resource.map((put): Change => ({ put })) },
  { weight: 1, arbitrary: resource.map(({ kind, name }): Change => ({ remove: `${kind}/${name}` })) },
);
const key = (each: Change) => ("put" in each ? `${each.put.kind}/${each.put.name}` : each.remove);
const commit = fc.uniqueArray(change, { selector: key, maxLength: 6 });

test("a user's list has exactly what a walk over everything shows, also after commits that were undone", () => {
  const groups = fc.array(some(GROUPS), { minLength: 2, maxLength: 2 });
  const commits = fc.array(fc.tuple(commit, fc.boolean()), { minLength: 3, maxLength: 10 });
  fc.assert(
    fc.property(groups, commits, some(NAMES), (groupOf, all, after) => {
      const users = USERS.map(
        (name, i) =>
          ({ kind: "user", name, uid: name, revision: 1, spec: { group: groupOf[i], enabled: true } }) as Resource,
      );
      const view = viewOf("c", 1, users);
      for (const kind of ALL_KINDS) audiencesIn(view, kind);
      for (const [changes, isUndone] of all) {
        const before = applyChanges(view, changes);
        if (isUndone) undoChanges(view, before);
        for (const user of USERS) compare(view, user, after);
        for (const kind of ALL_KINDS) {
          const anew = viewOf("c", 1, listOf(view, kind));
          const plain = (of: typeof view) =>
            new Map([...audiencesIn(of, kind)].map(([who, names]) => [who, [...names]]));
          assert.deepEqual(plain(view), plain(anew), kind);
        }
      }
    }),
    { numRuns: 150 },
  );
});

function compare(view: ReturnType<typeof viewOf>, user: string, after: string): void {
  const viewer = { role: "user", user } as const;
  const sight = sightOf(view, principalOf(view, viewer));
  const mirror = snapshotForUser(view, viewer);
  for (const kind of ALL_KINDS) {
    const seen = listOf(view, kind).filter((each) => isSeenBy(sight, each));
    assert.deepEqual(names(listIn(mirror, kind)), names(seen), `mirror of ${kind}`);
    const given = BUILT_IN.map((name) => (view[kind].has(name) ? undefined : builtIn(kind, name)));
    const shown = names([...seen, ...given.filter((each) => each !== undefined && isSeenBy(sight, each))]);
    assert.deepEqual(names(listingOf(view, kind, viewer, {}).items), shown, `list of ${kind}`);
    const page = listingOf(view, kind, viewer, { after, limit: 2 });
    const rest = shown.filter((name) => name > after);
    assert.deepEqual([page.items.map(({ name }) => name), page.hasMore], [rest.slice(0, 2), rest.length > 2], kind);
  }
}

function names(list: readonly (Resource | undefined)[]): readonly string[] {
  return list.map((each) => each?.name ?? "").sort();
}
