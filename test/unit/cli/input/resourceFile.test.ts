// Files of resources: what is taken, and where a refusal points.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault, type Reason } from "../../../../src/model/fault.ts";
import { inFile } from "../../../../src/cli/input/places.ts";
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

test("a refusal of the server names the line, the resource and the field in the file", async () => {
  const text = `kind: vrf
name: red
---
- {kind: network, name: a}
- kind: network
  name: zz
  spec:
    subnets:
      - {cidr: 10.1.0.0/16}
    offload: maybe
`;
  const items = await itemsOf(text, "z.yaml");
  const refusedAt = async (where: string, what = `${where}: wrong`) => {
    const fault = new Fault("request-invalid", { what, where, fix: "correct it" });
    const told = await inFile(items, Promise.reject(fault)).catch((error: unknown) => error);
    assert.ok(told instanceof Fault);
    return [told.detail.where, told.detail.what];
  };
  assert.deepEqual(await refusedAt("resources[2].spec.offload"), ["z.yaml:10, network zz: offload", "offload: wrong"]);
  assert.deepEqual((await refusedAt("resources[2].spec.subnets[0].cidr"))[0], "z.yaml:9, network zz: subnets[0].cidr");
  assert.deepEqual((await refusedAt("resources[2].spec.subnets[4].cidr"))[0], "z.yaml:9, network zz: subnets[4].cidr");
  assert.deepEqual((await refusedAt("resources[1].spec"))[0], "z.yaml:4, network a");
  assert.deepEqual((await refusedAt("resources[0].name"))[0], "z.yaml:2, vrf red: name");
  assert.deepEqual(await refusedAt("network/a", "taken"), ["network/a", "taken"]);
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
