// What the planting of bugs promises: each kind is planted, lines stay where they are, and a verdict fits the bug.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { changeOf, lineAt, planted } from "./edit.ts";
import { readEquivalents } from "./equivalent.ts";
import { mutantsOf, parses } from "./find.ts";
import { Reaches } from "./reach.ts";
import { sorted } from "./report.ts";
import { Trials } from "./trial.ts";

const HERE = new URL(".", import.meta.url).pathname;
/** Every bug that is planted in a text, as `kind: after`. */
function bugsIn(source: string): string[] {
  const found = mutantsOf("src/a.ts", source).filter((mutant) => parses(mutant, source));
  return found.map((mutant) => `${mutant.kind}: ${changeOf(source, mutant).after}`);
}

test("each kind of bug is planted", () => {
  const has = (source: string, ...bugs: string[]) => {
    const found = bugsIn(source);
    for (const bug of bugs) assert.ok(found.includes(bug), `${bug} is not among\n${found.join("\n")}`);
  };
  has("if (a === b) f();", "condition: if (!(a === b)) f();", "call: if (a === b) void 0;");
  has("g((x) => x.a === b);", "comparison: g((x) => x.a !== b);");
  has("g(a && b);", "clause: g(a);", "clause: g(b);", "clause: g(((a) || (b)));");
  has("g(a < n - 1);", "bound: g(a <= n - 1);", "bound: g(a < n);", "arithmetic: g(a < n + 1);");
  has("await f();", "await: void f();", "call: void 0;");
  has("async function f() { return await g(); }", "await: async function f() { return g(); }");
  has("function f() { if (a) return; g(); }", "guard: function f() { void 0; g(); }");
  has("try { f(); } catch { undo(); throw e; }", "rollback: try { f(); } catch { void 0; throw e; }");
  has("try { f(); } finally { close(); }", "rollback: try { f(); } finally { void 0; }");
  has("this.a = b;", "assignment: void 0;");
  has("f(a, b);", "arguments: f(b, a);");
  has("f(subnet4);", "family: f(subnet6);");
  has("f(`ip saddr ${a}`);", "family: f(`ip6 saddr ${a}`);");
  has('f("ip6");', 'family: f("ip");');
  has("f(true);", "boolean: f(false);");
  has('f({ access: "admin" }); g({ access: "open" });', 'word: f({ access: "open" }); g({ access: "open" });');
  has("f(a.filter(b).some(c));", "method: f(a.some(c));", "method: f(a.filter(b).every(c));");
  has("f({ a, ...b });", "left: f({ a, });", "left: f({ ...b });");
});

test("words are left alone", () => {
  // Types reject what is left.
  const [swapped, ...rest] = bugsIn('throw new Fault("gone", { what: a ? "b" : "c", fix: "d" });');
  assert.match(swapped ?? "", /^arguments: /);
  assert.deepEqual(rest, []);
  assert.deepEqual(bugsIn('log("a", b);\nthis.#log("a", b);'), []);
  assert.deepEqual(bugsIn("type A = { readonly a: 1 | 2 };"), []);
});

test("lines stay where they are", () => {
  const source = "if (a) {\n  f(1);\n  return;\n}\ng(b);\n";
  const found = mutantsOf("src/a.ts", source);
  assert.ok(found.length > 3);
  for (const mutant of found) {
    const text = planted(source, [mutant]);
    if (mutant.end < source.indexOf("g(b)")) assert.equal(lineAt(text, text.indexOf("g(b)")), 5, text);
  }
});

test("every equivalent bug has its reason, and still fits a line of the source", () => {
  for (const { file, before, after, why } of readEquivalents(`${HERE}equivalent.txt`)) {
    assert.ok(why.length > 20, `${file}: ${before}: why?`);
    const source = readFileSync(`${HERE}../../${file}`, "utf8");
    const bugs = mutantsOf(file, source).map((mutant) => changeOf(source, mutant));
    assert.ok(
      bugs.some((bug) => bug.before === before && bug.after === after),
      `${file}: "${before}" with "${after}" is out of date`,
    );
  }
});

/** A project of one file and its test. */
function project(t: TestContext): string {
  const root = `${mkdtempSync(join(tmpdir(), "weft-mutants-"))}/`;
  t.after(() => rmSync(root, { recursive: true }));
  for (const folder of ["src", "test/unit"]) mkdirSync(root + folder, { recursive: true });
  writeFileSync(`${root}package.json`, '{ "type": "module" }');
  writeFileSync(
    `${root}src/a.ts`,
    "export function f(n: number): number {\n" +
      "  let i = 0;\n  while (i < n) i++;\n  if (n > 90) i = 0;\n  return i;\n}\n",
  );
  writeFileSync(
    `${root}test/unit/a.test.ts`,
    'import assert from "node:assert";\nimport { test } from "node:test";\nimport { f } from "../../src/a.ts";\n' +
      'test("counts", () => assert.equal(f(3), 3));\n',
  );
  return root;
}

test("a bug is caught by a failure or by a test that does not end; one that nothing shows survives", async (t) => {
  const root = project(t);
  const source = readFileSync(`${root}src/a.ts`, "utf8");
  const reaches = new Reaches(root, `${root}reach.json`);
  assert.deepEqual(reaches.stale(["test/unit/a.test.ts"], ["src/a.ts"]), ["test/unit/a.test.ts"]);
  await reaches.measure("test/unit/a.test.ts", false);
  assert.deepEqual(reaches.failing, []);
  assert.deepEqual(new Reaches(root, `${root}reach.json`).stale(["test/unit/a.test.ts"], ["src/a.ts"]), []);

  const trials = new Trials(root, `${root}cache`, () => source, 2000);
  const fateOf = async (after: string) => {
    const mutant = mutantsOf("src/a.ts", source).find((one) => changeOf(source, one).after === after);
    assert.ok(mutant !== undefined, after);
    const verdict = await trials.try(mutant, reaches.at("src/a.ts", mutant.start, ["test/unit/a.test.ts"]));
    return sorted(verdict, source, []);
  };
  assert.equal((await fateOf("while (i <= n) i++;")).caughtBy, "test/unit/a.test.ts: counts");
  assert.match((await fateOf("while (i < n) void 0;")).caughtBy ?? "", /not finished after \d+ s/);
  const survivor = await fateOf("if (n >= 90) i = 0;");
  assert.deepEqual([survivor.fate, survivor.at, survivor.tried], ["survived", "src/a.ts:4", 1]);
  const unreached = await fateOf("if (n > 90) void 0;");
  assert.deepEqual([unreached.fate, unreached.tried], ["survived", 0]);
  assert.equal(readFileSync(`${root}src/a.ts`, "utf8"), source);
});
