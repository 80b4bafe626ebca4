// What the server concludes about the path between two hosts from the reports of both.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PathSeen } from "../../../../src/model/paths.ts";
import type { HostCondition } from "../../../../src/model/status.ts";
import { clusterPaths } from "../../../../src/control/report/paths.ts";

const seen = (host: string, state: PathSeen["state"], sinceMs = 5, obstacle?: string): PathSeen => ({
  host,
  state,
  sinceMs,
  ...(obstacle === undefined ? {} : { obstacle }),
});
function host(
  name: string,
  named: readonly PathSeen[] | undefined,
  state: HostCondition["state"] = "ready",
): HostCondition {
  const paths =
    named === undefined
      ? {}
      : { paths: { peers: named.length, proven: named.filter((one) => one.state === "proven").length, named } };
  const report = { host: name, bootId: "", version: "", revision: 1, driftRepaired: 0, objects: 0 };
  const lists = { errors: [], networks: [], conditions: [], hostPrefixes: [] };
  return { host: name, underlay: "", state, status: { ...report, ...lists, ...paths, reportedAtMs: 0 } };
}

test("a pair is proven when neither says otherwise; what both say is told", () => {
  const all = ["h1", "h2", "h3"].map((name) =>
    host(
      name,
      ["h1", "h2", "h3"].filter((peer) => peer !== name).map((peer) => seen(peer, "proven")),
    ),
  );
  assert.deepEqual(clusterPaths(all), { pairs: 3, proven: 3, unproven: [] });
  const [, , h3] = all;
  const broken = [
    host("h1", [seen("h2", "failed", 7, "no answer"), seen("h3", "proven")]),
    host("h2", [seen("h1", "small", 6, "only small"), seen("h3", "proven")]),
    h3 ?? host("h3", []),
  ];
  assert.deepEqual(clusterPaths(broken), {
    pairs: 3,
    proven: 2,
    unproven: [{ hosts: ["h1", "h2"], state: "failed", sinceMs: 6, obstacles: ["h1: no answer", "h2: only small"] }],
  });
  assert.equal(clusterPaths([host("h1", [])]), undefined);
});

test("a host that is silent is judged by its peers, one of an earlier version by nobody", () => {
  const others = [
    host("h1", [seen("h2", "proven"), seen("h3", "failed")]),
    host("h2", [seen("h1", "proven"), seen("h3", "failed")]),
  ];
  const gone = host("h3", [seen("h1", "proven"), seen("h2", "proven")], "lost");
  const lost = clusterPaths([...others, gone]);
  assert.deepEqual([lost?.pairs, lost?.proven], [3, 1]);
  assert.deepEqual(
    lost?.unproven.map(({ obstacles }) => obstacles),
    [["h1: h3 is lost"], ["h2: h3 is lost"]],
  );
  const old = clusterPaths([...others, host("h3", undefined)]);
  assert.deepEqual(
    old?.unproven.map(({ state, obstacles }) => [state, obstacles]),
    [
      ["unknown", ["h1: the agent of h3 is too old to be asked"]],
      ["unknown", ["h2: the agent of h3 is too old to be asked"]],
    ],
  );
});

test("of two that say something the worse is told, since the earlier; a name that is no host says nothing", () => {
  const states = ["failed", "small", "unknown"] as const;
  for (const [i, a] of states.entries())
    for (const [k, b] of states.entries()) {
      const pair = clusterPaths([host("h2", [seen("h1", a, 9, "x")]), host("h1", [seen("h2", b, 8)])]);
      const expected = { hosts: ["h1", "h2"], state: states[Math.min(i, k)], sinceMs: 8, obstacles: ["h2: x"] };
      assert.deepEqual(pair, { pairs: 1, proven: 0, unproven: [expected] });
    }
  assert.deepEqual(
    clusterPaths([host("h1", [seen("gone", "failed"), seen("h2", "proven")]), host("h2", [seen("h1", "proven")])]),
    {
      pairs: 2,
      proven: 1,
      unproven: [],
    },
  );
});

test("what a silent host proved counts as far as its peers do not deny it", () => {
  const names = ["h1", "h2", "h3"];
  const all = (of: string, state: PathSeen["state"] = "proven") =>
    names.filter((name) => name !== of).map((name) => seen(name, state));
  const quiet = (state: HostCondition["state"], named: readonly PathSeen[]) =>
    clusterPaths([host("h1", all("h1")), host("h2", all("h2")), host("h3", named, state)]);
  for (const state of ["suspect", "lost"] as const) {
    // Its own last word is worth nothing, good or bad.
    assert.deepEqual(quiet(state, all("h3")), { pairs: 3, proven: 3, unproven: [] });
    assert.deepEqual(quiet(state, all("h3", "failed")), { pairs: 3, proven: 3, unproven: [] });
  }
  assert.deepEqual(quiet("ready", all("h3", "failed"))?.unproven.length, 2);
  const denied = clusterPaths([
    host("h1", [seen("h2", "proven"), seen("h3", "small")]),
    host("h2", all("h2")),
    host("h3", all("h3"), "lost"),
  ]);
  assert.deepEqual([denied?.pairs, denied?.proven], [3, 2]);
  assert.deepEqual(denied?.unproven[0]?.obstacles, [], "only what failed is explained by its silence");
  // A host with many peers names some: its sums count.
  const many: HostCondition[] = ["h1", "h2"].map((name) => {
    const one = host(name, []);
    const status = { ...one.status, paths: { peers: 199, proven: 150, named: [] } } as NonNullable<typeof one.status>;
    return { ...one, status };
  });
  assert.deepEqual(clusterPaths(many), { pairs: 199, proven: 150, unproven: [] });
});
