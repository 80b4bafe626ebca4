// What `cleanText` and its siblings make of text that hosts and people wrote, before it reaches a terminal or a status.
import assert from "node:assert/strict";
import { test } from "node:test";
import { cidrOf } from "../../../src/model/address.ts";
import { parseJoin, parseReport } from "../../../src/model/parse.ts";
import { cleanText, PREFIXES_MAX, widest } from "../../../src/model/cleanText.ts";

const REPORT = {
  host: "h1",
  bootId: "b",
  version: "1",
  revision: 1,
  driftRepaired: 0,
  errors: [],
  networks: [],
  conditions: [],
  hostPrefixes: [],
  objects: 0,
};

test("what a host says obeys no terminal and has an end", () => {
  assert.equal(cleanText("a\u001b[2Jb\u009b31mc\r\n\u202ed"), "a\ufffd[2Jb\ufffd31mc\ufffd\ufffd\ufffdd");
  assert.equal(cleanText("Grüße – 網路"), "Grüße – 網路");
  const conditions = Array.from({ length: 5_000 }, (_, i) => `${i}\u001b]0;title\u0007${"x".repeat(10_000)}`);
  const paths = { peers: 1, proven: 0, named: [{ host: "h2", state: "failed", sinceMs: 1, obstacle: "\u001b[31m" }] };
  const report = parseReport("h1", { ...REPORT, version: "\u001bc", errors: conditions, conditions, paths });
  assert.doesNotMatch(JSON.stringify(report), /\\u001b|\\u0007/);
  assert.equal(report.conditions.length, 1_001);
  assert.equal(report.conditions.at(-1), "and 4000 more");
  const claim = { underlay: "10.0.0.1", underlayMtu: 1500, slices: ["\u001b[2J"], hostPrefixes: [] };
  assert.deepEqual(parseJoin("h1", claim).claim.slices, ["\ufffd[2J"]);
  assert(report.errors.every((text) => text.length <= 2_000));
});

test("of very many prefixes the widest are kept, and none is lost of few", () => {
  const cidrs = (texts: readonly string[]) => texts.map(cidrOf).filter((cidr) => cidr !== undefined);
  const few = ["10.0.0.0/8", "10.1.0.0/16", "fd00::/8"];
  assert.deepEqual(widest(cidrs([...few, "10.0.0.0/8"])), few);
  const many = Array.from({ length: 60_000 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`);
  const kept = widest(cidrs([...many, "192.168.0.0/16"]));
  assert.equal(kept.length, PREFIXES_MAX);
  assert.equal(kept[0], "192.168.0.0/16");
});
