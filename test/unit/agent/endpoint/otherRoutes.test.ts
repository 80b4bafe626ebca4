// What an endpoint's attach or detach changes for others on its host.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Endpoint, EndpointSpec } from "../../../../src/model/resource.ts";
import type { Entry } from "../../../../src/agent/journal/journal.ts";
import { changesOtherRoutes, isInUse } from "../../../../src/agent/endpoint/compile.ts";
import { DETACHING, endpoint, entry, WEB, WIDE } from "../samples.ts";

test("routes of others turn when one beside them comes or goes that is not alone there", () => {
  const of = (ifname: string, more: Partial<EndpointSpec> = {}) => endpoint("web", { ifname, ...more });
  const isTurned = (comes: Endpoint, ...beside: readonly Entry[]) => changesOtherRoutes(beside, comes);
  assert.equal(isTurned(of("eth0")), false);
  assert.equal(isTurned(of("eth1"), entry(of("eth0"))), false, "the first is the way out");
  assert.equal(isTurned(of("eth0"), entry(of("eth1"))), true, "the other is no longer the way out");
  assert.equal(isTurned(of("eth2"), entry(of("eth0")), entry(of("eth1"))), true);
  assert.equal(isTurned(of("eth0"), entry(of("eth1"), DETACHING)), false);
  assert.equal(isTurned(of("eth0"), entry(of("eth1", { netns: "/n" }))), false);
  assert.equal(isTurned(of("eth0"), entry(of("eth0"))), false, "its own entry");
});

test("a network is in use while something is attached to it", () => {
  assert.equal(isInUse([entry(WIDE), entry(WEB)], "near"), true);
  assert.equal(isInUse([entry(WEB)], "wide"), false);
  assert.equal(isInUse([entry(WEB, DETACHING)], "near"), false);
  assert.equal(isInUse([], "near"), false);
});
