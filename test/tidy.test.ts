// The house rules over the whole tree, and proof that each rule can fail.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { globSync, readFileSync, statSync } from "node:fs";
import { test } from "node:test";
import { breachesOf, strayBreachesOf, type Source } from "./tidy.ts";

const ROOT = new URL("..", import.meta.url).pathname;

function sourceOf(file: string): Source {
  return { file, text: readFileSync(ROOT + file, "utf8") };
}

test("every source file keeps the house rules", () => {
  const files = globSync("{src,demo,test,bench}/**/*.ts", { cwd: ROOT });
  assert.ok(files.length > 20, `found only ${files.length} files`);
  assert.deepEqual(files.map(sourceOf).flatMap(breachesOf), []);
});

test("nothing of one machine is in the tree", () => {
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  const files = listed.split("\0").filter((file) => file !== "" && isFile(ROOT + file));
  assert.ok(files.includes("package-lock.json"));
  assert.deepEqual(files.map(sourceOf).flatMap(strayBreachesOf), []);
});

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

const HEAD = "// What it owns.\n";
const breaches = (file: string, body: string) => breachesOf({ file, text: HEAD + body });

test("imports run one way", () => {
  assert.match(
    breaches("src/model/a.ts", 'import { b } from "../store/store.ts";')[0] ?? "",
    /a.ts:2: model must not import store/,
  );
  assert.equal(breaches("src/kernel/a.ts", 'import type { b } from "../control/admit.ts";').length, 1);
  assert.equal(breaches("src/model/a.ts", 'const b = await import("../api/routes.ts");').length, 1);
  assert.equal(breaches("src/ipam/a.ts", 'import "../agent/loop.ts";').length, 1);
  assert.equal(breaches("src/model/a.ts", 'import {\n  b,\n  c,\n} from "../ipam/range.ts";').length, 1);
  assert.equal(breaches("src/api/a.ts", 'export { main } from "../main.ts";').length, 1);
  assert.equal(breaches("src/agent/a.ts", 'import { lab } from "../../test/lab.ts";').length, 1);
});

test("what may be imported is left alone", () => {
  assert.deepEqual(
    breaches("src/control/a.ts", 'import { b } from "../ipam/range.ts";\nimport { c } from "./c.ts";'),
    [],
  );
  assert.deepEqual(breaches("src/main.ts", 'import { b } from "./api/server.ts";'), []);
  assert.deepEqual(breaches("test/sim/a.ts", 'import { b } from "../../src/api/server.ts";'), []);
});

test("a type may cross where its code may not", () => {
  assert.deepEqual(breaches("src/ancestors/a.ts", 'import type { Write } from "../control/write.ts";'), []);
  assert.equal(breaches("src/ancestors/a.ts", 'import { admit } from "../control/admit.ts";').length, 1);
});

test("openings, columns, names and the clock", () => {
  assert.equal(breachesOf({ file: "src/model/a.ts", text: "export const a = 1;\n" }).length, 1);
  assert.deepEqual(breachesOf({ file: "bench/a.ts", text: "#!/usr/bin/env node\n// What it asks.\n" }), []);
  assert.equal(breaches("test/a.ts", `// ${"x".repeat(118)}`).length, 1);
  assert.deepEqual(breaches("test/a.ts", `// ${"x".repeat(117)}`), []);
  assert.equal(breaches("src/agent/utils.ts", "").length, 1);
  assert.equal(breaches("src/helpers/a.ts", "").length, 1);
  for (const file of ["src/agent/loop.test.ts", "src/api/lab.ts", "src/store/contract.ts", "src/control/anyWrite.ts"])
    assert.equal(breaches(file, "").length, 1, file);
  assert.deepEqual(breaches("test/unit/control/anyWrite.ts", ""), []);
  assert.equal(breaches("src/agent/two-words.ts", "").length, 1);
  assert.equal(breaches("src/agent/a.ts", "const now = new Date();").length, 1);
  assert.deepEqual(breaches("src/main.ts", "const now = new Date();"), []);
});

test("paths of a machine, download addresses and registries are found", () => {
  const strays = (text: string) => strayBreachesOf({ file: "docs/a.md", text }).length;
  assert.equal(strays(`see ${["", "work", "main"].join("/")}`), 1);
  assert.equal(strays(`"${"resolved"}": "https://example.org/a.tgz"`), 1);
  assert.equal(strays(`${"registry"}=https://example.org/`), 1);
  assert.equal(strays("network, registry, resolved, homework"), 0);
});
