// The linter's configuration can fail: each rule that carries a promise of ours finds the defect planted for it, and
// the same code in the one folder that may do so is left alone.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test, type TestContext } from "node:test";

const ROOT = new URL("..", import.meta.url).pathname;
const PROMISE = "async function work(): Promise<void> {}\n";

/** Lints planted files with the project's own configuration; `file rule` per finding, without repeats. */
function lint(t: TestContext, files: Readonly<Record<string, string>>): string[] {
  const folder = mkdtempSync(join(tmpdir(), "weft-lint-"));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const name of ["tsconfig.json", ".oxlintrc.json"]) copyFileSync(ROOT + name, join(folder, name));
  symlinkSync(`${ROOT}node_modules`, join(folder, "node_modules"));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  const argv = ["--type-aware", "--deny-warnings", "--format=unix", "src"];
  const { stdout, status } = spawnSync(`${ROOT}node_modules/.bin/oxlint`, argv, { cwd: folder, encoding: "utf8" });
  const findings = [...stdout.matchAll(/^(\S+?):\d+:\d+: .*\[Error\/(?:\w+)\(([\w-]+)\)\]$/gm)];
  assert.equal(status === 0, findings.length === 0, stdout);
  return [...new Set(findings.map(([, file, rule]) => `${file} ${rule}`))].toSorted();
}

const DEFECTS: Readonly<Record<string, string>> = {
  "no-floating-promises": `${PROMISE}export function f(): void { work(); }`,
  "no-misused-promises": `${PROMISE}export function f(): void { [1].forEach(async () => { await work(); }); }`,
  "await-thenable": "export async function f(n: number): Promise<number> { const m = await n; return m; }",
  "only-throw-error": 'export function f(): void { throw "text"; }',
  "switch-exhaustiveness-check":
    'export function f(u: "a" | "b"): number { switch (u) { case "a": return 1; } return 2; }',
  "no-explicit-any": "export function f(x: any): unknown { return x; }",
  "no-non-null-assertion": "export function f(x: string | undefined): string { return x!; }",
  "no-process-env": 'export const f = process.env["HOME"];',
  "no-restricted-globals": "setTimeout(() => {}, 1);",
  "no-restricted-properties": "export const f = Math.random();",
  "no-restricted-imports": 'import { execFile } from "node:child_process";\nexport const f = execFile.name;',
  "max-lines-per-function": `export function f(): number {\n${"  // .\n".repeat(70)}  return 1;\n}`,
  "max-lines": "// .\n".repeat(401),
  "max-params":
    "export function f(a: number, b: number, c: number, d: number, e: number): number { return a + b + c + d + e; }",
  "no-barrel-file": 'export * from "./other.ts";',
  "no-warning-comments": `// ${"TO"}DO: later.`,
};
const name = (rule: string) => `src/model/${rule}.ts`;

test("each planted defect is found by its rule", (t) => {
  const files = Object.fromEntries(Object.entries(DEFECTS).map(([rule, text]) => [name(rule), `${text}\n`]));
  const found = lint(t, { ...files, "src/model/other.ts": "export const other = 1;\n" });
  // A defect may be found by a second rule as well; what counts is that its own finds it.
  for (const rule of Object.keys(DEFECTS)) {
    assert.ok(found.includes(`${name(rule)} ${rule}`), `${rule} is not found; found: ${found.join(", ")}`);
  }
});

test("circles are found, also those that only types close", (t) => {
  const found = lint(t, {
    "src/model/a.ts": 'import { b } from "./b.ts";\nexport const a = (): number => b();\n',
    "src/model/b.ts": 'import { a } from "./a.ts";\nexport const b = (): number => a();\n',
    "src/model/c.ts": 'import type { D } from "./d.ts";\nexport type C = { readonly d: D | undefined };\n',
    "src/model/d.ts": 'import type { C } from "./c.ts";\nexport type D = { readonly c: C | undefined };\n',
  });
  assert.deepEqual(
    found,
    ["a", "b", "c", "d"].map((file) => `src/model/${file}.ts no-cycle`),
  );
});

test("what one folder may do is left alone there", (t) => {
  const found = lint(t, {
    "src/main.ts": 'export const home = [process.env["HOME"], Date.now(), setTimeout(() => {}, 1)];\n',
    "src/kernel/libc.ts": 'import koffi from "koffi";\nexport const libc = koffi.load("libc.so.6");\n',
    "test/unit/model/a.test.ts":
      'import { test } from "node:test";\ntest("a", async () => {});\nexport const at = Date.now();\n',
  });
  assert.deepEqual(found, []);
});
