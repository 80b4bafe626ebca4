// Conditions of the report that the agent finds by itself.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Entry } from "../../../../src/agent/journal/journal.ts";
import { endedWorkloads } from "../../../../src/agent/server/report.ts";
import { DETACHING, endpoint, entry, WEB } from "../samples.ts";

test("workloads that ended without a detach are told, with what is to be freed", () => {
  const two = endpoint("db", { addresses: ["10.2.1.3", "fd02::3"] });
  const isHere = ({ endpoint: { name } }: Entry) => name === "web.eth0";
  assert.deepEqual(endedWorkloads([entry(WEB), entry(two), entry(endpoint("x"), DETACHING)], isHere), [
    "endpoint db.eth0: /run/netns/db is gone; detach it to free 10.2.1.3, fd02::3",
  ]);
});
