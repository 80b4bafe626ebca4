// What a map looks like: every glyph at its place, few rows for much space, one line per block for many blocks.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SpaceMap } from "../../../../src/model/map.ts";
import { mapText } from "../../../../src/cli/address/map.ts";

const io = { color: false, columns: 80 };
type Intervals = SpaceMap["subnets"][number]["intervals"];

function intervals(...texts: readonly string[]): Intervals {
  return texts.map((text) => {
    const [first = "", last = "", state = ""] = text.split(" ");
    return { first, last, state };
  });
}

/** A block of 256 with this many used from the bottom. */
function block(n: number, used: number): Intervals {
  const at = `10.1.${n}`;
  return intervals(
    `${at}.0 ${at}.0 excluded`,
    `${at}.1 ${at}.1 gateway`,
    `${at}.2 ${at}.${used + 1} used`,
    `${at}.${used + 2} ${at}.254 free`,
    `${at}.255 ${at}.255 excluded`,
  );
}

function local(used: readonly number[]): SpaceMap {
  const blocks = used.map((count, n) => ({ host: `h${n + 1}`, cidr: `10.1.${n}.0/24`, used: count, total: 253 }));
  const rest = intervals(`10.1.${used.length}.0 10.1.255.255 uncarved`);
  const all = [...used.flatMap((count, n) => block(n, count)), ...rest];
  return { network: "near", ipam: "local", revision: 3, subnets: [{ cidr: "10.1.0.0/16", blocks, intervals: all }] };
}

test("a cell per address where there is room: what is used, kept for somebody, and free", () => {
  const subnet = {
    cidr: "10.7.0.0/25",
    blocks: [],
    intervals: intervals(
      "10.7.0.0 10.7.0.0 excluded",
      "10.7.0.1 10.7.0.1 gateway",
      "10.7.0.2 10.7.0.4 used",
      "10.7.0.5 10.7.0.6 held",
      "10.7.0.7 10.7.0.9 quarantined",
      "10.7.0.10 10.7.0.11 invented-later",
      "10.7.0.12 10.7.0.126 free",
      "10.7.0.127 10.7.0.127 excluded",
    ),
  };
  const text = mapText(io, { network: "blue", ipam: "global", revision: 3, subnets: [subnet] });
  assert.equal(
    text,
    `blue 10.7.0.0/25: 3 of 123 addresses used

  10.7.0.0     xG███HHQQQ??${"·".repeat(52)}
  10.7.0.64    ${"·".repeat(63)}x

  █ used   H held   Q quarantined   G gateway   · free   x not to be given out   ? other   (a cell is one address)
`,
  );
});

test("more than fits: cells of many addresses, one used among them shows, and rows alike are folded", () => {
  const subnet = {
    cidr: "fd00:7::/64",
    blocks: [],
    intervals: intervals(
      "fd00:7:: fd00:7:: excluded",
      "fd00:7::1 fd00:7::1 used",
      "fd00:7::2 fd00:7::ffff:ffff:ffff:ffff free",
    ),
  };
  const text = mapText(io, { network: "blue", ipam: "global", revision: 3, subnets: [subnet] });
  const free = "·".repeat(32);
  assert.equal(
    text,
    `blue fd00:7::/64: 1 of 2^64 addresses used

  fd00:7::                  ░${free.slice(1)}
  fd00:7:0:0:1000::         ${free}
  *
  fd00:7:0:0:f000::         ${free}

  ░▒▓█ used, a little to all   · free   (a cell is 2^55 addresses)
`,
  );
});

test("a local network's blocks, whose they are, and how full", () => {
  const text = mapText(io, local([2, 200]));
  assert.match(
    text,
    /^near 10\.1\.0\.0\/16: 2 blocks, 202 of their 506 addresses used\n\nh1 10\.1\.0\.0\/24: 2 of 253 used\n/,
  );
  assert(text.includes(`  10.1.0.0     xG██${"·".repeat(60)}\n`));
  assert(text.includes(`h2 10.1.1.0/24: 200 of 253 used\n  10.1.1.0     xG${"█".repeat(62)}\n`));
  assert(text.includes(`  10.1.1.192   ${"█".repeat(10)}${"·".repeat(53)}x\n`));
  assert.equal(text.includes("in no block"), false, "only what is drawn is in the legend");
  assert.match(
    mapText(io, { ...local([]), subnets: [{ cidr: "10.1.0.0/16", blocks: [], intervals: [] }] }),
    /no host has a block/,
  );
});

test("many blocks: a line each, and rows begin at round addresses whatever the width", () => {
  const many = local(Array.from({ length: 20 }, (_, n) => n + 2));
  const lines = mapText({ color: false, columns: 60 }, many).split("\n");
  assert.equal(lines[2], `  h1    10.1.0.0/24    ░${"·".repeat(31)}   2 of 253 used`);
  // In colour it is the same picture.
  const coloured = mapText({ color: true, columns: 60 }, many).split("\n")[2] ?? "";
  assert.notEqual(coloured, lines[2]);
  assert.equal(coloured.replaceAll(/\u001b\[\d+m/g, ""), lines[2]);
  assert.equal(lines[21], `  h20   10.1.19.0/24   ██▓${"·".repeat(29)}   21 of 253 used`);
  for (const columns of [20, 40, 80, 100, 200]) {
    const rows = mapText({ color: false, columns }, local([9]))
      .split("\n")
      .filter((line) => /^ {2}10\./.test(line));
    const cells = (rows[0]?.length ?? 0) - 15;
    for (const row of rows) assert.equal(Number(/^ {2}10\.1\.0\.(\d+) /.exec(row)?.[1]) % cells, 0, row);
    assert.equal(new Set(rows.map((row) => row.length)).size, 1, `${columns} columns`);
    assert(columns < 40 || cells + 15 <= columns, `${columns} columns`);
  }
});
