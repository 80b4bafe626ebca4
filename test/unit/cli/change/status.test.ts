// The one screen: its first line says whether all is well, and whatever is not is named below.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostCondition, HostStatus } from "../../../../src/model/status.ts";
import { statusText } from "../../../../src/cli/change/status.ts";
import { pendingAt } from "../../../../src/cli/change/wait.ts";

const plain = { color: false };

function host(name: string, revision: number, more: Partial<HostStatus> = {}): HostCondition {
  const status: HostStatus = {
    host: name,
    bootId: "b",
    version: "1",
    revision,
    driftRepaired: 0,
    errors: [],
    networks: [],
    conditions: [],
    hostPrefixes: [],
    objects: 9,
    reportedAtMs: 0,
    ...more,
  };
  return { host: name, underlay: "192.0.2.1", state: "ready", status };
}

test("all hosts have the revision", () => {
  const text = statusText(plain, {
    cluster: "c",
    revision: 7,
    hosts: [host("h1", 7, { lagMs: 12.4 }), host("h2", 8)],
    conditions: [],
  });
  assert.equal(
    text,
    `converged at revision 7 on 2 of 2 hosts

HOST   STATE   UNDERLAY    REVISION   LAG     OBJECTS   DRIFT-REPAIRED   ERRORS
h1     ready   192.0.2.1   7          12 ms   9         0                0
h2     ready   192.0.2.1   8          -       9         0                0
`,
  );
});

test("who lags, is away or was never there does not count; errors and conditions are told in full", () => {
  const away: HostCondition = { ...host("h2", 7), state: "lost" };
  const expected: HostCondition = { host: "h3", underlay: "192.0.2.3", state: "expected" };
  const text = statusText(plain, {
    cluster: "c",
    revision: 7,
    hosts: [host("h1", 6, { errors: ["ip link add x: EBUSY"], conditions: ["block full"] }), away, expected],
    conditions: [{ reason: "exhausted", object: "network/blue", message: 'no block left for host "h3"' }],
  });
  assert.match(text, /^converged at revision 7 on 0 of 3 hosts\n/);
  assert.match(text, /^h3 +expected +192\.0\.2\.3 +- +- +- +- +0$/m);
  assert.ok(
    text.endsWith('\nh1: error ip link add x: EBUSY\nh1: block full\nexhausted: no block left for host "h3"\n'),
    text,
  );
});

test("an empty cluster has nothing to converge", () => {
  assert.equal(
    statusText(plain, { cluster: "c", revision: 0, hosts: [], conditions: [] }),
    "converged at revision 0 on 0 of 0 hosts\n",
  );
});

test("a wait goes on while no host is ready; one that is away beside a ready one is not waited for", () => {
  const away: HostCondition = { ...host("h2", 7), state: "suspect" };
  const gone: HostCondition = { ...host("h3", 7), state: "reclaimed" };
  const none = { cluster: "c", revision: 7, hosts: [away, gone], conditions: [] };
  assert.deepEqual(pendingAt(none, 7)?.missing, ["h2 is suspect"]);
  assert.equal(pendingAt({ ...none, hosts: [away, host("h1", 7)] }, 7), undefined);
  assert.equal(pendingAt({ ...none, hosts: [gone] }, 7), undefined);
  assert.equal(pendingAt({ ...none, hosts: [] }, 7), undefined);
});
