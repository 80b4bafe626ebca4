// Checks the house rules over the whole tree, and that each rule can fail.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Source } from "./shapes.ts";
import { breachesOf, strayBreachesOf } from "./tidy.ts";
import { bannedBy } from "./words.ts";

const ROOT = new URL("..", import.meta.url).pathname;

function sourceOf(file: string): Source {
  return { file, text: readFileSync(ROOT + file, "utf8") };
}

const FOLDERS = ["src", "demo", "test", "bench"];

test("every source file keeps the house rules", () => {
  const files = globSync(`{${FOLDERS.join(",")}}/**/*.ts`, { cwd: ROOT });
  assert.ok(files.length > 20, `found only ${files.length} files`);
  assert.deepEqual(files.map(sourceOf).flatMap(breachesOf), []);
});

test("what the linter lets pass for now needs it", (t) => {
  const config = JSON.parse(readFileSync(`${ROOT}.oxlintrc.json`, "utf8").replaceAll(/^ *\/\/.*$/gm, "")) as Lint;
  const folder = mkdtempSync(join(tmpdir(), "weft-lint-"));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const rule of ["eslint/max-params", "import/no-cycle"]) {
    const alone = { plugins: ["import"], categories: { correctness: "off" }, rules: { [rule]: config.rules[rule] } };
    writeFileSync(join(folder, "one.json"), JSON.stringify(alone));
    const argv = ["-c", join(folder, "one.json"), "--format=unix", ...FOLDERS];
    const { stdout } = spawnSync(`${ROOT}node_modules/.bin/oxlint`, argv, { cwd: ROOT, encoding: "utf8" });
    const found = new Set([...stdout.matchAll(/^(\S+?):\d+:\d+: .*\[Error/gm)].map(([, file]) => file));
    const allowed = config.overrides.filter(({ rules }) => rules[rule] === "off").flatMap(({ files }) => files);
    assert.deepEqual(
      allowed.filter((file) => !found.has(file)),
      [],
      `take it off the list of ${rule} at the end of .oxlintrc.json`,
    );
  }
});

type Override = { readonly files: readonly string[]; readonly rules: Readonly<Record<string, unknown>> };
type Lint = {
  readonly rules: Readonly<Record<string, unknown>>;
  readonly overrides: readonly Override[];
};

test("words in code type in the last column of the glossary are banned", () => {
  const page =
    "| word | meaning | not |\n|---|---|---|\n| `a` | `b` | zone, `Desk`, `Wish` |\n| c | | |\n| d | `e` | |\n";
  assert.deepEqual([...bannedBy(page)], ["desk", "wish"]);
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
  assert.match(
    breaches("src/agent/endpoint/a.ts", 'import type { b } from "../server/b.ts";')[0] ?? "",
    /a.ts:2: agent\/endpoint must not import agent\/server/,
  );
  assert.equal(breaches("src/agent/journal/a.ts", 'import { b } from "../agent.ts";').length, 1);
});

test("what may be imported is left alone", () => {
  assert.deepEqual(
    breaches("src/control/a.ts", 'import { b } from "../ipam/range.ts";\nimport { c } from "./c.ts";'),
    [],
  );
  assert.deepEqual(breaches("src/main.ts", 'import { b } from "./api/server.ts";'), []);
  const ofAgent =
    'import { b } from "../journal/b.ts";\nimport { c } from "./c.ts";\nimport { d } from "../../model/d.ts";';
  assert.deepEqual(breaches("src/agent/endpoint/a.ts", ofAgent), []);
  assert.deepEqual(breaches("src/agent/agent.ts", 'import { b } from "./server/b.ts";'), []);
  assert.deepEqual(breaches("test/sim/a.test.ts", 'import { b } from "../../src/api/server.ts";'), []);
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
  assert.equal(breaches("test/netns/cluster.ts", "").length, 1);
  assert.deepEqual(breaches("test/netns/lab/cluster.ts", ""), []);
  for (const file of [
    "src/agent/two-words.ts",
    "bench/two-words.ts",
    "test/sim/lab/Lab.ts",
    "test/netns/a.root.test.ts",
  ])
    assert.equal(breaches(file, "").length, 1, file);
  assert.equal(breaches("src/agent/a.ts", "const now = new Date();").length, 1);
  assert.deepEqual(breaches("src/main.ts", "const now = new Date();"), []);
});

test("a class has at most 200 lines, and exported names no banned word", () => {
  const ofLines = (lines: number) => `export class A {\n${"  // .\n".repeat(lines - 2)}}`;
  assert.deepEqual(breaches("src/model/a.ts", ofLines(200)), []);
  assert.match(
    breaches("test/a.ts", `const b = ${ofLines(201).slice(7)};`)[0] ?? "",
    /a.ts:2: A: a class of 201 lines/,
  );
  for (const name of ["placeOf", "isKept", "Journey", "readAHEAD", "ON_GROUND"])
    assert.equal(breaches("src/model/a.ts", `export const ${name} = 1;`).length, 1, name);
  assert.deepEqual(breaches("src/model/a.ts", "export const replaced = 1;\nconst placeOf = replaced;"), []);
});

test("paths of a machine, download addresses and registries are found", () => {
  const strays = (text: string) => strayBreachesOf({ file: "docs/a.md", text }).length;
  assert.equal(strays(`see ${["", "work", "main"].join("/")}`), 1);
  assert.equal(strays(`"${"resolved"}": "https://example.org/a.tgz"`), 1);
  assert.equal(strays(`${"registry"}=https://example.org/`), 1);
  assert.equal(strays("network, registry, resolved, homework"), 0);
});
