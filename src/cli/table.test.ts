// Tables line up whatever is in them, and text of others cannot break out of its cell.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { table, width } from "./table.ts";

const plainIo = { color: false };

test("columns line up, headers included, and no line ends in blanks", () => {
  assert.equal(
    table(
      plainIo,
      ["NAME", "SUBNETS"],
      [
        ["blue", "10.1.0.0/16"],
        ["a-long-one", ""],
      ],
    ),
    "NAME         SUBNETS\nblue         10.1.0.0/16\na-long-one   -\n",
  );
});

test("without headers only the rows are printed", () => {
  assert.equal(table(plainIo, undefined, [["a", "b"]]), "a   b\n");
  assert.equal(table(plainIo, undefined, []), "");
});

test("colour wraps the cell and does not move the next column", () => {
  const painted = table({ color: true }, ["A", "B"], [[{ text: "ok", tone: "good" }, "x"]]);
  assert.equal(painted, "A    B\n\u001b[32mok\u001b[0m   x\n");
  assert.equal(table(plainIo, ["A", "B"], [[{ text: "ok", tone: "good" }, "x"]]), "A    B\nok   x\n");
});

test("names of others cannot move the cursor or forge a row", () => {
  const line = table(plainIo, undefined, [["a\u001b[2Jb\nc", "\u202edcba"]]);
  assert.equal(line, "a\ufffd[2Jb\ufffdc   \ufffddcba\n");
});

test("wide characters count as two columns, combining ones as none", () => {
  assert.equal(width("網路"), 4);
  assert.equal(width("e\u0301"), 1);
});

test("the second column always starts at the same place", () => {
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[a-z0-9.-]{1,30}$/), { minLength: 1, maxLength: 8 }), (names) => {
      const lines = table(
        plainIo,
        ["N", "MARK"],
        names.map((name) => [name, "@"]),
      )
        .trimEnd()
        .split("\n")
        .slice(1);
      assert.equal(new Set(lines.map((line) => line.indexOf("@"))).size, 1);
    }),
  );
});
