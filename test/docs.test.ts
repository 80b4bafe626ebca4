// Compares pages with the code, in both directions.
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { after, test } from "node:test";
import { CONDITION_REASONS } from "../src/control/report/conditions.ts";
import { RULES } from "../src/model/check.ts";
import { CODES } from "../src/doors/cni/refusal.ts";
import { type Driver, DRIVERS, DRIVER_NAMES } from "../src/model/driver.ts";
import { REASONS } from "../src/model/fault.ts";
import { FEATURES } from "../src/model/features.ts";
import { MAY_IMPORT } from "./tidy.ts";
import { closeAll, open } from "./unit/api/lab.ts";

after(closeAll);

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

test("docs/operations.md has every reason of a condition, and no other", () => {
  const table = /^## Conditions$([\s\S]*?)^## /m.exec(page("operations.md"))?.[1] ?? "";
  assert.deepEqual(
    rowsOf(table).map(([reason]) => reason),
    CONDITION_REASONS,
  );
});

test("docs/operations.md says what every driver needs of a host", () => {
  const text = page("operations.md");
  const needs = rowsOf(text).filter(([name]) => DRIVER_NAMES.includes(name as Driver));
  assert.deepEqual(
    needs.map(([name]) => name),
    DRIVER_NAMES,
  );
  const needsOf = (name: string) => Object.values(DRIVERS[name as Driver].needs).flat();
  const all = needsOf("bridge").filter((feature) => DRIVER_NAMES.every((name) => needsOf(name).includes(feature)));
  const ofAll = text.split("\n").find((line) => line.startsWith("| all drivers |"));
  for (const [name, cells] of needs)
    for (const feature of needsOf(name)) {
      const from = FEATURES[feature].from.replace(/^(?:kernel module|package|a kernel with option) ([^;]+).*/, "`$1`");
      assert.ok((all.includes(feature) ? ofAll : cells[0])?.includes(from), `${name}: ${from}`);
    }
});

test("docs/api.md has every request of the API", async () => {
  const { ask } = await open();
  const { paths } = (await ask("GET", "/openapi.json")).body as { paths: Record<string, Record<string, unknown>> };
  const text = page("api.md").replaceAll(/\s+/g, " ");
  // Kinds have lists, single resources and deletes alike: described once, with the kinds in brackets.
  const isOfKind = (method: string, path: string) => {
    const [, kind] = /^\/v1\/(\w+)(?:\/\{name\})?$/.exec(path) ?? [];
    return kind !== undefined && new RegExp(`\`${method} /v1/networks[^|(]*\\([^)]*\`${kind}\``).test(text);
  };
  const ofAnyKind = (path: string) =>
    path.replace(/^\/v1\/\w+\/\{name\}\/(chown|chmod|lock|unlock)$/, "/v1/{kind}/{name}/$1");
  const missing = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods)
      .map((method) => method.toUpperCase())
      .filter((method) => !text.includes(`\`${method} ${ofAnyKind(path)}`) && !isOfKind(method, path))
      .map((method) => `${method} ${path}`),
  );
  assert.deepEqual(missing, []);
});

test("docs/architecture.md has every folder, with what it may import", () => {
  const described = rowsOf(page("architecture.md")).flatMap(([cell, cells]) => {
    const folder = /^(?:src\/)?(\w+)$/.exec(cell)?.[1] ?? "";
    return folder in MAY_IMPORT ? [[folder, cells.at(-1)]] : [];
  });
  const allowed = Object.entries(MAY_IMPORT).map(([folder, names]) => {
    const types = names.flatMap((name) => (name.startsWith("types:") ? [name.slice("types:".length)] : []));
    const code = names.filter((name) => !name.startsWith("types:"));
    const all = [...code, ...(types.length > 0 ? [`types of ${types.join(" and ")}`] : [])];
    return [folder, all.length > 0 ? all.join(", ") : "nothing"];
  });
  assert.deepEqual(described, allowed);
});

/** Looks like a path and is none: the mode of a Nomad group. */
const ELSEWHERE = /^cni\/blue$/;

test("every path of the tree that a page names exists", () => {
  const pages = ["README.md", ...globSync("docs/**/*.md", { cwd: ROOT })];
  const missing = pages.flatMap((name) => {
    const named = readFileSync(ROOT + name, "utf8").matchAll(
      /(?<![\w./-])((?:src|test|docs|demo|bench|script|examples|cni)\/[\w./*-]*[\w*])/g,
    );
    return [...named].flatMap(([, path = ""]) =>
      ELSEWHERE.test(path) || globSync(path, { cwd: ROOT }).length > 0 ? [] : [`${name}: ${path}`],
    );
  });
  assert.deepEqual(missing, []);
});

test("every link of a page leads to a file and to a heading of it", () => {
  const pages = ["README.md", "CHANGELOG.md", ...globSync("docs/**/*.md", { cwd: ROOT })];
  const broken = pages.flatMap((name) => {
    const links = readFileSync(ROOT + name, "utf8").matchAll(/\]\((?!\w+:)([^)#]*)(?:#([^)]*))?\)/g);
    return [...links].flatMap(([, path = "", anchor]) => {
      const target = path === "" ? name : posix.join(posix.dirname(name), path);
      if (!existsSync(ROOT + target)) return [`${name}: ${path}`];
      return anchor === undefined || anchorsOf(target).includes(anchor) ? [] : [`${name}: ${path}#${anchor}`];
    });
  });
  assert.deepEqual(broken, []);
});

/** Headings of a page as GitHub writes them in links. */
function anchorsOf(name: string): string[] {
  return [...readFileSync(ROOT + name, "utf8").matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\w\s-]/g, "")
      .replaceAll(" ", "-"),
  );
}
