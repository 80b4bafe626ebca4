// Tables line up whatever is in them, and text of others cannot break out of its cell.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { table, width } from "../../../../src/cli/output/table.ts";

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

test("on a terminal the widest columns are cut until a row fits; what is piped is whole", () => {
  const rows = [
    ["web", "10.7.0.2, fd00:7:1234:5678:9abc:def0:1234:5678", "a description of some length"],
    ["a-rather-long-name", "10.7.0.3", "網路網路網路網路網路網路"],
  ];
  const headers = ["NAME", "ADDRESSES", "DESCRIPTION"];
  const cut = (fit: number) => table({ color: false, fit }, headers, rows).trimEnd().split("\n");
  for (const fit of [40, 60, 80]) for (const each of cut(fit)) assert.ok(width(each) <= fit, `${fit}: ${each}`);
  assert.match(cut(60)[1] ?? "", /^web +10\.7\.0\.2, fd0\S*… {3}a descr.*…$/);
  assert.deepEqual(cut(200), table(plainIo, headers, rows).trimEnd().split("\n"));
  // Narrower than eight columns says nothing; then the terminal wraps.
  assert.ok(cut(10).every((each) => width(each) <= 8 * 3 + 6));
  const painted = table({ color: true, fit: 12 }, ["A", "B"], [[{ text: "x".repeat(30), tone: "bad" }, "y"]]);
  assert.match(painted, /\u001b\[31mx{7}…\u001b\[0m {3}y\n$/);
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
