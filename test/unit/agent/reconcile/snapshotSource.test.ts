// The snapshot as a host acts on it: what it knows better than its server, and what does not concern it.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Endpoint, EndpointSpec, Snapshot } from "../../../../src/model/resource.ts";
import {
  isAlive,
  isSameElsewhere,
  isSameExceptOwn,
  endpointsAtServer,
  withLocal,
  withoutHost,
  withServerSettings,
} from "../../../../src/agent/reconcile/snapshotSource.ts";
import { DETACHING, endpoint, entry, snapshotWith, WEB } from "../samples.ts";

const GROUPS = { securityGroups: ["g"] };

describe("the snapshot of a host", () => {
  const isThere = () => true;

  test("has others' endpoints as the server says, and its own as the journal says", () => {
    const others = [endpoint("a", { host: "h2" }), endpoint("b", { host: "h3" })];
    const released = endpoint("old");
    const seen = snapshotWith(others[0] ?? WEB, released, others[1] ?? WEB);
    const local = withLocal(seen, "h1", [entry(WEB), entry(endpoint("late"), DETACHING)], isThere);
    assert.deepEqual(local, { ...seen, endpoints: [...others, WEB] });
    assert.deepEqual(withLocal(seen, "h1", [entry(WEB)], () => false).endpoints, others);
  });

  test("has of its own what the server changed since: limits, groups, allowed addresses, and nothing else", () => {
    const changes: readonly Partial<EndpointSpec>[] = [
      {},
      GROUPS,
      { qos: { inbound: { average: 1 } } },
      { allowedAddresses: [{ address: "10.2.1.9" }] },
      { ...GROUPS, qos: { inbound: { average: 1 } }, allowedAddresses: [{ address: "10.2.1.9" }] },
    ];
    for (const was of changes)
      for (const is of changes) {
        const own = endpoint("web", was);
        const known = { ...endpoint("web", { ...is, mac: "02:00:00:00:00:99", workload: "w" }), uid: "another" };
        const wanted = endpoint("web", is);
        for (const name of ["web.eth0", "web.eth0@h1"]) {
          const local = withLocal(snapshotWith({ ...known, name }), "h1", [entry(own)], isThere);
          assert.deepEqual(local.endpoints, [wanted], JSON.stringify([was, is]));
        }
        assert.deepEqual(withServerSettings(own, known), wanted);
        assert.equal(withServerSettings(own, undefined), own);
        // Of another lease under the same name nothing is taken, nor of another host's.
        for (const other of [{ addresses: ["10.2.1.3"] }, { netns: "/n" }, { network: "wide" }])
          assert.equal(withServerSettings(own, endpoint("web", { ...is, ...other })), own, JSON.stringify(other));
        const elsewhere = snapshotWith(endpoint("web", { ...is, host: "h2" }));
        assert.deepEqual(withLocal(elsewhere, "h1", [entry(own)], isThere).endpoints.at(-1), own);
      }
    assert.equal(withServerSettings(WEB, endpoint("web")), WEB, "the same object, where nothing is news");
  });

  test("that is no longer has nothing of its own", () => {
    const hosts = ["h1", "h2"].map((name) => ({ name }) as unknown as Snapshot["hosts"][number]);
    const seen = { ...snapshotWith(WEB), hosts };
    assert.deepEqual(withoutHost(seen, "h1"), { ...seen, hosts: [hosts[1]] });
  });
});

test("the server's leases of a host are known by their names there", () => {
  const renamed = { ...WEB, name: "web.eth0@h1" };
  const leases = endpointsAtServer(snapshotWith(renamed, endpoint("db", { host: "h2" })), "h1");
  assert.deepEqual([...leases], [["web.eth0", renamed]]);
});

test("a workload is alive in the namespace that it was attached in, in this boot", () => {
  const kernel = (id: string | undefined) => ({ netnsId: (path: string) => (path === WEB.spec.netns ? id : "other") });
  assert.equal(isAlive(entry(WEB), "b", kernel("id of /run/netns/web")), true);
  assert.equal(isAlive(entry(WEB), "b", kernel("another")), false);
  assert.equal(isAlive(entry(WEB), "b", kernel(undefined)), false);
  assert.equal(isAlive(entry(WEB), "another", kernel("id of /run/netns/web")), false);
});

describe("whether two snapshots ask the same of a host", () => {
  test("every list counts that is part of its ground, and no other does", () => {
    const seen = snapshotWith(endpoint("db", { host: "h2" }));
    assert.equal(isSameExceptOwn(seen, seen, "h1"), true);
    assert.equal(isSameExceptOwn(seen, { ...seen, revision: 11, memberships: [], moves: [], freed: [] }, "h1"), true);
    for (const list of ["vrfs", "networks", "hosts", "blocks", "vteps", "securityGroups"] as const)
      assert.equal(isSameExceptOwn(seen, { ...seen, [list]: [...seen[list]] }, "h1"), false, list);
    assert.equal(isSameExceptOwn(seen, { ...seen, endpoints: [] }, "h1"), false);
  });

  test("others' endpoints are compared whole, its own by what may change while attached", () => {
    const pool = ["a", "b", "c", "d", "e", "f", "g"].map((owner, i) =>
      endpoint(owner, { host: i % 3 === 1 ? "h1" : "h2" }),
    );
    const wished = pool.map((one) => ({ ...one, spec: { ...one.spec, ...GROUPS } }));
    // Of each name at most one, plain or with groups.
    const pick = fc
      .tuple(...pool.map(() => fc.constantFrom(0, 1, 1, 1, 2)))
      .map((which) => which.flatMap((n, i) => (n === 0 ? [] : ((n === 1 ? pool : wished)[i] ?? []))));
    const wishes = (list: readonly Endpoint[]) =>
      new Map(list.filter(({ spec }) => spec.host === "h1").map(({ name, spec }) => [name, spec.securityGroups]));
    fc.assert(
      fc.property(pick, pick, (was, is) => {
        const [before, after] = [was, is].map((list) => list.filter(({ spec }) => spec.host !== "h1"));
        const [old, now] = [wishes(was), wishes(is)];
        const isSameWish = [...now].every(([name, groups]) => old.get(name)?.join() === groups?.join());
        const isSame = before?.length === after?.length && before?.every((one, i) => one === after?.[i]) === true;
        assert.equal(isSameElsewhere(was, is, "h1"), isSame && isSameWish);
      }),
      { numRuns: 2_000 },
    );
  });
});
