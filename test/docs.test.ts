// Pages that list what the code has, held to it in both directions.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { RULES } from "../src/model/check.ts";
import { CODES } from "../src/doors/cni/refusal.ts";
import { REASONS } from "../src/model/fault.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const page = (name: string) => readFileSync(`${ROOT}docs/${name}`, "utf8");

/** Rows of every table of a page whose first cell is code: that code, and the other cells. */
function rowsOf(text: string): [string, string[]][] {
  return [...text.matchAll(/^\| `([^`]+)` \| (.+) \|$/gm)].map(([, head = "", rest = ""]) => [head, rest.split(" | ")]);
}

test("docs/errors.md has every reason, with its status and exit code, and no other", () => {
  const described = rowsOf(page("errors.md")).map(([reason, [status, exit]]) => [reason, Number(status), Number(exit)]);
  const real = Object.entries(REASONS).map(([reason, { status, exit }]) => [reason, status, exit]);
  assert.deepEqual(described, real);
});

test("docs/errors.md says of every reason when it is given and what to do", () => {
  for (const [reason, cells] of rowsOf(page("errors.md"))) {
    assert.equal(cells.length, 4, reason);
    for (const cell of cells.slice(2)) assert.ok(cell.length > 10, `${reason}: "${cell}" says nothing`);
  }
});

test("docs/errors.md explains every exit code", () => {
  const explained = [...page("errors.md").matchAll(/^\| (\d) \| /gm)].map(([, code]) => Number(code));
  const given = new Set([0, ...Object.values(REASONS).map(({ exit }) => exit)]);
  assert.deepEqual(
    explained,
    [...given].toSorted((a, b) => a - b),
  );
});

test("docs/cni.md has every code of the CNI plugin's, and no other", () => {
  const described = rowsOf(page("cni.md"))
    .filter(([code]) => /^\d+$/.test(code))
    .map(([code, [name]]) => [name?.replaceAll("`", ""), Number(code)]);
  assert.deepEqual(described, Object.entries(CODES));
});

test("docs/dependencies.md has a reason for every dependency, and no other", () => {
  const manifest = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8")) as Record<string, Record<string, string>>;
  const names = ["dependencies", "optionalDependencies", "devDependencies"].flatMap((kind) =>
    Object.keys(manifest[kind] ?? {}),
  );
  const described = rowsOf(page("dependencies.md")).map(([name]) => name);
  assert.deepEqual(described.toSorted(), names.toSorted());
});

test("docs/operations.md explains every finding of a check, with its kind", () => {
  const kinds = new Set<string>(Object.values(RULES));
  const described = rowsOf(page("operations.md")).flatMap(([rule, [kind = ""]]) =>
    kinds.has(kind) ? [[rule, kind]] : [],
  );
  assert.deepEqual(described, Object.entries(RULES));
});
