// The table of kinds against itself: names that are derived in two places, and fields and kinds that records speak of.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { pluralOf } from "../../../src/model/kind.ts";
import {
  ALL_KINDS,
  KINDS,
  LISTS,
  WRITABLE_KINDS,
  inWords,
  putOf,
  recordOf,
  typeNameOf,
} from "../../../src/model/kinds.ts";
import { emptySnapshot, listIn, snapshotOf } from "../../../src/model/resource.ts";

const fieldsOf = (kind: (typeof ALL_KINDS)[number]) => Object.keys(KINDS[kind].spec.properties);

test("paths of the API are what lists of snapshots are called, and schemas one of them", () => {
  for (const kind of ALL_KINDS) assert.equal(pluralOf(kind), LISTS[kind].toLowerCase());
  assert.deepEqual(
    [typeNameOf("securitygroup"), typeNameOf("freed"), typeNameOf("vrf")],
    ["SecurityGroup", "Freed", "Vrf"],
  );
});

test("every record of the folder is in the table", async () => {
  const folder = new URL("../../../src/model/kinds/", import.meta.url);
  const isRecord = (value: unknown) => typeof value === "object" && value !== null && "seenBy" in value;
  const names: string[] = [];
  for (const file of readdirSync(folder)) {
    const exported = (await import(new URL(file, folder).href)) as object;
    names.push(...Object.entries(exported).flatMap(([name, value]) => (isRecord(value) ? [name] : [])));
  }
  assert.deepEqual(names.toSorted(), ALL_KINDS.toSorted());
});

test("records speak of fields that their specs have, and of kinds that there are", () => {
  for (const kind of ALL_KINDS) {
    const { seenBy, refersTo = {}, columns = [] } = recordOf(kind);
    const named = typeof seenBy === "string" ? [] : Object.values(seenBy);
    for (const field of [...named, ...Object.keys(refersTo), ...columns])
      assert.ok(fieldsOf(kind).includes(field), field);
    for (const to of Object.values(refersTo)) assert.ok(to !== undefined && to in KINDS, to);
  }
});

test("what networks refer to is put before them", () => {
  const order = (kind: (typeof WRITABLE_KINDS)[number]) => putOf(kind).order;
  for (const kind of ["vrf", "pool", "securitygroup"] as const) assert.ok(order(kind) < order("network"), kind);
  assert.equal(WRITABLE_KINDS[0], "network");
});

test("a snapshot of a version that did not know a kind has none of it", () => {
  const { holds: _, ...older } = emptySnapshot("c");
  assert.deepEqual(listIn(older as ReturnType<typeof emptySnapshot>, "hold"), []);
  assert.deepEqual(listIn(snapshotOf("c", 1, []), "hold"), []);
});

test("words in a row", () => {
  assert.deepEqual([inWords(["a"], "or"), inWords(["a", "b", "c"], "and")], ["a", "a, b and c"]);
});
