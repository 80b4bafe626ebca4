// Files of resources: what is taken, and where a refusal points.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault, type Reason } from "../../../../src/model/fault.ts";
import { itemsOf } from "../../../../src/cli/input/resourceFile.ts";

async function refusal(text: string): Promise<{ readonly reason: Reason; readonly where: string | undefined }> {
  try {
    await itemsOf(text, "f.yaml");
  } catch (error) {
    if (error instanceof Fault) return { reason: error.reason, where: error.detail.where };
  }
  throw new Error("not refused");
}

test("documents and lists are resources in order, without what the server adds", async () => {
  const items = await itemsOf(
    `kind: vrf
name: red
---
- {kind: network, name: a, uid: u1, revision: 7, spec: {subnets: [{cidr: 10.1.0.0/16}]}}
- {kind: network, name: b}
`,
    "f.yaml",
  );
  assert.deepEqual(items, [
    { kind: "vrf", name: "red", spec: {} },
    { kind: "network", name: "a", spec: { subnets: [{ cidr: "10.1.0.0/16" }] } },
    { kind: "network", name: "b", spec: {} },
  ]);
});

test("JSON is taken as well", async () => {
  assert.deepEqual(await itemsOf('[{"kind":"network","name":"a","spec":{}}]', "f.json"), [
    { kind: "network", name: "a", spec: {} },
  ]);
});

test("broken YAML is refused with line and column", async () => {
  assert.deepEqual(await refusal("kind: network\nname: [a\nspec: {}\n"), {
    reason: "yaml-invalid",
    where: "f.yaml:3:1",
  });
});

test("an alias without an anchor in its document, and aliases that multiply without end, are refused", async () => {
  const text = "kind: network\nname: a\nspec: &spec {}\n---\nkind: network\nname: b\nspec: *spec\n";
  assert.deepEqual(await refusal(text), { reason: "yaml-invalid", where: "f.yaml:5:1" });
  const ten = (item: string) => `[${Array.from({ length: 10 }, () => item).join(", ")}]`;
  const levels = [...Array(6).keys()].map((n) => `l${n + 1}: &l${n + 1} ${ten(`*l${n}`)}\n`);
  assert.deepEqual(await refusal(`l0: &l0 ${ten("x")}\n${levels.join("")}`), {
    reason: "yaml-invalid",
    where: "f.yaml:1:1",
  });
});

test("what is not a resource is refused with its place", async () => {
  assert.deepEqual(await refusal("kind: host\nname: h1\n"), {
    reason: "request-invalid",
    where: "f.yaml:1 (document 1).kind",
  });
  assert.deepEqual(await refusal("- kind: network\n"), {
    reason: "request-invalid",
    where: "f.yaml:1 (document 1)[0].name",
  });
  assert.deepEqual(await refusal("kind: network\nname: a\nspce: {}\n"), {
    reason: "request-invalid",
    where: "f.yaml:1 (document 1).spce",
  });
  assert.deepEqual(await refusal(""), { reason: "request-invalid", where: "f.yaml" });
  assert.deepEqual(await refusal("just text"), { reason: "request-invalid", where: "f.yaml:1 (document 1)" });
});
