// Every output format shows the same rows: what programs parse and what people read never disagree.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "yaml";
import type { Io } from "../../../../src/cli/io.ts";
import {
  byName,
  fields,
  printList,
  printOne,
  type Listing,
  type OutputOptions,
} from "../../../../src/cli/output/format.ts";

type Row = { readonly name: string; readonly size: number };
const ROWS: readonly Row[] = [
  { name: "a", size: 1 },
  { name: "b", size: 22 },
];
const LISTING: Listing<Row> = {
  columns: [
    { header: "NAME", of: (row) => row.name },
    { header: "SIZE", of: (row) => String(row.size), wide: true },
  ],
  name: (row) => `row/${row.name}`,
  empty: "No rows.",
};

function capture(): { readonly io: Io; readonly out: () => string; readonly err: () => string } {
  let out = "";
  let err = "";
  const io: Io = {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    color: false,
    columns: 80,
    live: false,
    stdin: async () => "",
    ask: undefined,
    env: {},
    clock: { nowMs: () => 0, monotonicMs: () => 0, sleep: async () => undefined },
    signal: new AbortController().signal,
  };
  return { io, out: () => out, err: () => err };
}

async function listed(
  options: OutputOptions,
  rows: readonly Row[] = ROWS,
): Promise<{ readonly out: string; readonly err: string }> {
  const { io, out, err } = capture();
  await printList(io, options, LISTING, rows);
  return { out: out(), err: err() };
}

test("the table leaves wide columns to -o wide", async () => {
  assert.equal((await listed({})).out, "NAME\na\nb\n");
  assert.equal((await listed({ output: "wide" })).out, "NAME   SIZE\na      1\nb      22\n");
  assert.equal((await listed({ output: "wide", headers: false })).out, "a   1\nb   22\n");
});

test("json and yaml show the rows whole and in the same order", async () => {
  assert.deepEqual(JSON.parse((await listed({ output: "json" })).out), ROWS);
  assert.deepEqual(parse((await listed({ output: "yaml" })).out), ROWS);
});

test("name prints what other verbs and xargs take", async () => {
  assert.equal((await listed({ output: "name" })).out, "row/a\nrow/b\n");
});

test("nothing to list: data formats stay valid, prose goes to stderr", async () => {
  assert.deepEqual(await listed({}, []), { out: "", err: "No rows.\n" });
  assert.deepEqual(await listed({ output: "json" }, []), { out: "[]\n", err: "" });
  assert.deepEqual(await listed({ output: "yaml" }, []), { out: "[]\n", err: "" });
  assert.deepEqual(await listed({ output: "name" }, []), { out: "", err: "" });
});

test("one object is printed for people, or whole, or by its name", async () => {
  const print = async (options: OutputOptions) => {
    const { io, out } = capture();
    await printOne(io, options, { name: "row/a", value: ROWS[0] }, () => "human\n");
    return out();
  };
  assert.equal(await print({}), "human\n");
  assert.equal(await print({ output: "name" }), "row/a\n");
  assert.deepEqual(JSON.parse(await print({ output: "json" })), ROWS[0]);
});

test("fields leaves out what is not set", () => {
  assert.equal(
    fields({ color: false }, [
      ["Name", "a"],
      ["Note", undefined],
      ["Long name", "b"],
    ]),
    "Name:        a\nLong name:   b\n",
  );
});

test("names sort as people count", () => {
  assert.deepEqual(
    byName([{ name: "web10" }, { name: "web2" }, { name: "db1" }]).map((row) => row.name),
    ["db1", "web2", "web10"],
  );
});
