import assert from "node:assert/strict";
import { test } from "node:test";
import type { PathSeen } from "../model/paths.ts";
import type { HostCondition } from "../model/status.ts";
import { clusterPaths } from "./paths.ts";

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
